// The note beside the pointer.

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
            line.detector ? detectorMark(line.detector) : null,
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
