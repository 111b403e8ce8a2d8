// The detectors that a page shows: each with its score threshold, and on or off where there are
// several. Colour says the class, so the mark of a detector is a shape.

// Outlines in a box of 10 by 10; the seventh detector begins again with the first one's.
const MARKS = [
  "M5 1a4 4 0 1 0 0.01 0Z",
  "M1.5 1.5h7v7h-7Z",
  "M5 0.8L9.4 8.8H0.6Z",
  "M5 0.2L9.8 5L5 9.8L0.2 5Z",
  "M0.6 1.2H9.4L5 9.2Z",
  "M3.6 0.8h2.8v2.8h2.8v2.8H6.4v2.8H3.6V6.4H0.8V3.6H3.6Z",
];

const markPath = (detector) => MARKS[detector.index % MARKS.length];

function detectorMark(detector) {
  const attributes = { class: "glyph", viewBox: "0 0 10 10", "aria-hidden": "true" };
  return svg("svg", attributes, svg("path", { d: markPath(detector) }));
}

// One slider and number field per detector; `onChange(switched)` follows every change.
function createDetectors(described, annotated, onChange) {
  const detectors = described.map((item, index) => ({ ...item, index, on: true }));
  const several = detectors.length > 1;
  const host = byId("thresholds");
  host.append(...detectors.map(control));
  if (several) {
    const begins = annotated ? ", and begins where F1 on these videos is highest" : "";
    const text =
      "Each detector scores on a scale of its own: its slider goes from 0, or its lowest score " +
      `where that is below 0, to its highest${begins}.`;
    host.append(element("p", { class: "muted scales" }, text));
    host.classList.add("several");
    byId("key").append(
      ...detectors.map((item) =>
        element("li", { class: "detector" }, detectorMark(item), item.name),
      ),
    );
  }

  function control(detector) {
    const suffix = detector.index ? `-${detector.index + 1}` : "";
    const label = several ? { "aria-label": `${detector.name}: score at least` } : {};
    const slider = element("input", { type: "range", id: `threshold${suffix}`, ...label });
    const number = element("input", {
      type: "number",
      id: `threshold-number${suffix}`,
      "aria-label": `${several ? `${detector.name}: s` : "S"}core threshold, exact`,
    });
    const [low, high] = detector.range;
    for (const input of [slider, number]) {
      input.min = low;
      input.max = high;
      input.step = "any";
      input.disabled = low === high;
    }
    number.step = stepOf(high - low);
    slider.value = detector.threshold;
    number.value = detector.threshold;
    slider.addEventListener("input", () => {
      const value = Number(Number(slider.value).toPrecision(3));
      number.value = value;
      set(detector, value);
    });
    number.addEventListener("input", () => {
      if (number.value === "") return;
      slider.value = number.value;
      set(detector, Number(number.value));
    });
    const name = several ? toggle(detector) : element("label", { for: slider.id }, "Score at least");
    return element("div", { class: "threshold" }, name, slider, number);
  }

  function toggle(detector) {
    const attributes = { type: "button", class: "toggle", "aria-pressed": "true" };
    const button = element("button", attributes, detectorMark(detector), nameOf(detector.name));
    button.addEventListener("click", () => {
      detector.on = !detector.on;
      button.setAttribute("aria-pressed", String(detector.on));
      onChange(true);
    });
    return button;
  }

  function set(detector, value) {
    if (!Number.isFinite(value)) return;
    detector.threshold = value;
    onChange(false);
  }

  return detectors;
}

// A round step of about a hundredth of the range, for the arrows of the number field.
function stepOf(range) {
  return range > 0 ? 10 ** Math.floor(Math.log10(range) - 1) / 10 : "any";
}

// Of several detectors the name of one, in front of what is its alone.
const nameBefore = (detectors, index) =>
  detectors.length > 1 ? `${detectors[index].name}: ` : "";

const switchedOn = (detectors) => detectors.filter((detector) => detector.on);

// How many of a video's detections a detector shows: scores fall, so they are the first ones.
const countShown = (video, detector) =>
  countAtLeast(video.detections[detector.index].score, detector.threshold);

// Scores fall, so those of at least `threshold` are a prefix.
function countAtLeast(scores, threshold) {
  let low = 0;
  let high = scores.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (scores[middle] >= threshold) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Matches were made surest first, so they hold at every threshold.
function isFound(video, detector, instance) {
  const { foundBy, score } = video.detections[detector.index];
  return foundBy[instance] >= 0 && score[foundBy[instance]] >= detector.threshold;
}

// Whether a detection is one that finds a true action.
function isHit(found, detection) {
  found.hits ??= new Set(found.foundBy);
  return found.hits.has(detection);
}
