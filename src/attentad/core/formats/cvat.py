"""CVAT for video: tracks, each present from a frame on until it is outside."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from attentad.core.errors import AttentadError
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.source import Source, video_of


def holds_cvat(source: Source) -> bool:
    """The root element is `annotations`."""
    return source.xml is not None and source.xml.tag == "annotations"


def read_cvat(source: Source) -> Contents:
    """Tracks of `CVAT for video 1.1`: an instance where one is present, with its label.

    A shape stands until the next of its track, the last one for one frame. Frames are counted as
    in the task, which may begin later and take every n-th only.

    Raises:
        AttentadError: there is no track, a value is not what it must be, or nothing says how many
            frames a second has.
    """
    root = source.xml
    assert root is not None
    tracks = root.findall("track")
    if not tracks:
        raise AttentadError(
            f"{source.path} has no tracks, which have a beginning and an end; export the task as "
            "`CVAT for video 1.1`."
        )
    fps = source.frame_rate("frame=")
    tasks = {task.findtext("id", ""): task for task in root.iter("task")} or {"": root}
    gathered = Gathered(source.path)
    for number, track in enumerate(tracks):
        where = f"{source.path}: track {track.get('id', number)}"
        task = tasks.get(track.get("task_id", ""), next(iter(tasks.values())))
        if len(tasks) > 1 and track.get("task_id") not in tasks:
            raise AttentadError(f"{where} does not say of which task it is; export tasks apart.")
        video = _video(source, root, task)
        gathered.video(video, where, fps=fps)
        first, step = _frames_of(task, where)
        for span in _present(track, where):
            segment = [(first + step * frame) / fps for frame in span]
            gathered.instance(video, segment, track.get("label", ""), where)
    return Contents(gathered.annotations())


def _video(source: Source, root: ET.Element, task: ET.Element) -> str:
    named = task.findtext(".//source") or root.findtext("./meta/source") or task.findtext("name")
    return video_of(named) if named else source.video


def _frames_of(task: ET.Element, where: str) -> tuple[int, int]:
    """The video's frame at which the task begins, and how many one frame of the task goes on."""
    step = re.search(r"step\s*=\s*(\d+)", task.findtext(".//frame_filter") or "step=1")
    try:
        return int(task.findtext(".//start_frame") or 0), int(step[1]) if step else 1
    except ValueError:
        raise AttentadError(f"{where}: start_frame of its task is no number.") from None


def _present(track: ET.Element, where: str) -> list[tuple[int, int]]:
    """Frames from and to which a track is present, the latter not included."""
    try:
        shapes = sorted(
            (int(shape.attrib["frame"]), shape.get("outside") == "1")
            for shape in track
            if "frame" in shape.attrib
        )
    except ValueError:
        raise AttentadError(f"{where}: a frame is no whole number.") from None
    spans: list[tuple[int, int]] = []
    ends = [frame for frame, _ in shapes[1:]]
    for (frame, outside), end in zip(
        shapes, [*ends, shapes[-1][0] + 1] if shapes else [], strict=True
    ):
        if outside:
            continue
        if spans and spans[-1][1] == frame:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((frame, end))
    return spans
