// Making elements, formatting numbers, and the arithmetic of axes. No state.
// Text from the report only ever enters the page as a text node or an attribute value.

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
const CLASS_COLOURS = 8;
const LINE_COLOURS = 4;

const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const element = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG_NAMESPACE, tag), attributes, children);

const TAIL = 12; // letters at the end of a long name that always stay

// A name that gives way in its middle where there is no room: files often differ at their ends.
function nameOf(text) {
  const letters = [...text];
  const tail = letters.length < 2 * TAIL ? 0 : TAIL;
  const head = letters.slice(0, letters.length - tail).join("");
  return element(
    "span",
    { class: "name", title: text, dir: "auto" },
    element("span", { class: "head" }, head),
    tail ? element("span", { class: "tail" }, letters.slice(-tail).join("")) : null,
  );
}

const classColour = (label) => `class-${label % CLASS_COLOURS}`;
const lineColour = (index) => `line-${index % LINE_COLOURS}`;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// 12.34 within two minutes, else 3:05.1 or 1:03:05.
function formatTime(seconds, duration, digits = duration < 120 ? 2 : 1) {
  if (duration < 120) return seconds.toFixed(digits);
  const unit = 10 ** digits;
  const rounded = Math.round(seconds * unit) / unit;
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor(rounded / 60) % 60;
  const rest = (rounded % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function formatScore(score) {
  if (score === 0) return "0";
  return Math.abs(score) < 0.01 ? score.toPrecision(2) : score.toFixed(3);
}

function formatNumber(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 10000 || size < 0.001) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

// Round steps of time: 1 2 5 s, then parts of minutes and hours.
const TIME_STEPS = [
  0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200,
  14400,
];

function timeTicks(from, to, pixels, spacing = 70) {
  const wanted = ((to - from) / Math.max(1, pixels)) * spacing;
  const step = TIME_STEPS.find((size) => size >= wanted) ?? TIME_STEPS.at(-1);
  const ticks = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-9; i += 1) {
    ticks.push(i * step);
  }
  return { ticks, step };
}

function timeLabel(seconds, duration, step) {
  const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
  return duration < 120 ? `${seconds.toFixed(digits)} s` : formatTime(seconds, duration, digits);
}

// About `count` round values that cover low..high.
function niceTicks(low, high, count) {
  const rough = (high - low || Math.abs(high) || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

// "M x y L x y …"; a missing value (null) ends a stroke, and a lone point becomes a dot.
function linePath(xs, ys) {
  const parts = [];
  let open = false;
  for (let i = 0; i < xs.length; i += 1) {
    if (ys[i] === null || xs[i] === null) {
      open = false;
      continue;
    }
    parts.push(`${open ? "L" : "M"}${xs[i].toFixed(1)} ${ys[i].toFixed(1)}`);
    const alone = !open && (i + 1 === xs.length || ys[i + 1] === null || xs[i + 1] === null);
    if (alone) parts.push("h0.01");
    open = true;
  }
  return parts.join("");
}

// The same line closed down to `floor`, stroke by stroke.
function areaPath(xs, ys, floor) {
  const parts = [];
  let run = [];
  const close = () => {
    if (run.length > 1) {
      const line = run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
      const [first, last] = [run[0][0], run.at(-1)[0]];
      parts.push(`M${first.toFixed(1)} ${floor}L${line}L${last.toFixed(1)} ${floor}Z`);
    }
    run = [];
  };
  xs.forEach((x, i) => (ys[i] === null || x === null ? close() : run.push([x, ys[i]])));
  close();
  return parts.join("");
}

// Lowest and highest of several columns, missing values left out.
function extent(columns) {
  let low = Infinity;
  let high = -Infinity;
  for (const column of columns) {
    for (const value of column) {
      if (value === null) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : [0, 1];
}

// Index of the last time that is not after `seconds`, or of the nearer neighbour.
function nearestIndex(times, seconds) {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= seconds) low = middle;
    else high = middle - 1;
  }
  const next = low + 1;
  const nearer = next < times.length && times[next] - seconds < seconds - times[low];
  return nearer ? next : low;
}

// Overlapping segments share a row's height: each in its turn takes the first free lane, or the
// last when there are as many lanes as there may be. Rows of [index, lane].
function packed(chosen, { start, end }, most) {
  const taken = [];
  const isFree = (i) => (others) => others.every((j) => end[j] <= start[i] || end[i] <= start[j]);
  const rows = chosen.map((i) => {
    const free = taken.findIndex(isFree(i));
    const lane = free >= 0 ? free : Math.min(taken.length, most - 1);
    (taken[lane] ??= []).push(i);
    return [i, lane];
  });
  return { rows, lanes: taken.length };
}
