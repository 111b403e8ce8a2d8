// What is said of each channel, whatever the time: a small chart each, the highest value first.

const PROFILE = { width: 260, height: 66, left: 26, right: 6, top: 6, bottom: 16 };

function createProfiles(detectors) {
  const host = byId("profiles");

  return function show(video) {
    const shown = video.profiles.filter((profile) => detectors[profile.detector].on);
    host.replaceChildren(...shown.map((profile) => profileChart(profile, detectors)));
    host.hidden = !shown.length;
  };
}

function profileChart(profile, detectors) {
  const { width, height, left, right, top, bottom } = PROFILE;
  const { count, value, mean } = profile;
  const name = `${nameBefore(detectors, profile.detector)}${profile.name}`;
  const facts = `${plural(count, "channel")}, mean ${mean === null ? "–" : formatNumber(mean)}`;
  const canvas = svg("svg", {
    class: `chart ${lineColour(0)}`,
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `${name}: ${facts}`,
  });
  const [low, high] = extent([value]);
  const ticks = low >= 0 && high <= 1 ? [0, 1] : niceTicks(low, high, 2);
  const [from, to] = [ticks[0], ticks.at(-1)];
  const y = (at) => height - bottom - ((at - from) / (to - from)) * (height - top - bottom);
  const x = (row) => left + (row / Math.max(1, value.length - 1)) * (width - left - right);
  for (const tick of [from, to]) {
    const at = y(tick).toFixed(1);
    canvas.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }));
    const place = { x: left - 5, y: y(tick) + 3, "text-anchor": "end" };
    canvas.append(svg("text", place, formatNumber(tick)));
  }
  const xs = value.map((_, row) => x(row));
  const ys = value.map(y);
  canvas.append(svg("path", { class: "area", d: areaPath(xs, ys, y(from).toFixed(1)) }));
  canvas.append(svg("path", { class: "curve", d: linePath(xs, ys) }));
  const below = { y: height - 3 };
  canvas.append(svg("text", { ...below, x: left }, "channels, highest first"));
  canvas.append(svg("text", { ...below, x: width - right, "text-anchor": "end" }, count));
  const caption = element("figcaption", {}, nameOf(name), element("span", {}, facts));
  return element("figure", {}, caption, canvas);
}
