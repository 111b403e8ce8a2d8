// The timeline: an axis, one row per class (truth above detections), and the curves below, all
// drawn in pixels for the stretch of time in view.

const ROW = { truth: 7, gap: 3, detections: 15, lanes: 4 };
const AXIS_HEIGHT = 22;
const LANE_HEIGHT = 62;
const ROWS_ALWAYS = 12; // up to this many classes every one keeps its row at any threshold

function createTimeline({ classes, onSeek, onSelect }) {
  const tracks = byId("tracks");
  const rows = byId("rows");
  const lanes = byId("lanes");
  const cursor = byId("cursor");
  const playhead = byId("playhead");
  const tooltip = createTooltip();
  const hiddenCurves = new Set(); // by group and name, kept from video to video

  let video = null;
  let threshold = 0;
  let selected = -1;
  let time = 0;
  let view = { from: 0, to: 1 };
  let width = 0;
  let axis = null;

  const x = (seconds) => ((seconds - view.from) / (view.to - view.from)) * width;
  const seconds = (pixels) => view.from + (pixels / Math.max(1, width)) * (view.to - view.from);

  function show(next, shownThreshold) {
    video = next;
    threshold = shownThreshold;
    selected = -1;
    const longest = Math.max(0, ...video.detections.label.map((label) => classes[label].length));
    document.documentElement.style.setProperty("--label-letters", longest);
    view = { from: 0, to: video.duration };
    tooltip.hide();
    build();
  }

  function build() {
    rows.replaceChildren();
    lanes.replaceChildren();
    axis = plot(AXIS_HEIGHT, {
      class: "axis",
      tabindex: 0,
      role: "slider",
      "aria-label": "Position in the video",
      "aria-valuemin": 0,
      "aria-valuemax": video.duration,
    });
    rows.append(track("", axis));
    axis.addEventListener("keydown", onAxisKey);
    for (const group of curveGroups(video.curves)) lanes.append(lane(group));
    draw();
  }

  // A plot is an SVG that is as wide as its column and is drawn by pixels.
  function plot(height, attributes = {}) {
    const canvas = svg("svg", { ...attributes, class: `plot ${attributes.class ?? ""}`, height });
    canvas.plotHeight = height;
    return canvas;
  }

  const track = (label, canvas) =>
    element("div", { class: "track" }, element("div", { class: "label" }, label), canvas);

  function draw() {
    if (!video) return;
    drawRows();
    width = axis.getBoundingClientRect().width || 1;
    drawAxis();
    markZoom();
    drawBars();
    for (const canvas of lanes.querySelectorAll(".plot")) drawLane(canvas);
    movePlayhead();
  }

  function drawBars() {
    for (const canvas of rows.querySelectorAll(".class-row")) drawRow(canvas);
  }

  function drawRows() {
    const shown = visibleClasses();
    const present = [...rows.querySelectorAll(".class-row")].map((canvas) => canvas.label);
    if (shown.length === present.length && shown.every((label, i) => label === present[i])) return;
    for (const node of [...rows.children].slice(1)) node.remove();
    const truthHeight = video.truth ? ROW.truth + ROW.gap : 0;
    for (const label of shown) {
      const canvas = plot(truthHeight + ROW.detections, { class: "class-row", role: "img" });
      canvas.label = label;
      const name = element("span", { class: "name", title: classes[label] }, classes[label]);
      const swatch = element("i", { class: `swatch ${classColour(label)}` });
      rows.append(track(element("span", { class: "class-name" }, swatch, name), canvas));
    }
    if (!shown.length) {
      rows.append(element("p", { class: "muted empty" }, "Nothing was detected in this video."));
    }
  }

  function visibleClasses() {
    const true_ = new Set(video.truth?.label ?? []);
    const detected = new Set(video.detections.label);
    const all = new Set([...true_, ...detected]);
    if (all.size <= ROWS_ALWAYS) return [...all].sort((a, b) => a - b);
    const above = video.detections.label.slice(0, countAtLeast(video.detections.score, threshold));
    return [...new Set([...true_, ...above])].sort((a, b) => a - b);
  }

  function clear(canvas, top = 0) {
    canvas.replaceChildren();
    canvas.setAttribute("viewBox", `0 0 ${width} ${canvas.plotHeight}`);
    const { ticks } = timeTicks(view.from, view.to, width);
    for (const tick of ticks) {
      const at = x(tick).toFixed(1);
      canvas.append(svg("line", { class: "grid", x1: at, x2: at, y1: top, y2: canvas.plotHeight }));
    }
  }

  function drawAxis() {
    clear(axis, AXIS_HEIGHT - 5);
    const { ticks, step } = timeTicks(view.from, view.to, width);
    for (const tick of ticks) {
      const at = x(tick);
      const anchor = at < 14 ? "start" : at > width - 18 ? "end" : "middle";
      axis.append(
        svg("text", { x: at.toFixed(1), y: 12, "text-anchor": anchor }, timeLabel(tick, video.duration, step)),
      );
    }
  }

  function drawRow(canvas) {
    clear(canvas);
    const { truth, detections } = video;
    const top = truth ? ROW.truth + ROW.gap : 0;
    const colour = classColour(canvas.label);
    let instances = 0;
    truth?.label.forEach((label, i) => {
      if (label !== canvas.label) return;
      instances += 1;
      const found = isFound(truth, detections, i, threshold);
      const bar = box(truth.start[i], truth.end[i], 0, ROW.truth);
      if (bar) canvas.append(svg("rect", { ...bar, class: `truth ${colour}${found ? "" : " missed"}`, "data-truth": i }));
    });
    const placed = packed(rowDetections(canvas.label));
    // The first lane, which holds the surest, is twice as high as the others.
    const unit = ROW.detections / (placed.lanes + 1);
    // The surest is drawn last, on top.
    for (const [i, laneIndex] of [...placed.rows].reverse()) {
      const y = top + (laneIndex ? laneIndex + 1 : 0) * unit;
      const height = (laneIndex ? 1 : 2) * unit - (placed.lanes > 1 ? 1 : 0);
      const bar = box(detections.start[i], detections.end[i], y, height);
      if (!bar) continue;
      const kind = truth && !isHit(video, i) ? " false" : "";
      const mark = i === selected ? " selected" : "";
      const rect = svg("rect", { ...bar, class: `detection ${colour}${kind}${mark}`, "data-detection": i });
      rect.style.setProperty("--strength", strength(detections.score[i]).toFixed(2));
      canvas.append(rect);
    }
    const shown = placed.rows.length;
    canvas.closest(".track").querySelector(".class-name").classList.toggle("absent", !shown && !instances);
    const truthText = truth ? `, ${plural(instances, "true action")}` : "";
    canvas.setAttribute("aria-label", `${classes[canvas.label]}: ${plural(shown, "detection")}${truthText}`);
  }

  const strength = (score) => 0.45 + 0.55 * clamp(score / (video.detections.score[0] || 1), 0, 1);

  function rowDetections(label) {
    const count = countAtLeast(video.detections.score, threshold);
    const chosen = [];
    for (let i = 0; i < count; i += 1) if (video.detections.label[i] === label) chosen.push(i);
    return chosen;
  }

  // Overlapping detections share the row's height: each, surest first, takes the first free lane.
  function packed(chosen) {
    const { start, end } = video.detections;
    const taken = [];
    const placed = chosen.map((i) => {
      const free = taken.findIndex((others) => others.every((j) => end[j] <= start[i] || end[i] <= start[j]));
      const laneIndex = free >= 0 ? free : Math.min(taken.length, ROW.lanes - 1);
      (taken[laneIndex] ??= []).push(i);
      return [i, laneIndex];
    });
    return { rows: placed, lanes: taken.length };
  }

  function box(start, end, y, height) {
    if (end < view.from || start > view.to) return null;
    const left = Math.max(-4, x(start));
    const right = Math.min(width + 4, x(end));
    const size = Math.max(2, right - left);
    return { x: left.toFixed(1), y: y.toFixed(1), width: size.toFixed(1), height: height.toFixed(1), rx: Math.min(2, size / 2) };
  }

  // Curves -------------------------------------------------------------------------------------

  function lane(group) {
    const canvas = plot(LANE_HEIGHT, { class: "lane", role: "img" });
    canvas.group = group;
    canvas.setAttribute("aria-label", `${group.name}: ${group.curves.map((curve) => curve.name).join(", ")}`);
    const legend = element("div", { class: "legend", role: "group", "aria-label": group.name });
    for (const curve of group.curves) {
      const button = element(
        "button",
        { type: "button", class: `toggle ${curve.colour}`, "aria-pressed": !hiddenCurves.has(curve.key) },
        element("i", { class: "stroke" }),
        curve.name,
      );
      button.addEventListener("click", () => {
        const hide = !hiddenCurves.delete(curve.key);
        if (hide) hiddenCurves.add(curve.key);
        button.setAttribute("aria-pressed", String(!hide));
        drawLane(canvas);
      });
      legend.append(button);
    }
    const name = element("span", { class: "name", title: group.name }, group.name);
    return element(
      "div",
      { class: "track lane-track" },
      element("div", { class: "label" }, name),
      element("div", { class: "lane-body" }, legend, canvas),
    );
  }

  function drawLane(canvas) {
    clear(canvas);
    const curves = canvas.group.curves.filter((curve) => !hiddenCurves.has(curve.key));
    const [low, high] = canvas.group.range;
    const y = (value) => LANE_HEIGHT - 4 - ((value - low) / (high - low)) * (LANE_HEIGHT - 10);
    for (const value of canvas.group.ticks) {
      canvas.append(svg("line", { class: "grid", x1: 0, x2: width, y1: y(value), y2: y(value) }));
    }
    for (const curve of curves) {
      const xs = curve.time.map((at) => (at === null ? null : x(at)));
      const ys = curve.value.map((value) => (value === null ? null : y(value)));
      if (curves.length === 1) {
        canvas.append(svg("path", { class: `area ${curve.colour}`, d: areaPath(xs, ys, y(low).toFixed(1)) }));
      }
      canvas.append(svg("path", { class: `curve ${curve.colour}`, d: linePath(xs, ys) }));
    }
    for (const value of [canvas.group.ticks[0], canvas.group.ticks.at(-1)]) {
      canvas.append(svg("text", { class: "value", x: -6, y: (y(value) + 3).toFixed(1), "text-anchor": "end" }, formatNumber(value)));
    }
  }

  // Pointing -----------------------------------------------------------------------------------

  let scrubbing = false;

  function plotUnder(event) {
    const canvas = event.target.closest?.(".plot");
    return canvas && tracks.contains(canvas) ? canvas : null;
  }

  const timeAt = (event) =>
    clamp(seconds(event.clientX - axis.getBoundingClientRect().left), 0, video.duration);

  tracks.addEventListener("pointerdown", (event) => {
    const canvas = plotUnder(event);
    if (!canvas || event.button !== 0) return;
    const { detection, truth } = event.target.dataset;
    if (detection !== undefined) {
      onSelect(Number(detection));
    } else if (truth !== undefined) {
      onSeek(video.truth.start[Number(truth)]);
    } else {
      scrubbing = true;
      tracks.setPointerCapture(event.pointerId);
      onSeek(timeAt(event));
    }
  });

  tracks.addEventListener("pointermove", (event) => {
    if (!video) return;
    if (scrubbing) onSeek(timeAt(event));
    const canvas = plotUnder(event);
    if (!canvas && !scrubbing) return leave();
    cursor.hidden = false;
    place(cursor, timeAt(event));
    tooltip.show(tooltipLines(event, canvas), event.clientX, event.clientY);
  });

  for (const name of ["pointerup", "pointercancel"]) {
    tracks.addEventListener(name, () => (scrubbing = false));
  }
  tracks.addEventListener("pointerleave", leave);

  function leave() {
    cursor.hidden = true;
    tooltip.hide();
  }

  function tooltipLines(event, canvas) {
    const { detection, truth } = event.target.dataset ?? {};
    const { detections } = video;
    if (detection !== undefined) {
      const i = Number(detection);
      const lines = [
        { text: classes[detections.label[i]], colour: classColour(detections.label[i]), strong: true },
        { text: stretch(detections.start[i], detections.end[i]) },
        { text: `score ${formatScore(detections.score[i])}` },
      ];
      if (detections.overlap) lines.push({ text: `tIoU ${detections.overlap[i].toFixed(2)}` });
      return lines;
    }
    if (truth !== undefined) {
      const i = Number(truth);
      const found = isFound(video.truth, detections, i, threshold);
      return [
        { text: classes[video.truth.label[i]], colour: classColour(video.truth.label[i]), strong: true },
        { text: stretch(video.truth.start[i], video.truth.end[i]) },
        { text: `ground truth, ${found ? "found" : "missed"}` },
      ];
    }
    const at = timeAt(event);
    const lines = [{ text: `${formatTime(at, video.duration)}${video.duration < 120 ? " s" : ""}` }];
    const curves = canvas?.group?.curves.filter((curve) => !hiddenCurves.has(curve.key)) ?? [];
    for (const curve of curves.slice(0, 12)) {
      const value = curve.time.length ? curve.value[nearestIndex(curve.time, at)] : null;
      lines.push({ text: `${curve.name} ${value === null ? "–" : formatNumber(value)}`, colour: curve.colour });
    }
    return lines;
  }

  function stretch(start, end) {
    const [from, to] = [formatTime(start, video.duration), formatTime(end, video.duration)];
    return `${from} – ${to}${video.duration < 120 ? " s" : ""} (${(end - start).toFixed(2)} s)`;
  }

  // View and playhead --------------------------------------------------------------------------

  function place(line, at) {
    const left = axis.getBoundingClientRect().left - tracks.getBoundingClientRect().left;
    line.style.setProperty("transform", `translateX(${(left + x(at)).toFixed(1)}px)`);
    if (at < view.from || at > view.to) line.hidden = true;
  }

  function movePlayhead() {
    if (!axis) return;
    playhead.hidden = false;
    place(playhead, time);
    axis.setAttribute("aria-valuenow", time.toFixed(2));
    axis.setAttribute("aria-valuetext", `${time.toFixed(1)} seconds`);
  }

  function setTime(next) {
    time = next;
    if (!video) return;
    const span = view.to - view.from;
    if (span < video.duration && (time < view.from || time > view.to)) setView(time - span * 0.1, span);
    else movePlayhead();
  }

  function setView(from, span) {
    const size = clamp(span, Math.min(0.5, video.duration), video.duration);
    const start = clamp(from, 0, video.duration - size);
    view = { from: start, to: start + size };
    draw();
  }

  function markZoom() {
    const whole = view.to - view.from >= video.duration;
    byId("zoom-out").disabled = whole;
    byId("zoom-all").disabled = whole;
  }

  function zoom(factor, centre = time) {
    const span = view.to - view.from;
    const at = clamp(centre, view.from, view.to);
    setView(at - (at - view.from) * factor, span * factor);
  }

  tracks.addEventListener(
    "wheel",
    (event) => {
      const span = view.to - view.from;
      if (event.ctrlKey) {
        event.preventDefault();
        zoom(Math.exp(event.deltaY * 0.004), timeAt(event));
      } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) && span < video.duration) {
        event.preventDefault();
        setView(view.from + (event.deltaX / width) * span, span);
      }
    },
    { passive: false },
  );

  function onAxisKey(event) {
    const step = event.shiftKey ? 5 : 1;
    const targets = {
      ArrowLeft: time - step,
      ArrowRight: time + step,
      ArrowDown: time - step,
      ArrowUp: time + step,
      PageDown: time - 10,
      PageUp: time + 10,
      Home: 0,
      End: video.duration,
    };
    if (!(event.key in targets) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    onSeek(targets[event.key]);
  }

  byId("zoom-in").addEventListener("click", () => zoom(0.5));
  byId("zoom-out").addEventListener("click", () => zoom(2));
  byId("zoom-all").addEventListener("click", () => setView(0, video.duration));
  new ResizeObserver(() => axis && axis.getBoundingClientRect().width !== width && draw()).observe(tracks);

  return {
    show,
    setTime,
    setThreshold(next) {
      threshold = next;
      drawRows();
      drawBars();
    },
    select(index) {
      selected = index;
      drawBars();
    },
  };
}

