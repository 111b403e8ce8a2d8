// The list of videos, the table of detections, and the line of what happens now.

const TABLE_ROWS = 200;
const FILTER_FROM = 13; // videos from which on the list gets a filter

function createVideoList(videos, detectors, onChoose) {
  const list = byId("video-list");
  const filter = byId("filter");
  const buttons = videos.map((video, index) => {
    const count = element("span", { class: "count" });
    const truth = video.truth
      ? element("span", { class: "of", title: "true actions" }, ` / ${video.truth.label.length}`)
      : null;
    const button = element(
      "button",
      { type: "button" },
      nameOf(video.id),
      element("span", { class: "counts" }, count, truth),
    );
    button.count = count;
    button.addEventListener("click", () => onChoose(index));
    return button;
  });
  list.append(...buttons.map((button) => element("li", {}, button)));

  filter.hidden = videos.length < FILTER_FROM;
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    buttons.forEach((button, i) => {
      button.parentElement.hidden = !videos[i].id.toLowerCase().includes(wanted);
    });
  });

  return {
    select(index) {
      buttons.forEach((button, i) => {
        if (i === index) button.setAttribute("aria-current", "true");
        else button.removeAttribute("aria-current");
      });
      const item = buttons[index].parentElement;
      // Within the list only: the page itself must not scroll.
      list.scrollTop = clamp(
        list.scrollTop,
        item.offsetTop + item.offsetHeight - list.clientHeight,
        item.offsetTop,
      );
      list.scrollLeft = clamp(
        list.scrollLeft,
        item.offsetLeft + item.offsetWidth - list.clientWidth,
        item.offsetLeft,
      );
    },
    update() {
      const shown = switchedOn(detectors);
      let total = 0;
      videos.forEach((video, i) => {
        const counts = shown.map((detector) => countShown(video, detector));
        total += counts.reduce((sum, count) => sum + count, 0);
        buttons[i].count.textContent = counts.join(" · ") || "–";
        buttons[i].count.title = counts
          .map((count, k) => {
            const text = plural(count, "detection");
            return detectors.length > 1 ? `${shown[k].name}: ${text}` : text;
          })
          .join(", ");
      });
      byId("shown-total").textContent = total;
    },
  };
}

