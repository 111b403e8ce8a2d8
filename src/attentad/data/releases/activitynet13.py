"""ActivityNet v1.3: how much of a video its public features cover, and what is taken for 100 %.

BMN's public features end with the last whole block of 16 frames; its code divides times in training
by the part that is covered, and multiplies them in detection by another estimate of that part.
Source: spec csa §5.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from attentad.core import Annotations, AttentadError
from attentad.core.files import read_json
from attentad.core.formats.csv_rows import read_csv_rows
from attentad.data.clocks import frame_rate

DURATION_REFS: Final = ("annotated", "feature_frames", "floor16")
SNIPPET_FRAMES: Final = 16

# Names of duration, frames and frames with features, in each layout.
_JSON_KEYS: Final = (
    ("duration", "frames", "feature_frames"),
    ("duration_second", "duration_frame", "feature_frame"),
)
_CSV_KEYS: Final = ("seconds", "numFrame", "featureFrame")


@dataclass(frozen=True)
class FrameCounts:
    """Lengths of one video."""

    duration_sec: float
    frames: int
    feature_frames: int | None = None  # how many the features cover, where the file says it


def read_frame_counts(path: str | Path) -> dict[str, FrameCounts]:
    """Read the lengths of videos, ids without a leading `v_`.

    Args:
        path: ActivityNet JSON (`.json.gz` too) with `duration`, `frames` and `feature_frames` per
            video; the flat JSON of BMN (`duration_second`, `duration_frame`, `feature_frame`); or
            its CSV with the columns video, numFrame, seconds, featureFrame. Videos without the
            first two are left out.

    Raises:
        AttentadError: the file is missing or malformed, says nothing of that, or a number is not
            positive.
    """
    path = Path(path)
    if path.suffix.lower() == ".csv":
        rows = read_csv_rows(path, ("video", *_CSV_KEYS))
        found = {row["video"]: _counts(row, _CSV_KEYS, where) for where, row in rows}
    else:
        content = read_json(path)
        database = content.get("database", content) if isinstance(content, dict) else None
        if not isinstance(database, dict):
            raise AttentadError(f"{path} must be a JSON object of video id → entry.")
        found = {}
        for video, entry in database.items():
            if isinstance(entry, dict):
                keys = _JSON_KEYS[0] if "duration" in entry else _JSON_KEYS[1]
                found[str(video)] = _counts(entry, keys, f"{path}: video {video}")
    counts = {video.removeprefix("v_"): known for video, known in found.items() if known}
    if not counts:
        raise AttentadError(
            f"{path} says of no video how many frames it has; data.duration_ref needs a file with "
            "duration, frames and feature_frames per video."
        )
    return counts


def reference_duration_sec(counts: FrameCounts, rule: str) -> float:
    """The time that is taken for 100 % of a video.

    Args:
        counts: lengths of the video.
        rule: `annotated`, the whole video; `feature_frames`, the part that has features (BMN and
            G-TAD in training; may slightly exceed the video); `floor16`, the whole blocks of 16
            frames (BMN in detection).

    Raises:
        AttentadError: an unknown rule, or the video lacks what it needs.
    """
    if rule == "annotated":
        return counts.duration_sec
    if rule == "feature_frames":
        covered = counts.feature_frames
        if covered is None:
            raise AttentadError("duration_ref feature_frames needs feature_frames of every video.")
    elif rule == "floor16":
        # A video shorter than a block has one row of features all the same.
        covered = max(counts.frames // SNIPPET_FRAMES, 1) * SNIPPET_FRAMES
    else:
        raise AttentadError(f"duration_ref is one of {', '.join(DURATION_REFS)}, not {rule!r}.")
    return covered / counts.frames * counts.duration_sec


def with_reference_durations(
    annotations: Annotations, counts: Mapping[str, FrameCounts], rule: str
) -> Annotations:
    """The annotations with every duration replaced by the reference; instances stay as they are.

    Raises:
        AttentadError: as `reference_duration_sec`, or a video has no counts; names the video.
    """
    if rule == "annotated":
        return annotations
    videos = {}
    for video, item in annotations.videos.items():
        counted = counts.get(video.removeprefix("v_"))
        if counted is None:
            raise AttentadError(
                f"duration_ref {rule} needs the frame counts of video {video}; add them to the "
                "file of data.frame_counts."
            )
        try:
            duration = reference_duration_sec(counted, rule)
        except AttentadError as error:
            raise AttentadError(f"video {video}: {error}") from None
        # A frame rate told by frames and duration is that of the whole video.
        videos[video] = replace(item, duration_sec=duration, fps=frame_rate(item))
    return replace(annotations, videos=videos)


def _counts(entry: Mapping[str, Any], keys: tuple[str, str, str], where: str) -> FrameCounts | None:
    values = [entry.get(key) for key in keys]
    if values[0] in (None, "") or values[1] in (None, ""):
        return None
    try:
        numbers = [None if value in (None, "") else float(value) for value in values]
    except (TypeError, ValueError):
        numbers = [0.0]
    if not all(number is None or 0 < number < float("inf") for number in numbers):
        raise AttentadError(f"{where}: {', '.join(keys)} must be positive numbers, not {values}.")
    duration_sec, frames, covered = numbers
    assert duration_sec is not None
    assert frames is not None
    return FrameCounts(duration_sec, int(frames), None if covered is None else int(covered))
