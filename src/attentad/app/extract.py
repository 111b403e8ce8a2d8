"""`attentad extract`: video files → feature files with sidecars."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError, Timeline
from attentad.data.features import Sidecar, read_sidecar, write_features
from attentad.models.encode import snippet_features
from attentad.models.file import file_sha256, load_recogniser
from attentad.models.model import RecogniserModel
from attentad.video import VIDEO_SUFFIXES, frames, probe


def video_features(
    model: RecogniserModel, path: Path, progress: Callable[[int, int], None] | None = None
) -> tuple[NDArray[np.float32], Timeline]:
    """R of one video file, (T, C), and its timeline; the video is streamed.

    Raises:
        AttentadError: the file is missing, is not a video, or holds no pictures.
    """
    info = probe(path)
    sampling = model.sampling
    return snippet_features(
        model.network,
        frames(path, sampling.fps, size_px=sampling.size_px),
        info.duration_sec,
        sampling,
        mean=model.recipe.mean,
        std=model.recipe.std,
        progress=progress,
    )


def find_videos(inputs: Sequence[Path]) -> list[Path]:
    """The given files, and the video files of the given folders, in order.

    Raises:
        AttentadError: a path does not exist, or a folder holds no video.
    """
    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES)
            if not inside:
                raise AttentadError(f"{path} holds no video files ({', '.join(VIDEO_SUFFIXES)}).")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise AttentadError(f"{path} does not exist; check the path.")
    return found


def extract(
    model_path: Path,
    inputs: Sequence[Path],
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write `OUT/VIDEO.npy` and `OUT/VIDEO.json` for each video; finished ones are skipped.

    Args:
        model_path: a recogniser, or a detector with one inside.
        inputs: video files or folders of them.
        out: folder for the features.
        progress: called with (done, total) videos.

    Returns:
        One sentence for each truncated video that was read in part.

    Raises:
        AttentadError: see `video_features`; or two videos share a name.
    """
    videos = find_videos(inputs)
    by_name: dict[str, Path] = {}
    for path in videos:
        if path.stem in by_name:
            raise AttentadError(f"{by_name[path.stem]} and {path} share a name; rename one.")
        by_name[path.stem] = path
    model = load_recogniser(model_path)
    encoder = {
        "name": model.recipe.recogniser.name,
        "file": model_path.name,
        "sha256": file_sha256(model_path),
    }
    notes: list[str] = []
    for done, path in enumerate(videos):
        if progress is not None:
            progress(done, len(videos))
        target = out / f"{path.stem}.npy"
        if _is_done(target, encoder["sha256"], path.name):
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            features, timeline = video_features(model, path)
        notes += [str(warning.message) for warning in caught]
        width, classes = features.shape[1], len(model.classes)
        sidecar = Sidecar(
            fps=timeline.fps,
            stride_frames=timeline.stride_frames,
            window_frames=timeline.window_frames,
            offset_frames=timeline.offset_frames,
            duration_sec=timeline.duration_sec,
            encoder=encoder,
            score_columns=(width - classes, width),
            score_classes=model.classes,
            source=path.name,
        )
        write_features(target, features, sidecar)
    if progress is not None:
        progress(len(videos), len(videos))
    return notes


def _is_done(target: Path, encoder_sha256: str, source: str) -> bool:
    sidecar = target.with_suffix(".json")
    if not (target.exists() and sidecar.exists()):
        return False
    known = read_sidecar(sidecar)
    return known.encoder.get("sha256") == encoder_sha256 and known.source == source