// Of several detectors one is listed at a time; its name is among the buttons above.
function createDetectionTable({ classes, detectors, onSelect }) {
  const body = byId("detection-rows");
  const more = byId("detections-more");
  const next = byId("detections-next");
  const choices = byId("listed");
  let listed = detectors[0];
  let video = null;
  let selected = -1;
  let most = TABLE_ROWS;

  next.addEventListener("click", () => {
    most += TABLE_ROWS;
    update();
  });

  if (detectors.length > 1) {
    choices.hidden = false;
    choices.append(...detectors.map(choice));
  }

  function choice(detector) {
    const name = nameOf(detector.name);
    const button = element("button", { type: "button" }, detectorMark(detector), name);
    button.addEventListener("click", () => list(detector));
    return button;
  }

  function list(detector) {
    selected = -1;
    most = TABLE_ROWS;
    listed = detector;
    update();
  }

  function show(shown) {
    video = shown;
    selected = -1;
    most = TABLE_ROWS;
    update();
  }

  function update() {
    if (!listed.on) listed = switchedOn(detectors)[0] ?? listed;
    [...choices.children].forEach((button, k) => {
      button.disabled = !detectors[k].on;
      button.setAttribute("aria-pressed", String(detectors[k] === listed));
    });
    const found = video.detections[listed.index];
    const count = listed.on ? countShown(video, listed) : 0;
    byId("overlap-head").hidden = !found.overlap;
    byId("count").textContent = summary(found, count);
    body.replaceChildren();
    for (let i = 0; i < Math.min(count, most); i += 1) body.append(row(found, i));
    const notes = [];
    if (count > most) notes.push(`The ${most} highest of ${count} are listed.`);
    next.hidden = count <= most;
    next.textContent = `List ${Math.min(TABLE_ROWS, count - most)} more`;
    if (found.omitted) notes.push(`${plural(found.omitted, "lower score")} left out of this page.`);
    if (!count) notes.push(whyNone(found));
    more.textContent = notes.join(" ");
    more.hidden = !notes.length;
    body.classList.toggle("judged", Boolean(video.truth));
    mark();
  }

  function whyNone(found) {
    if (!listed.on) return "Every detector is switched off.";
    return found.score.length ? "No score is that high." : "Nothing was detected in this video.";
  }

  function row(found, i) {
    const label = found.label[i];
    const button = element(
      "button",
      { type: "button" },
      element("i", { class: `swatch ${classColour(label)}` }),
      nameOf(classes[label]),
    );
    const line = element(
      "tr",
      { "data-detection": i, class: video.truth && isHit(found, i) ? "hit" : null },
      element("td", {}, button),
      element("td", { class: "number" }, formatTime(found.start[i], video.duration)),
      element("td", { class: "number" }, formatTime(found.end[i], video.duration)),
      element("td", { class: "number" }, formatScore(found.score[i])),
      found.overlap
        ? element("td", { class: "number overlap" }, found.overlap[i].toFixed(2))
        : null,
    );
    line.addEventListener("click", () => onSelect(listed.index, i));
    return line;
  }

  function summary(found, count) {
    const text = `${count} of ${found.score.length + found.omitted} shown`;
    const { truth } = video;
    if (!truth) return text;
    const hits = truth.label.filter((_, i) => listed.on && isFound(video, listed, i)).length;
    return `${text} · ${hits} of ${plural(truth.label.length, "action")} found`;
  }

  function mark() {
    for (const line of body.children) {
      line.classList.toggle("selected", Number(line.dataset.detection) === selected);
    }
  }

  return {
    show,
    update,
    select(detector, index, scroll = false) {
      if (detectors[detector] !== listed) list(detectors[detector]);
      selected = index;
      if (index >= most) {
        most = TABLE_ROWS * Math.ceil((index + 1) / TABLE_ROWS);
        update();
      }
      mark();
      const line = scroll ? body.querySelector(".selected") : null;
      if (!line) return;
      const box = line.closest(".table-scroll");
      const head = box.querySelector("thead").offsetHeight;
      box.scrollTop = clamp(
        box.scrollTop,
        line.offsetTop + line.offsetHeight - box.clientHeight,
        line.offsetTop - head,
      );
    },
  };
}

// The clock and the names of what is detected, and true, at the playhead.
function createNowLine(classes, detectors) {
  const clock = byId("clock");
  const list = byId("now-list");
  let shown = "";

  return function update(video, time) {
    const end = formatTime(video.duration, video.duration);
    clock.textContent = `${formatTime(time, video.duration)} / ${end}${video.duration < 120 ? " s" : ""}`;
    const { truth } = video;
    const chips = switchedOn(detectors).flatMap((detector) => detected(video, detector, time));
    truth?.label.forEach((label, i) => {
      if (truth.start[i] <= time && time <= truth.end[i])
        chips.push({ kind: "chip true", label, text: classes[label] });
    });
    const state = chips.map((chip) => `${chip.kind}${chip.detector?.index}${chip.text}`).join("\n");
    if (state === shown) return;
    shown = state;
    list.replaceChildren(
      ...chips.map(({ kind, label, text, detector }) => {
        const mark = detector && detectors.length > 1 ? detectorMark(detector) : null;
        return element("span", { class: `${kind} ${classColour(label)}` }, mark, text);
      }),
    );
  };

  function detected(video, detector, time) {
    const { start, end, score, label } = video.detections[detector.index];
    const count = countShown(video, detector);
    const seen = new Set();
    const chips = [];
    for (let i = 0; i < count; i += 1) {
      if (start[i] > time || end[i] < time || seen.has(label[i])) continue;
      seen.add(label[i]);
      const text = `${classes[label[i]]} ${formatScore(score[i])}`;
      chips.push({ kind: "chip detected", label: label[i], text, detector });
    }
    return chips;
  }
}
