// Wiring: the state of the page is the selected video, and each detector's threshold and switch.

const data = JSON.parse(byId("data").textContent);

function start() {
  drawLosses(data.losses, data.detectors);
  if (!data.videos.length) {
    const notice = byId("no-videos");
    if (notice) notice.hidden = false;
    return;
  }
  byId("viewer").hidden = false;
  const { classes, videos } = data;
  let current = 0;

  const annotated = videos.some((video) => video.truth?.label.length);
  const detectors = createDetectors(data.detectors, annotated, update);
  const updateNow = createNowLine(classes, detectors);
  const player = createPlayer((time) => {
    timeline.setTime(time);
    updateNow(videos[current], time);
  });
  const timeline = createTimeline({
    classes,
    detectors,
    onSeek: player.seek,
    onSelect: (detector, i) => select(detector, i, true),
  });
  const table = createDetectionTable({
    classes,
    detectors,
    onSelect: (detector, i) => select(detector, i, false),
  });
  const showProfiles = createProfiles(detectors);
  const list = createVideoList(videos, detectors, choose);

  function choose(index) {
    current = clamp(index, 0, videos.length - 1);
    const video = videos[current];
    byId("video-name").textContent = video.id;
    byId("video-facts").textContent = describe(video);
    byId("hint-play").hidden = video.media.kind === "none";
    for (const item of document.querySelectorAll('[data-key="truth"]')) item.hidden = !video.truth;
    timeline.show(video);
    showProfiles(video);
    table.show(video);
    list.select(current);
    player.show(video.media, current, video.duration);
    byId("previous").disabled = current === 0;
    byId("next").disabled = current === videos.length - 1;
    history.replaceState(null, "", `#${encodeURIComponent(video.id)}`);
  }

  function select(detector, index, scroll) {
    timeline.select(detector, index);
    table.select(detector, index, scroll);
    player.seek(videos[current].detections[detector].start[index]);
  }

  function update(switched) {
    list.update();
    timeline.update(switched);
    if (switched) showProfiles(videos[current]);
    table.update();
    updateNow(videos[current], player.time());
  }

  function describe(video) {
    const seconds = `${formatTime(video.duration, video.duration)}${video.duration < 120 ? " s" : ""}`;
    const truth = video.truth ? plural(video.truth.label.length, "true action") : "no ground truth";
    return `${seconds} · ${truth}`;
  }

  byId("previous").addEventListener("click", () => choose(current - 1));
  byId("next").addEventListener("click", () => choose(current + 1));

  // After a click the keys are the page's again; whoever came by keyboard keeps the focus.
  document.addEventListener("click", (event) => {
    if (event.detail > 0 && event.target.closest("button, .table-scroll")) {
      document.activeElement?.blur();
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const node = event.target;
    // Fields, the native video controls and buttons keep their own keys.
    if (node.closest("input, select, textarea, video, .table-scroll")) return;
    if (event.key === "ArrowLeft" && current > 0) choose(current - 1);
    else if (event.key === "ArrowRight" && current < videos.length - 1) choose(current + 1);
    else if (event.key === " " && !node.closest("button, a") && player.playable()) player.toggle();
    else return;
    event.preventDefault();
  });

  const wanted = fromHash();
  const index = videos.findIndex((video) => video.id === wanted.id);
  choose(Math.max(0, index));
  if (index >= 0 && wanted.time > 0) player.seek(wanted.time);
  update(false);
}

// The video that the address names, so that a link or a reload returns to it, and the second in
// it: #ID or #ID&t=12.5, the id percent-encoded.
function fromHash() {
  const [id, time] = location.hash.slice(1).split("&t=");
  try {
    return { id: decodeURIComponent(id), time: Number(time) || 0 };
  } catch {
    return { id: "", time: 0 };
  }
}

start();
