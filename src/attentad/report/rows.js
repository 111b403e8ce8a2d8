// The class rows of the timeline: the truth above, then one lane per detector that is on.

const ROW = { truth: 7, gap: 3, detections: 15, compared: 11, lanes: 4 };
const OUTLINED = 6; // pixels from which on a bar without a match has an outline
const ROWS_ALWAYS = 12; // up to this many classes every one keeps its row at any threshold

// `frame` is the timeline's: it makes tracks and plots, clears them and places stretches of time.
function createRows(host, { classes, detectors, frame }) {
  const several = detectors.length > 1;
  const laneHeight = several ? ROW.compared : ROW.detections;
  let video = null;
  let selected = { detector: -1, index: -1 };
  let layout = "";

  function show(next) {
    video = next;
    selected = { detector: -1, index: -1 };
    layout = "";
  }

  const truthHeight = () => (video.truth ? ROW.truth + ROW.gap : 0);
  const laneTop = (lane) => truthHeight() + lane * (laneHeight + ROW.gap);

  // The rows themselves, where others are to be seen than before.
  function build() {
    const shown = visibleClasses();
    const wanted = JSON.stringify([shown, switchedOn(detectors).map((detector) => detector.index)]);
    if (wanted === layout) return;
    layout = wanted;
    for (const node of [...host.children].slice(1)) node.remove();
    const lanes = Math.max(1, switchedOn(detectors).length);
    for (const label of shown) {
      const kind = several ? "class-row compared" : "class-row";
      const canvas = frame.plot(laneTop(lanes) - ROW.gap, { class: kind, role: "img" });
      canvas.label = label;
      const name = nameOf(classes[label]);
      const swatch = element("i", { class: `swatch ${classColour(label)}` });
      host.append(frame.track(element("span", { class: "class-name" }, swatch, name), canvas));
    }
    if (!shown.length) {
      host.append(element("p", { class: "muted empty" }, "Nothing was detected in this video."));
    }
  }

  function visibleClasses() {
    const true_ = new Set(video.truth?.label ?? []);
    const detected = video.detections.flatMap((found) => found.label);
    const all = new Set([...true_, ...detected]);
    if (all.size <= ROWS_ALWAYS) return [...all].sort((a, b) => a - b);
    const above = switchedOn(detectors).flatMap((detector) =>
      video.detections[detector.index].label.slice(0, countShown(video, detector)),
    );
    return [...new Set([...true_, ...above])].sort((a, b) => a - b);
  }

  function draw() {
    for (const canvas of host.querySelectorAll(".class-row")) drawRow(canvas);
  }

  function drawRow(canvas) {
    frame.clear(canvas);
    const instances = drawTruth(canvas);
    let shown = 0;
    const texts = switchedOn(detectors).map((detector, lane) => {
      const count = drawLane(canvas, detector, laneTop(lane));
      shown += count;
      return `${several ? `${detector.name} ` : ""}${plural(count, "detection")}`;
    });
    canvas
      .closest(".track")
      .querySelector(".class-name")
      .classList.toggle("absent", !shown && !instances);
    if (video.truth) texts.push(plural(instances, "true action"));
    canvas.setAttribute("aria-label", `${classes[canvas.label]}: ${texts.join(", ")}`);
  }

  function drawTruth(canvas) {
    const { truth } = video;
    let instances = 0;
    truth?.label.forEach((label, i) => {
      if (label !== canvas.label) return;
      instances += 1;
      const found = switchedOn(detectors).some((detector) => isFound(video, detector, i));
      const bar = frame.box(truth.start[i], truth.end[i], 1, ROW.truth - 1);
      const kind = `truth ${classColour(label)}${found ? "" : " missed"}`;
      if (bar) canvas.append(svg("rect", { ...bar, class: kind, "data-truth": i }));
    });
    return instances;
  }

  function drawLane(canvas, detector, top) {
    const found = video.detections[detector.index];
    const placed = packed(ofClass(detector, canvas.label), found, ROW.lanes);
    if (several) {
      const place = `translate(-14 ${top + laneHeight / 2 - 4.5}) scale(0.9)`;
      canvas.append(svg("path", { class: "glyph", d: markPath(detector), transform: place }));
    }
    // The first lane, which holds the surest, is twice as high as the others.
    const unit = laneHeight / (placed.lanes + 1);
    // The surest is drawn last, on top.
    for (const [i, laneIndex] of [...placed.rows].reverse()) {
      const y = top + (laneIndex ? laneIndex + 1 : 0) * unit;
      const height = (laneIndex ? 1 : 2) * unit - (placed.lanes > 1 ? 1 : 0);
      const bar = frame.box(found.start[i], found.end[i], y, height);
      if (!bar) continue;
      const isSelected = detector.index === selected.detector && i === selected.index;
      const unmatched = video.truth && !isHit(found, i);
      // Outlines of bars as narrow as themselves would run into one another.
      const kind = unmatched ? (bar.width < OUTLINED ? " false slim" : " false") : "";
      const rect = svg("rect", {
        ...bar,
        class: `detection ${classColour(canvas.label)}${kind}${isSelected ? " selected" : ""}`,
        "data-detection": i,
        "data-detector": detector.index,
      });
      rect.style.setProperty("--strength", strength(detector, found, i).toFixed(2));
      canvas.append(rect);
    }
    return placed.rows.length;
  }

  // How much of its colour a bar has, from the detector's lowest score to the video's highest.
  function strength(detector, { score }, i) {
    const low = detector.range[0];
    return 0.45 + 0.55 * clamp((score[i] - low) / (score[0] - low || 1), 0, 1);
  }

  function ofClass(detector, label) {
    const found = video.detections[detector.index];
    const count = countShown(video, detector);
    const chosen = [];
    for (let i = 0; i < count; i += 1) if (found.label[i] === label) chosen.push(i);
    return chosen;
  }

  return {
    show,
    build,
    draw,
    select(detector, index) {
      selected = { detector, index };
      draw();
    },
  };
}
