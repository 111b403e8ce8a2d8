// The timeline: an axis, one row per class (truth above detections), and the curves below
// (curves.js), all drawn in pixels for the stretch of time in view.

const ROW = { truth: 7, gap: 3, detections: 15, lanes: 4 };
const AXIS_HEIGHT = 22;
const ROWS_ALWAYS = 12; // up to this many classes every one keeps its row at any threshold

function createTimeline({ classes, onSeek, onSelect }) {
  const tracks = byId("tracks");
  const rows = byId("rows");
  const cursor = byId("cursor");
  const playhead = byId("playhead");
  const tooltip = createTooltip();
  const curves = createCurves(byId("lanes"), { plot, clear, x, width: () => width });

  let video = null;
  let threshold = 0;
  let selected = -1;
  let time = 0;
  let view = { from: 0, to: 1 };
  let width = 0;
  let axis = null;

  function x(seconds) {
    return ((seconds - view.from) / (view.to - view.from)) * width;
  }

  function seconds(pixels) {
    return view.from + (pixels / Math.max(1, width)) * (view.to - view.from);
  }

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
    curves.build(video.curves);
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
    curves.draw();
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
        svg(
          "text",
          { x: at.toFixed(1), y: 12, "text-anchor": anchor },
          timeLabel(tick, video.duration, step),
        ),
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
      const bar = box(truth.start[i], truth.end[i], 1, ROW.truth - 1);
      if (bar)
        canvas.append(
          svg("rect", {
            ...bar,
            class: `truth ${colour}${found ? "" : " missed"}`,
            "data-truth": i,
          }),
        );
    });
    const placed = packed(rowDetections(canvas.label), detections, ROW.lanes);
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
      const rect = svg("rect", {
        ...bar,
        class: `detection ${colour}${kind}${mark}`,
        "data-detection": i,
      });
      rect.style.setProperty("--strength", strength(detections.score[i]).toFixed(2));
      canvas.append(rect);
    }
    const shown = placed.rows.length;
    canvas
      .closest(".track")
      .querySelector(".class-name")
      .classList.toggle("absent", !shown && !instances);
    const truthText = truth ? `, ${plural(instances, "true action")}` : "";
    canvas.setAttribute(
      "aria-label",
      `${classes[canvas.label]}: ${plural(shown, "detection")}${truthText}`,
    );
  }

  const strength = (score) => 0.45 + 0.55 * clamp(score / (video.detections.score[0] || 1), 0, 1);

  function rowDetections(label) {
    const count = countAtLeast(video.detections.score, threshold);
    const chosen = [];
    for (let i = 0; i < count; i += 1) if (video.detections.label[i] === label) chosen.push(i);
    return chosen;
  }

  function box(start, end, y, height) {
    if (end < view.from || start > view.to) return null;
    const left = Math.max(-4, x(start));
    const right = Math.min(width + 4, x(end));
    const size = Math.max(2, right - left);
    return {
      x: left.toFixed(1),
      y: y.toFixed(1),
      width: size.toFixed(1),
      height: height.toFixed(1),
      rx: Math.min(2, size / 2),
    };
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
        {
          text: classes[detections.label[i]],
          colour: classColour(detections.label[i]),
          strong: true,
        },
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
        {
          text: classes[video.truth.label[i]],
          colour: classColour(video.truth.label[i]),
          strong: true,
        },
        { text: stretch(video.truth.start[i], video.truth.end[i]) },
        { text: `ground truth, ${found ? "found" : "missed"}` },
      ];
    }
    const at = timeAt(event);
    const lines = [
      { text: `${formatTime(at, video.duration)}${video.duration < 120 ? " s" : ""}` },
    ];
    return lines.concat(curves.read(canvas, at));
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
    if (span < video.duration && (time < view.from || time > view.to))
      setView(time - span * 0.1, span);
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
  new ResizeObserver(() => axis && axis.getBoundingClientRect().width !== width && draw()).observe(
    tracks,
  );

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
