"""BMN's flat JSON of ActivityNet, which BSN and mmaction2 use too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attentad.core.formats.activitynet import entries
from attentad.core.formats.csv_rows import read_csv_rows
from attentad.core.formats.gathered import Contents
from attentad.core.formats.source import Source
from attentad.core.notes import note

_INFO = "video_info_new.csv"


def holds_bmn(source: Source) -> bool:
    """An object of video id → object with a list of annotations."""
    whole = source.json
    return (
        isinstance(whole, dict)
        and bool(whole)
        and all(isinstance(entry, dict) for entry in whole.values())
        and any(isinstance(entry.get("annotations"), list) for entry in whole.values())
    )


def read_bmn(source: Source) -> Contents:
    """`{video: {"duration_second", "duration_frame", "annotations": [{"segment", "label"}, …]}}`.

    The subset is that of `video_info_new.csv` beside the file, or of the file's name
    (`anet_anno_train.json`). A `v_` before every id is taken away: ActivityNet's have none.

    Raises:
        AttentadError: an entry is not what it must be.
    """
    whole: Mapping[str, Any] = source.json
    subsets = _subsets(source.path.with_name(_INFO))
    if all(video.startswith("v_") for video in whole):
        whole = {video.removeprefix("v_"): entry for video, entry in whole.items()}

    def facts(video: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "duration": entry.get("duration_second", entry.get("duration")),
            "frames": entry.get("duration_frame"),
            "fps": entry.get("fps"),
            "subset": entry.get("subset") or subsets.get(video) or source.subset,
        }

    contents = entries(source, whole, facts_of=facts)
    if not any(item.subset for item in contents.videos.values()):
        note(
            f"{source.path} says of no video which subset it is in; put {_INFO} beside it or "
            "name it after its subset, such as anet_anno_train.json."
        )
    return contents


def _subsets(info: Path) -> dict[str, str]:
    """Video id without `v_` → its subset."""
    if not info.is_file():
        return {}
    rows = read_csv_rows(info, ("video", "subset"))
    return {row["video"].strip().removeprefix("v_"): row["subset"].strip() for _, row in rows}
