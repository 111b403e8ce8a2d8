"""Opening a video file: the stream that players show, and errors a person can use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from attentad.core.errors import AttentadError, UnreadableError
from attentad.video.streams import moving_streams

# FFmpeg draws text files and old bitmap fonts as if they were films.
_TEXT_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf"})


@dataclass(frozen=True)
class OpenVideo:
    """A video file that is open.

    Args:
        name: its path, for sentences.
        container: FFmpeg's view of the file.
        stream: what is read of it, ready to decode on several threads.
        note: a sentence where the file holds several videos, saying which one is read.
    """

    name: str
    container: InputContainer
    stream: VideoStream
    note: str | None


@contextmanager
def opened(path: Path) -> Iterator[OpenVideo]:
    """Open a video file at the stream that players show.

    Raises:
        AttentadError: the file is missing, cannot be read, is no video, has sound only, or is
            coded in a way that FFmpeg does not know.
    """
    name = shown_name(path)
    with _container(path) as container:
        streams = moving_streams(container)
        if not streams:
            what = "sound but no video" if container.streams.audio else "no video"
            raise UnreadableError(f"{name} holds {what}; give a file with a video stream.")
        chosen, several = streams[0].index, len(streams)
        if len(container.streams.video) == 1:
            yield OpenVideo(name, container, _ready(streams[0], name), None)
            return
    # Looking at several streams has read on in the file.
    with _container(path) as container:
        stream = next(s for s in container.streams.video if s.index == chosen)
        note = (
            f"{name} holds {several} video streams; the one that players show is read "
            f"(stream {chosen}, {stream.width}x{stream.height} px)."
        )
        yield OpenVideo(name, container, _ready(stream, name), note if several > 1 else None)


def shown_name(path: Path) -> str:
    """The path for a sentence: bytes that are no text, as old disks have, are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


@contextmanager
def _container(path: Path) -> Iterator[InputContainer]:
    name = shown_name(path)
    if path.is_dir():
        raise AttentadError(f"{name} is a folder; give a video file.")
    if not path.exists():
        raise AttentadError(f"{name} does not exist; check the path.")
    try:
        # With the protocol named, a colon in a file's name is no protocol of its own. Titles and
        # the like are written in whatever code page somebody had, and are not read here.
        container = av.open(f"file:{path}", metadata_errors="replace")
    except (FFmpegError, OSError) as error:
        raise UnreadableError(
            f"{name} cannot be opened as a video ({error.strerror}); check that it is a complete "
            "video file."
        ) from error
    with container:
        if container.format.name in _TEXT_FORMATS:
            raise UnreadableError(f"{name} is a text file; give a video file.")
        yield container


def _ready(stream: VideoStream, name: str) -> VideoStream:
    if stream.codec_context is None:
        raise UnreadableError(
            f"{name} is coded in a way that this build of FFmpeg cannot decode; convert it, "
            "for example to H.264."
        )
    stream.thread_type = "AUTO"
    return stream
