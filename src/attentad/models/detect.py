"""From the features of one video to its detections: views, network, decoding, labels, NMS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.core import AttentadError, Timeline, VideoDetections
from attentad.core.found import Curve, CurveKind, Found
from attentad.models.model import DetectorModel
from attentad.recipes.load import shared_options
from attentad.suppression import (
    label_by_snippets,
    label_by_video,
    merge_windows,
)

BATCH = 16  # views at a time through the network
CLASS_CURVES = 10


def detect_features(
    model: DetectorModel,
    features: NDArray[np.float32],
    timeline: Timeline,
    *,
    video: str,
    class_scores: NDArray[np.float32] | None = None,
) -> Found:
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
    runs = [_run(model, views[first : first + BATCH]) for first in range(0, len(views), BATCH)]
    decoded = [found for run in runs for found in run.detections]
    scores = None if model.scores is None else model.scores.read(features)
    if model.detector.supervision == "segments":  # class-agnostic proposals
        decoded = [
            _label(model, proposals, scores, timeline, video, class_scores) for proposals in decoded
        ]
    options = model.recipe.suppression.model_dump()
    max_frames = options.pop("max_length_frames")
    if max_frames is not None:
        options["max_length_sec"] = max_frames / timeline.fps
    kept = merge_windows(decoded, duration_sec=timeline.duration_sec, **options)
    probabilities = [named for run in runs for named in run.curves]
    curves = _join_curves([view_timeline for _, _, view_timeline in views], probabilities)
    return Found(
        kept,
        None if runs[0].classified is None else runs[0].classified[0],
        curves + _class_curves(model, scores, timeline, kept),
    )


class _Run(NamedTuple):
    """Of a batch of views: detections and curves of each, and class probabilities (B, K)."""

    detections: list[VideoDetections]
    curves: list[dict[str, NDArray[np.float32]]]
    classified: NDArray[np.float64] | None


@torch.inference_mode()
def _run(model: DetectorModel, views: list[Any]) -> _Run:
    detector = model.detector
    features = torch.from_numpy(np.stack([view.T for view, _, _ in views])).to(model.device)
    valid = torch.from_numpy(np.stack([mask for _, mask, _ in views])).to(model.device)
    timelines = [timeline for _, _, timeline in views]
    with _gates_over_time(model.network, valid.shape) as gates:
        outputs = model.network(features, valid)
    decode = model.recipe.detector.decode
    detections = detector.decode(outputs, timelines, valid=valid, **decode)
    classified = None
    if detector.classify is not None:
        classify_options = shared_options(detector.classify, decode)
        classified = detector.classify(outputs, valid, **classify_options)
    named = {
        name: getattr(outputs, name).float().cpu().numpy()
        for name in ("start", "end")
        if hasattr(outputs, name)
    }
    if detector.curves is not None:
        loss_options = shared_options(detector.curves, model.recipe.detector.loss)
        named |= detector.curves(outputs, valid, **loss_options)
    named |= {f"{site} gate over time": gate.float().cpu().numpy() for site, gate in gates.items()}
    per_view = [
        {name: values[i][views[i][1]] for name, values in named.items()} for i in range(len(views))
    ]
    return _Run(detections, per_view, classified)


@contextmanager
def _gates_over_time(network: nn.Module, steps: torch.Size) -> Iterator[dict[str, Tensor]]:
    """Site → gate of shape `steps` (B, T) of the attention modules, filled as the network runs."""
    gates: dict[str, Tensor] = {}

    def watch(site: str, module: Any, arguments: tuple[Any, ...]) -> None:
        # A module gates by F or by R; its `gates` names the one that it reads.
        given = dict(zip(("feature", "context", "valid"), arguments, strict=False))
        _, temporal = module.gates(**shared_options(module.gates, given))
        # Where a module of fixed length gates parts of a long video, there is no one curve.
        if temporal is not None and temporal.shape == steps:
            gates[site] = temporal

    handles = [
        module.register_forward_pre_hook(partial(watch, site))
        for site, module in getattr(network, "attention", {}).items()
        if hasattr(module, "gates")
    ]
    try:
        yield gates
    finally:
        for handle in handles:
            handle.remove()


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
        kind: CurveKind = "boundaries" if name in ("start", "end") else "attention"
        curves.append(Curve(name, np.concatenate(times), np.concatenate(values), kind))
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
