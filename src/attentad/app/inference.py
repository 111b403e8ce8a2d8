"""From the features of one video to its detections: views, network, decoding, labels, NMS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attentad.app.model import DetectorModel
from attentad.core import AttentadError, Timeline, VideoDetections
from attentad.report import Curve
from attentad.suppression import (
    label_by_snippets,
    label_by_video,
    merge_windows,
)

BATCH = 16  # views at a time through the network
CLASS_CURVES = 10


@dataclass(frozen=True)
class VideoResult:
    """Detections of one video in seconds, sorted by score, and curves to look at."""

    detections: VideoDetections
    curves: list[Curve] = field(default_factory=list)


def detect_features(
    model: DetectorModel,
    features: NDArray[np.float32],
    timeline: Timeline,
    *,
    video: str,
    class_scores: NDArray[np.float32] | None = None,
) -> VideoResult:
    """Detect actions in the features of one video.

    Args:
        model: the detector; its recipe fixes view, decoding, labels and suppression.
        features: R, (n, C).
        timeline: where the n features lie in time.
        video: name for error sentences.
        class_scores: (K,) scores of the whole video, needed where the recipe labels by file.

    Raises:
        AttentadError: the features have another width than the model was trained on.
    """
    if features.shape[1] != model.feature_dim:
        raise AttentadError(
            f"the features of {video} are {features.shape[1]} wide, but the model takes "
            f"{model.feature_dim}; extract them with the encoder that the model was trained on."
        )
    views = model.views(features, timeline)
    decoded: list[VideoDetections] = []
    probabilities: list[dict[str, NDArray[np.float32]]] = []
    for first in range(0, len(views), BATCH):
        batch = views[first : first + BATCH]
        decoded_batch, curves_batch = _run(model, batch)
        decoded += decoded_batch
        probabilities += curves_batch
    scores = None if model.scores is None else model.scores.read(features)
    labelled = [
        _label(model, proposals, scores, timeline, video, class_scores) for proposals in decoded
    ]
    options = model.recipe.suppression.model_dump()
    max_frames = options.pop("max_length_frames")
    if max_frames is not None:
        options["max_length_sec"] = max_frames / timeline.fps
    kept = merge_windows(labelled, duration_sec=timeline.duration_sec, **options)
    curves = _join_curves([view_timeline for _, _, view_timeline in views], probabilities)
    return VideoResult(kept, curves + _class_curves(model, scores, timeline, kept))


@torch.inference_mode()
def _run(
    model: DetectorModel, views: list[Any]
) -> tuple[list[VideoDetections], list[dict[str, NDArray[np.float32]]]]:
    features = torch.from_numpy(np.stack([view.T for view, _, _ in views])).to(model.device)
    valid = torch.from_numpy(np.stack([mask for _, mask, _ in views])).to(model.device)
    timelines = [timeline for _, _, timeline in views]
    outputs = model.network(features, valid)
    decode = model.recipe.detector.decode
    detections = model.detector.decode(outputs, timelines, valid=valid, **decode)
    named = {
        name: getattr(outputs, name).float().cpu().numpy()
        for name in ("start", "end")
        if hasattr(outputs, name)
    }
    attention = getattr(model.network, "attention", {})
    for site, module in attention.items():
        if hasattr(module, "gates"):
            _, temporal = module.gates(features, valid)
            if temporal is not None:
                named[f"{site} gate over time"] = temporal.float().cpu().numpy()
    per_view = [
        {name: values[i][views[i][1]] for name, values in named.items()} for i in range(len(views))
    ]
    return detections, per_view


def _join_curves(
    timelines: list[Timeline], probabilities: list[dict[str, NDArray[np.float32]]]
) -> list[Curve]:
    """One curve per name over the video; where windows overlap, the earlier one speaks."""
    curves = []
    for name in probabilities[0]:
        times, values = [], []
        last = -np.inf
        for timeline, named in zip(timelines, probabilities, strict=True):
            centres = timeline.centres_sec()[: len(named[name])]
            new = centres > last
            times.append(centres[new])
            values.append(named[name][new])
            last = max(last, centres[-1])
        curves.append(Curve(name, np.concatenate(times), np.concatenate(values)))
    return curves


def _class_curves(
    model: DetectorModel,
    scores: NDArray[np.float32] | None,
    timeline: Timeline,
    detections: VideoDetections,
) -> list[Curve]:
    """Snippet scores of the classes that the best detections name, as many as a page can show."""
    if scores is None:
        return []
    named = list(dict.fromkeys(detections.labels.tolist()))[:CLASS_CURVES]
    times = timeline.centres_sec()
    return [Curve(model.classes[k], times, scores[:, k], "class scores") for k in sorted(named)]


def _label(
    model: DetectorModel,
    proposals: VideoDetections,
    scores: NDArray[np.float32] | None,
    timeline: Timeline,
    video: str,
    class_scores: NDArray[np.float32] | None,
) -> VideoDetections:
    labels = model.recipe.labels
    topk = min(labels.topk, len(model.classes))
    if not labels.by_snippets:
        if class_scores is None:
            raise AttentadError(
                f"the class-score file has no row for video {video}; add one or label by snippets."
            )
        return label_by_video(proposals, class_scores, topk=topk, fuse=labels.fuse)
    if scores is None:
        raise AttentadError(
            "labels.source is snippets, but nothing says which columns of the features are class "
            "scores; set data.scores in the recipe."
        )
    return label_by_snippets(
        proposals, scores, timeline, topk=topk, fuse=labels.fuse, contrast=labels.contrast
    )
