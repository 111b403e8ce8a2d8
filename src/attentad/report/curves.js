// The curves under the timeline: one lane per detector and kind, with its scale and switches.

const LANE_HEIGHT = 62;
const TOOLTIP_CURVES = 12;

// `frame` is the timeline's: it makes plots, clears them and knows where a second lies.
function createCurves(host, detectors, frame) {
  const hidden = new Set(); // by group and name, kept from video to video
  const shownOf = (group) => group.curves.filter((curve) => !hidden.has(curve.key));

  function build(curves) {
    const shown = curves.filter((curve) => detectors[curve.detector].on);
    host.replaceChildren(...curveGroups(shown, detectors).map(lane));
  }

  function lane(group) {
    const canvas = frame.plot(LANE_HEIGHT, { class: "lane", role: "img" });
    canvas.group = group;
    const names = group.curves.map((curve) => curve.name).join(", ");
    canvas.setAttribute("aria-label", `${group.name}: ${names}`);
    const legend = element("div", { class: "legend", role: "group", "aria-label": group.name });
    legend.append(...group.curves.map((curve) => toggle(curve, canvas)));
    const name = nameOf(group.name);
    return element(
      "div",
      { class: "track lane-track" },
      element("div", { class: "label" }, name),
      element("div", { class: "lane-body" }, legend, canvas),
    );
  }

  function toggle(curve, canvas) {
    const button = element(
      "button",
      {
        type: "button",
        class: `toggle ${curve.colour}`,
        "aria-pressed": String(!hidden.has(curve.key)),
      },
      element("i", { class: "stroke" }),
      curve.name,
    );
    button.addEventListener("click", () => {
      const hide = !hidden.delete(curve.key);
      if (hide) hidden.add(curve.key);
      button.setAttribute("aria-pressed", String(!hide));
      drawLane(canvas);
    });
    return button;
  }

  function draw() {
    for (const canvas of host.querySelectorAll(".plot")) drawLane(canvas);
  }

  function drawLane(canvas) {
    const { group } = canvas;
    const shown = shownOf(group);
    const [low, high] = group.range;
    const y = (value) => LANE_HEIGHT - 4 - ((value - low) / (high - low)) * (LANE_HEIGHT - 10);
    frame.clear(canvas);
    for (const value of group.ticks) {
      const at = y(value);
      canvas.append(svg("line", { class: "grid", x1: 0, x2: frame.width(), y1: at, y2: at }));
    }
    for (const curve of shown) {
      const xs = curve.time.map((at) => (at === null ? null : frame.x(at)));
      const ys = curve.value.map((value) => (value === null ? null : y(value)));
      if (shown.length === 1) {
        const d = areaPath(xs, ys, y(low).toFixed(1));
        canvas.append(svg("path", { class: `area ${curve.colour}`, d }));
      }
      canvas.append(svg("path", { class: `curve ${curve.colour}`, d: linePath(xs, ys) }));
    }
    for (const value of [group.ticks[0], group.ticks.at(-1)]) {
      const place = { class: "value", x: -6, y: (y(value) + 3).toFixed(1), "text-anchor": "end" };
      canvas.append(svg("text", place, formatNumber(value)));
    }
  }

  // Lines for the tooltip: what the lane's curves say at a time.
  function read(canvas, at) {
    if (!canvas?.group) return [];
    return shownOf(canvas.group)
      .slice(0, TOOLTIP_CURVES)
      .map((curve) => {
        const value = curve.time.length ? curve.value[nearestIndex(curve.time, at)] : null;
        const text = `${curve.name} ${value === null ? "–" : formatNumber(value)}`;
        return { text, colour: curve.colour };
      });
  }

  return { build, draw, read };
}

// Curves by detector and kind, in order of appearance, each with its colour and the group's scale.
function curveGroups(curves, detectors) {
  const groups = new Map();
  let next = 0;
  for (const curve of curves) {
    const name = `${nameBefore(detectors, curve.detector)}${curve.kind}`;
    if (!groups.has(name)) groups.set(name, { name, curves: [] });
    const colour = curve.label >= 0 ? classColour(curve.label) : lineColour(next++);
    groups.get(name).curves.push({ ...curve, colour, key: `${name}\n${curve.name}` });
  }
  return [...groups.values()].map((group) => {
    const [low, high] = extent(group.curves.map((curve) => curve.value));
    const ticks = low >= 0 && high <= 1 ? [0, 0.5, 1] : niceTicks(low, high, 3);
    return { ...group, ticks, range: [ticks[0], ticks.at(-1)] };
  });
}
