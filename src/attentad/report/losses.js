// Loss curves: one line chart for the training terms, one for each validation value.

const CHART = { width: 330, height: 180, left: 40, right: 10, top: 8, bottom: 32 };

function drawLosses(losses, detectors) {
  for (const { detector, terms } of losses) {
    const lines = Object.entries(terms).map(([name, values]) => ({ name, values }));
    const validation = lines.filter(({ name }) => name.startsWith("val_"));
    const before = nameBefore(detectors, detector);
    drawChart(
      `${before}Loss`,
      lines.filter((line) => !validation.includes(line)),
    );
    drawChart(
      `${before}Validation`,
      validation.map(({ name, values }) => ({ name: name.slice(4), values })),
    );
  }
}

function drawChart(title, series) {
  if (series.length) byId("losses").append(chart(title, series));
}

function chart(title, series) {
  const hidden = new Set();
  const canvas = svg("svg", {
    class: "chart",
    viewBox: `0 0 ${CHART.width} ${CHART.height}`,
    role: "img",
  });
  canvas.setAttribute(
    "aria-label",
    `${title} by epoch: ${series.map((line) => line.name).join(", ")}`,
  );
  const reading = element("span", { class: "muted reading" });
  const legend = element("div", { class: "legend", role: "group", "aria-label": title });
  series.forEach((line, index) => {
    line.colour = classColour(index);
    const button = element(
      "button",
      { type: "button", class: `toggle ${line.colour}`, "aria-pressed": true },
      element("i", { class: "stroke" }),
      line.name,
    );
    button.addEventListener("click", () => {
      const hide = !hidden.delete(line.name);
      if (hide) hidden.add(line.name);
      button.setAttribute("aria-pressed", String(!hide));
      draw();
    });
    legend.append(button);
  });

  const epochs = Math.max(...series.map((line) => line.values.length));
  const x = (epoch) =>
    CHART.left + ((epoch - 1) / Math.max(1, epochs - 1)) * (CHART.width - CHART.left - CHART.right);

  function draw() {
    canvas.replaceChildren();
    const shown = series.filter((line) => !hidden.has(line.name));
    const [low, high] = extent(shown.map((line) => line.values));
    const ticks = niceTicks(Math.min(0, low), high, 4);
    const [bottom, top] = [ticks[0], ticks.at(-1)];
    const floor = CHART.height - CHART.bottom;
    const y = (value) => floor - ((value - bottom) / (top - bottom)) * (floor - CHART.top);
    for (const tick of ticks) {
      const at = y(tick).toFixed(1);
      canvas.append(
        svg("line", {
          class: "grid",
          x1: CHART.left,
          x2: CHART.width - CHART.right,
          y1: at,
          y2: at,
        }),
        svg(
          "text",
          { x: CHART.left - 6, y: Number(at) + 3.5, "text-anchor": "end" },
          formatNumber(tick),
        ),
      );
    }
    for (const epoch of epochTicks(epochs)) {
      canvas.append(
        svg("text", { x: x(epoch).toFixed(1), y: floor + 14, "text-anchor": "middle" }, epoch),
      );
    }
    const middle = (CHART.left + CHART.width - CHART.right) / 2;
    canvas.append(
      svg(
        "text",
        { class: "axis-title", x: middle, y: CHART.height - 4, "text-anchor": "middle" },
        "epoch",
      ),
      svg("line", {
        class: "base",
        x1: CHART.left,
        x2: CHART.width - CHART.right,
        y1: y(bottom),
        y2: y(bottom),
      }),
    );
    for (const line of shown) {
      const xs = line.values.map((_, i) => x(i + 1));
      const ys = line.values.map((value) => (value === null ? null : y(value)));
      canvas.append(svg("path", { class: `curve ${line.colour}`, d: linePath(xs, ys) }));
    }
    read(epochs);
  }

  // What the lines say at one epoch; the last unless the pointer is elsewhere.
  function read(epoch) {
    const parts = series
      .filter((line) => !hidden.has(line.name) && line.values[epoch - 1] != null)
      .map((line) => `${line.name} ${formatNumber(line.values[epoch - 1])}`);
    reading.textContent = parts.length ? `epoch ${epoch}: ${parts.join(", ")}` : "";
  }

  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * CHART.width;
    const share = (at - CHART.left) / (CHART.width - CHART.left - CHART.right);
    read(clamp(Math.round(share * (epochs - 1)) + 1, 1, epochs));
  });
  canvas.addEventListener("pointerleave", () => read(epochs));

  draw();
  return element("figure", {}, element("figcaption", {}, title), legend, canvas, reading);
}

function epochTicks(epochs) {
  if (epochs === 1) return [1];
  return niceTicks(1, epochs, 6)
    .map(Math.round)
    .map((tick) => Math.max(1, tick))
    .filter((tick, i, all) => tick <= epochs && all.indexOf(tick) === i);
}
