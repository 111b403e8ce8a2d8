"""Label Studio: exports of video timelines, and predictions that it imports."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from attentad.core.errors import AttentadError
from attentad.core.files import write_json
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.marks import Marks, check_frames
from attentad.core.formats.source import Source, video_of
from attentad.core.notes import note
from attentad.core.wording import first_few

# Frames per second that Label Studio counts with where a project names none.
_DEFAULT_FPS = 24.0
_RATES = ("fps", "framerate", "frameRate", "frame_rate")
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
_TIMELINE = "timelinelabels"


def holds_label_studio(source: Source) -> bool:
    """A list of tasks with data, each with annotations or predictions."""
    whole = source.json
    return isinstance(whole, list) and any(
        isinstance(task, dict)
        and isinstance(task.get("data"), dict)
        and bool({"annotations", "predictions", "completions"} & set(task))
        for task in whole
    )


def read_label_studio(source: Source) -> Contents:
    """The whole export, a list of tasks; timeline ranges are in frames from 1, both included.

    The frame rate is given, or the task's own (`fps` in its data, which the project's
    `frameRate="$fps"` uses), or Label Studio's 24, which a note says. Of several annotations of a
    task the first is read, and predictions where there is none.

    Raises:
        AttentadError: a task is laid out otherwise.
    """
    gathered, unread, assumed = Gathered(source.path), list[str](), list[str]()
    for number, task in enumerate(source.json, start=1):
        where = f"{source.path}: task {number}"
        try:
            video = _video(task["data"])
            rate = source.fps or _rate(task["data"])
            results = _results(task, where)
            ranges = list(_ranges(results, where, unread))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise AttentadError(
                f"{where} is not laid out as Label Studio exports JSON; export it again."
            ) from None
        if rate is None and any(item.in_frames for item in ranges):
            assumed.append(video)
        gathered.video(video, where, fps=rate)
        fps = rate or _DEFAULT_FPS
        for item in ranges:
            start, end = item.start, item.end
            if item.in_frames:
                start, end = (start - 1) / fps, end / fps
            gathered.instance(video, (start, end), item.label, where)
    if assumed:
        note(
            f"{source.path} counts frames and does not say how many there are a second: 24 were "
            f"taken, Label Studio's default, for {first_few(assumed)}; give the project's "
            "frameRate to `attentad convert` as --fps if it is another."
        )
    if unread:
        note(
            f"{source.path}: {len(unread)} results mark no time and were left out: "
            f"{first_few(sorted(set(unread)))}."
        )
    return Contents(gathered.annotations())


def write_label_studio(path: Path, videos: Mapping[str, Marks]) -> None:
    """Write tasks with predictions, to be imported into a project with timeline labels.

    Its labelling configuration names the video `video`, the labels `timeline` and takes the frame
    rate from the task: `<Video name="video" value="$video" frameRate="$fps"/>`.
    """
    tasks, assumed = [], []
    for video, marks in videos.items():
        rate = marks.fps
        if rate is None:
            assumed.append(video)
            rate = _DEFAULT_FPS
        check_frames(path, video, marks, rate)
        tasks.append(
            {
                "data": {"video": video, "fps": rate},
                "predictions": [
                    {
                        "model_version": "attentad",
                        "result": [_result(marks, row, rate) for row in range(len(marks.labels))],
                    }
                ],
            }
        )
    if assumed:
        note(
            f"{path} counts frames, and nothing says how many there are a second in "
            f"{first_few(assumed)}; 24 were taken, Label Studio's default."
        )
    write_json(path, tasks)


class _Range(NamedTuple):
    start: float
    end: float
    label: str
    in_frames: bool


def _result(marks: Marks, row: int, fps: float) -> dict[str, Any]:
    start, end = marks.segments[row].tolist()
    first = math.floor(round(start * fps, 6)) + 1
    last = max(math.ceil(round(end * fps, 6)), first)
    result: dict[str, Any] = {
        "id": f"attentad-{row}",
        "from_name": "timeline",
        "to_name": "video",
        "type": _TIMELINE,
        "value": {"ranges": [{"start": first, "end": last}], _TIMELINE: [marks.labels[row]]},
    }
    if marks.scores is not None:
        result["score"] = float(marks.scores[row])
    return result


def _video(data: Mapping[str, Any]) -> str:
    """The file in a task's data: under `video`, or the first text that looks like a file."""
    texts = [data.get("video"), data.get("video_url"), *data.values()]
    file = next((text for text in texts if isinstance(text, str) and text), "")
    if not file:
        raise ValueError("no file")
    name = video_of(file.partition("?")[0])
    # Uploaded files get a prefix of their own.
    return _UPLOADED.sub("", name, count=1) if "/upload/" in file else name


def _rate(data: Mapping[str, Any]) -> float | None:
    value = next((data[name] for name in _RATES if name in data), None)
    number = 0.0 if value is None else float(value)
    return number if 0 < number < math.inf else None


def _results(task: Mapping[str, Any], where: str) -> list[Any]:
    done = [
        item
        for item in task.get("annotations") or task.get("completions") or []
        if not item.get("was_cancelled")
    ]
    if len(done) > 1:
        note(f"{where} has {len(done)} annotations; the first was read.")
    predicted = task.get("predictions") or []
    if not done and predicted and isinstance(predicted[0], dict):
        done = predicted[:1]
    return list(done[0]["result"]) if done else []


def _ranges(results: list[Any], where: str, unread: list[str]) -> Iterator[_Range]:
    for result in results:
        value = result.get("value", {})
        if result.get("type") == _TIMELINE:
            for item in value["ranges"]:
                for label in value[_TIMELINE]:
                    yield _Range(float(item["start"]), float(item["end"]), label, True)
        elif result.get("type") == "labels" and {"start", "end", "labels"} <= set(value):
            # Audio, and video beside it, are labelled in seconds.
            for label in value["labels"]:
                yield _Range(float(value["start"]), float(value["end"]), label, False)
        else:
            unread.append(str(result.get("type")))
