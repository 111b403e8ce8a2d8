"""`attentad extract`: video files → feature files with sidecars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from attentad.core import AttentadError
from attentad.models.encode import find_videos, write_video_features


def extract(
    model_path: Path,
    inputs: Sequence[Path],
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write the features of video files and of those in folders; see `write_video_features`.

    Raises:
        AttentadError: see `video_features`; or two videos share a name.
    """
    videos = find_videos(inputs)
    by_name: dict[str, Path] = {}
    for path in videos:
        if path.stem in by_name:
            raise AttentadError(f"{by_name[path.stem]} and {path} share a name; rename one.")
        by_name[path.stem] = path
    return write_video_features(model_path, videos, out, progress)
