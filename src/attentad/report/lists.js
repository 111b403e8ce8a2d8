// The list of videos, the table of detections, and the line of what happens now.

const TABLE_ROWS = 200;
const FILTER_FROM = 13; // videos from which on the list gets a filter

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
function isFound(truth, detections, instance, threshold) {
  const by = truth.foundBy[instance];
  return by >= 0 && detections.score[by] >= threshold;
}

function isHit(video, detection) {
  video.hits ??= new Set(video.truth.foundBy);
  return video.hits.has(detection);
}

function createVideoList(videos, onChoose) {
  const list = byId("video-list");
  const filter = byId("filter");
  const buttons = videos.map((video, index) => {
    const count = element("span", { class: "count" });
    const truth = video.truth
      ? element("span", { class: "of", title: "true actions" }, ` / ${video.truth.label.length}`)
      : null;
    const name = element("span", { class: "name", title: video.id }, video.id);
    const button = element(
      "button",
      { type: "button" },
      name,
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
    setThreshold(threshold) {
      let total = 0;
      videos.forEach((video, i) => {
        const count = countAtLeast(video.detections.score, threshold);
        total += count;
        buttons[i].count.textContent = count;
        buttons[i].count.title = plural(count, "detection");
      });
      byId("shown-total").textContent = total;
    },
  };
}

function createDetectionTable({ classes, onSelect }) {
  const body = byId("detection-rows");
  const more = byId("detections-more");
  let selected = -1;

  function show(video, threshold) {
    const { detections, truth } = video;
    const count = countAtLeast(detections.score, threshold);
    byId("overlap-head").hidden = !detections.overlap;
    byId("count").textContent = summary(video, threshold, count);
    body.replaceChildren();
    for (let i = 0; i < Math.min(count, TABLE_ROWS); i += 1) body.append(row(video, i));
    const notes = [];
    if (count > TABLE_ROWS) notes.push(`The ${TABLE_ROWS} highest of ${count} are listed.`);
    if (video.omitted) notes.push(`${plural(video.omitted, "lower score")} left out of this page.`);
    if (!count)
      notes.push(
        detections.score.length ? "No score is that high." : "Nothing was detected in this video.",
      );
    more.textContent = notes.join(" ");
    more.hidden = !notes.length;
    body.classList.toggle("judged", Boolean(truth));
    mark();
  }

  function row(video, i) {
    const { detections } = video;
    const label = detections.label[i];
    const button = element(
      "button",
      { type: "button" },
      element("i", { class: `swatch ${classColour(label)}` }),
      element("span", { class: "name" }, classes[label]),
    );
    const line = element(
      "tr",
      { "data-detection": i, class: video.truth && isHit(video, i) ? "hit" : null },
      element("td", {}, button),
      element("td", { class: "number" }, formatTime(detections.start[i], video.duration)),
      element("td", { class: "number" }, formatTime(detections.end[i], video.duration)),
      element("td", { class: "number" }, formatScore(detections.score[i])),
      detections.overlap
        ? element("td", { class: "number overlap" }, detections.overlap[i].toFixed(2))
        : null,
    );
    line.addEventListener("click", () => onSelect(i));
    return line;
  }

  function summary(video, threshold, count) {
    const { detections, truth } = video;
    const text = `${count} of ${detections.score.length + video.omitted} shown`;
    if (!truth) return text;
    const found = truth.label.filter((_, i) => isFound(truth, detections, i, threshold)).length;
    return `${text} · ${found} of ${plural(truth.label.length, "action")} found`;
  }

  function mark() {
    for (const line of body.children) {
      line.classList.toggle("selected", Number(line.dataset.detection) === selected);
    }
  }

  return {
    show,
    select(index, scroll = false) {
      selected = index;
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
function createNowLine(classes) {
  const clock = byId("clock");
  const list = byId("now-list");
  let shown = "";

  return function update(video, threshold, time) {
    const end = formatTime(video.duration, video.duration);
    clock.textContent = `${formatTime(time, video.duration)} / ${end}${video.duration < 120 ? " s" : ""}`;
    const { detections, truth } = video;
    const chips = [];
    const count = countAtLeast(detections.score, threshold);
    const seen = new Set();
    for (let i = 0; i < count; i += 1) {
      const label = detections.label[i];
      if (detections.start[i] > time || detections.end[i] < time || seen.has(label)) continue;
      seen.add(label);
      chips.push({
        kind: "chip detected",
        label,
        text: `${classes[label]} ${formatScore(detections.score[i])}`,
      });
    }
    truth?.label.forEach((label, i) => {
      if (truth.start[i] <= time && time <= truth.end[i])
        chips.push({ kind: "chip true", label, text: classes[label] });
    });
    const state = chips.map((chip) => chip.kind + chip.text).join("\n");
    if (state === shown) return;
    shown = state;
    list.replaceChildren(
      ...chips.map((chip) =>
        element("span", { class: `${chip.kind} ${classColour(chip.label)}` }, chip.text),
      ),
    );
  };
}
