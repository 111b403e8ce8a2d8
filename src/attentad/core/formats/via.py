"""VIA 3, the VGG Image Annotator: projects with temporal segments of videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attentad.core.errors import AttentadError
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.source import Source, video_of
from attentad.core.notes import note
from attentad.core.wording import first_few, number_of


def holds_via(source: Source) -> bool:
    """A project of VIA 3."""
    whole = source.json
    return isinstance(whole, dict) and {"metadata", "file", "view", "attribute"} <= set(whole)


def read_via(source: Source) -> Contents:
    """The metadata with two times or more, in seconds, as a segment from the first to the last.

    The label is the value of its attribute, by the name of the option where there are options; of
    several attributes each is an instance. What marks a picture, or a moment, is left out.

    Raises:
        AttentadError: the project is laid out otherwise.
    """
    whole, gathered = source.json, Gathered(source.path)
    left: list[str] = []
    try:
        videos = {view: _video(whole, view) for view in whole["view"]}
        for video in videos.values():
            gathered.video(video, str(source.path))
        for key, item in whole["metadata"].items():
            where = f"{source.path}: metadata {key}"
            times = item["z"]
            if len(times) < 2:
                left.append(key)
                continue
            video = videos[str(item["vid"])]
            names = [_label(whole, attribute, value) for attribute, value in item["av"].items()]
            if not names:
                raise AttentadError(f"{where}: video {video} has a segment without a label.")
            for name in names:
                gathered.instance(video, (times[0], times[-1]), name, f"{where}: video {video}")
    except (KeyError, TypeError, AttributeError, IndexError):
        raise AttentadError(
            f"{source.path} is not laid out as a project of VIA 3; save it again."
        ) from None
    if left:
        told = number_of(left, "mark")
        note(f"{source.path}: {told} without a duration, left out: {first_few(left)}.")
    return Contents(gathered.annotations())


def _video(whole: Mapping[str, Any], view: str) -> str:
    file = whole["file"][str(whole["view"][view]["fid_list"][0])]
    return video_of(file["fname"])


def _label(whole: Mapping[str, Any], attribute: str, value: Any) -> Any:
    kind = whole["attribute"].get(attribute, {})
    options = kind.get("options", {})
    return options.get(value, value) if isinstance(value, str) else value
