// The timeline: an axis, one row per class (rows.js), and the curves below (curves.js), all drawn
// in pixels for the stretch of time in view.

const AXIS_HEIGHT = 22;

function createTimeline({ classes, detectors, onSeek, onSelect }) {
  const tracks = byId("tracks");
  const rows = byId("rows");
  const cursor = byId("cursor");
  const playhead = byId("playhead");
  const tooltip = createTooltip();
  const frame = { plot, track, clear, box, x, width: () => width };
  const classRows = createRows(rows, { classes, detectors, frame });
  const curves = createCurves(byId("lanes"), detectors, frame);
  const several = detectors.length > 1;
  tracks.classList.toggle("compared", several);

  let video = null;
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

  function show(next) {
    video = next;
    classRows.show(video);
    const labels = video.detections.flatMap((found) => found.label);
    const longest = labels.reduce((most, label) => Math.max(most, classes[label].length), 0);
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

  function track(label, canvas) {
    return element("div", { class: "track" }, element("div", { class: "label" }, label), canvas);
  }

  function draw() {
    if (!video) return;
    classRows.build();
    width = axis.getBoundingClientRect().width || 1;
    drawAxis();
    markZoom();
    classRows.draw();
    curves.draw();
    movePlayhead();
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
    const { detector, detection, truth } = event.target.dataset;
    if (detection !== undefined) {
      onSelect(Number(detector), Number(detection));
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
    const { detector, detection, truth } = event.target.dataset ?? {};
    if (detection !== undefined) return detectionLines(detectors[detector], Number(detection));
    if (truth !== undefined) return truthLines(Number(truth));
    const at = timeAt(event);
    const lines = [
      { text: `${formatTime(at, video.duration)}${video.duration < 120 ? " s" : ""}` },
    ];
    return lines.concat(curves.read(canvas, at));
  }

  function detectionLines(detector, i) {
    const { start, end, score, label, overlap } = video.detections[detector.index];
    const lines = [
      { text: classes[label[i]], colour: classColour(label[i]), strong: true },
      { text: stretch(start[i], end[i]) },
      { text: `score ${formatScore(score[i])}` },
    ];
    if (several) lines.splice(1, 0, { text: detector.name, detector });
    if (overlap) lines.push({ text: `tIoU ${overlap[i].toFixed(2)}` });
    return lines;
  }

  function truthLines(i) {
    const { start, end, label } = video.truth;
    const state = (detector) => (isFound(video, detector, i) ? "found" : "missed");
    const lines = [
      { text: classes[label[i]], colour: classColour(label[i]), strong: true },
      { text: stretch(start[i], end[i]) },
    ];
    if (!several) return [...lines, { text: `ground truth, ${state(detectors[0])}` }];
    const each = switchedOn(detectors).map((detector) => ({
      text: `${state(detector)} by ${detector.name}`,
      detector,
    }));
    return [...lines, { text: "ground truth" }, ...each];
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
    // After a detector's threshold moved or, `switched`, one went on or off.
    update(switched) {
      if (switched) {
        curves.build(video.curves);
        draw();
        return;
      }
      classRows.build();
      classRows.draw();
    },
    select: classRows.select,
  };
}
