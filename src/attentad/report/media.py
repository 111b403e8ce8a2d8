"""How a page plays a video: embedded when it is small, linked, or not at all and why."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from attentad.core import AttentadError
from attentad.report.content import VideoPage

# What today's browsers play. HEVC depends on the machine: the page reports a failure itself.
MIME_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
}
CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "libaom-av1"})


@dataclass(frozen=True)
class Media:
    """How one video can be played.

    Args:
        kind: `embedded`, `linked` or `none`.
        source: the file, where it is embedded.
        mime: media type for the browser.
        href: address relative to the page, where it is linked.
        note: a sentence that says why there is no picture, for `none`.
    """

    kind: str
    source: Path | None = None
    mime: str = ""
    href: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, str]:
        """What the page's script needs to know."""
        return {"kind": self.kind, "mime": self.mime, "href": self.href, "note": self.note}

    def content(self) -> str:
        """The file in base64.

        Raises:
            AttentadError: it cannot be read.
        """
        if self.source is None:
            return ""
        try:
            return base64.b64encode(self.source.read_bytes()).decode("ascii")
        except OSError as error:
            raise AttentadError(f"{self.source} could not be read ({error.strerror}).") from error


def place_media(
    videos: Iterable[VideoPage], folder: Path, *, embed_limit_bytes: int, embed_total_bytes: int
) -> list[Media]:
    """Decide for each video, in order, how a page in `folder` plays it.

    Args:
        videos: the report's videos.
        folder: where the page will lie; links are relative to it.
        embed_limit_bytes: larger files are linked.
        embed_total_bytes: files beyond this sum are linked.
    """
    left = embed_total_bytes
    placed = []
    for video in videos:
        media = _place(video.source, folder, min(embed_limit_bytes, left))
        if media.source is not None:
            left -= media.source.stat().st_size
        placed.append(media)
    return placed


def _place(source: Path | None, folder: Path, limit_bytes: int) -> Media:
    if source is None:
        return Media("none", note="No video file was given for this one.")
    if not source.is_file():
        return Media("none", note=f"The video file {source.name} was not there.")
    obstacle = _obstacle(source)
    if obstacle:
        return Media("none", note=obstacle)
    mime = MIME_TYPES[source.suffix.lower()]
    if source.stat().st_size <= limit_bytes:
        return Media("embedded", source=source, mime=mime)
    return Media("linked", mime=mime, href=_address(source, folder))


def _obstacle(source: Path) -> str:
    """Why browsers cannot play the file, as a sentence; empty when they can."""
    # The decoder is loaded for pages with videos only: an evaluation's tables need none.
    from attentad.video import probe

    try:
        codec = probe(source).codec.lower()
    except AttentadError:
        return f"{source.name} could not be opened as a video."
    suffix = source.suffix.lower()
    if suffix in MIME_TYPES and codec in CODECS:
        return ""
    kind = f"{codec} in {suffix.lstrip('.').upper() or 'an unnamed container'}"
    return (
        f"Browsers do not play {source.name} ({kind}). The detections are unaffected; convert "
        "the file to H.264 in MP4 to see it here."
    )


def _address(source: Path, folder: Path) -> str:
    """URL of the file relative to the page; quoting keeps a name from becoming a scheme."""
    try:
        relative = os.path.relpath(source.resolve(), folder.resolve())
    except ValueError:  # another drive
        return source.resolve().as_uri()
    return quote(Path(relative).as_posix().encode("utf-8", "surrogateescape"))
