// The video element, or a bare clock where there is no picture. Everybody seeks through here.

function createPlayer(onTime) {
  const media = byId("video");
  const note = byId("video-note");
  let blobUrl = "";
  let playable = false;
  let duration = 1;
  let time = 0;
  let pending = null; // asked for before the file's length was known

  function show(description, index) {
    media.pause();
    media.removeAttribute("src");
    if (blobUrl) URL.revokeObjectURL(blobUrl);
    blobUrl = "";
    time = 0;
    pending = null;
    playable = description.kind !== "none";
    explain(playable ? "" : description.note);
    if (description.kind === "embedded") {
      blobUrl = URL.createObjectURL(embeddedFile(index, description.mime));
      media.src = blobUrl;
    } else if (description.kind === "linked") {
      media.src = description.href;
    } else {
      media.load();
    }
    onTime(0);
  }

  function explain(text) {
    note.textContent = text;
    note.hidden = !text;
    media.hidden = Boolean(text);
  }

  function seek(seconds) {
    time = clamp(seconds, 0, duration);
    if (playable && media.readyState > 0) media.currentTime = time;
    else if (playable) pending = time;
    onTime(time);
  }

  function toggle() {
    if (!playable) return;
    if (media.paused) media.play().catch(() => {});
    else media.pause();
  }

  function follow() {
    if (!playable) return;
    time = media.currentTime;
    onTime(time);
    if (!media.paused && !media.ended) requestAnimationFrame(follow);
  }

  media.addEventListener("play", follow);
  media.addEventListener("loadedmetadata", () => {
    const ratio = media.videoWidth / Math.max(1, media.videoHeight) || 1.6;
    byId("stage").style.setProperty("--ratio", clamp(ratio, 0.6, 2.4).toFixed(3));
    if (pending !== null) media.currentTime = pending;
    pending = null;
  });
  for (const name of ["seeked", "pause", "ended"]) {
    media.addEventListener(name, () => {
      if (playable && pending === null) follow();
    });
  }
  media.addEventListener("error", () => {
    if (!playable || !media.hasAttribute("src")) return;
    const linked = !blobUrl;
    playable = false;
    explain(
      linked
        ? "The linked video file was not found beside this page, or this browser cannot play it."
        : "This browser cannot play the embedded video.",
    );
    onTime(time);
  });

  return {
    show(description, index, seconds) {
      duration = seconds;
      show(description, index);
    },
    seek,
    toggle,
    time: () => time,
    playable: () => playable,
  };
}

function embeddedFile(index, mime) {
  const text = atob(byId(`media-${index}`).textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return new Blob([bytes], { type: mime });
}