// Curves by group, in order of appearance, each with its colour and the group's scale.
function curveGroups(curves) {
  const groups = new Map();
  let next = 0;
  for (const curve of curves) {
    if (!groups.has(curve.group)) groups.set(curve.group, { name: curve.group, curves: [] });
    const colour = curve.label >= 0 ? classColour(curve.label) : lineColour(next++);
    const key = `${curve.group}\n${curve.name}`;
    groups.get(curve.group).curves.push({ ...curve, colour, key });
  }
  return [...groups.values()].map((group) => {
    const [low, high] = extent(group.curves.map((curve) => curve.value));
    const ticks = low >= 0 && high <= 1 ? [0, 0.5, 1] : niceTicks(low, high, 3);
    return { ...group, ticks, range: [ticks[0], ticks.at(-1)] };
  });
}

function createTooltip() {
  const node = byId("tooltip");
  return {
    show(lines, left, top) {
      node.replaceChildren(
        ...lines.map((line) =>
          element(
            "div",
            { class: line.strong ? "strong" : null },
            line.colour ? element("i", { class: `swatch ${line.colour}` }) : null,
            line.text,
          ),
        ),
      );
      node.hidden = false;
      const { width, height } = node.getBoundingClientRect();
      const x = left + 14 + width > innerWidth - 8 ? left - 14 - width : left + 14;
      const y = top + 16 + height > innerHeight - 8 ? top - 12 - height : top + 16;
      node.style.setProperty("left", `${Math.max(8, x)}px`);
      node.style.setProperty("top", `${Math.max(8, y)}px`);
    },
    hide() {
      node.hidden = true;
    },
  };
}
