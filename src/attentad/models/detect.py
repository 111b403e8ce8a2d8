"""From the features of one video to what a model finds: views, network, decoding, labels, NMS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from attentad.core import AttentadError, Timeline, VideoDetections
from attentad.core.found import Curve, Found, Profile
from attentad.data.tracks import Track
from attentad.data.views import View
from attentad.layers.step_curves import step_curves
from attentad.models.build import detector_options
from attentad.models.long_videos import cut_to_trained
from attentad.models.model import DetectorModel
from attentad.models.video_scores import no_class_scores
from attentad.suppression import label_by_snippets, label_by_video, merge_windows

BATCH = 16  # views at a time through the network
CLASS_CURVES = 10


def detect_features(
    model: DetectorModel,
    features: NDArray[np.float32],
    timeline: Timeline,
    *,
    video: str,
    class_scores: NDArray[np.floating] | None = None,
) -> Found:
    """Detect actions in the features of one video.

    Args:
        model: the detector; its recipe fixes view, decoding, labels and suppression.
        features: R, (n, C).
        timeline: where the n features lie in time.
        video: name for error sentences.
        class_scores: (K,) scores of the whole video, needed where the recipe labels by file.

    Returns:
        Detections by score; how surely the video holds each class, of a detector that says so
        (of several views, the surest); curves of the network and of the snippets' class scores;
        the network's gates of channels (of several views, their mean).

    Raises:
        AttentadError: the features have another width than the model was trained on, or nothing
            says which classes its proposals have.

    Warns:
        UserWarning: the video is much longer than those of the training, see `cut_to_trained`.
    """
    if features.shape[1] != model.feature_dim:
        do = "extract them with the encoder that the model was trained on"
        if len(features) == model.feature_dim:
            do = f"they have as many rows: transpose the array, or {do}"
        raise AttentadError(
            f"the features of {video} are {features.shape[1]} wide, but the model takes "
            f"{model.feature_dim}; {do}."
        )
    track = Track(features, timeline, timeline.duration_sec)
    parts = cut_to_trained(track, video, model.recipe, model.trained_steps)
    views = [view for part in parts for view in model.views.take(part, None)]
    batches = [views[first : first + BATCH] for first in range(0, len(views), BATCH)]
    by_view = [found for batch in batches for found in _detect_in_views(model, batch)]
    scores = None if model.labeller is None else model.labeller.read(features)
    detections = [found.detections for found in by_view]
    if any((proposals.labels < 0).any() for proposals in detections):
        detections = [
            _label(model, proposals, scores, timeline, video, class_scores)
            for proposals in detections
        ]
    kept = _suppressed(model, detections, timeline, parts)
    said = [found.class_probabilities for found in by_view if found.class_probabilities is not None]
    curves = _named_curves(model, _joined_curves(by_view), kept)
    curves += _class_curves(model, scores, timeline, kept)
    return Found(kept, np.max(said, axis=0) if said else None, curves, _mean_profiles(by_view))


@torch.inference_mode()
def _detect_in_views(model: DetectorModel, views: Sequence[View]) -> list[Found]:
    features = torch.from_numpy(np.stack([view.features.T for view in views])).to(model.device)
    valid = torch.from_numpy(np.stack([view.valid for view in views])).to(model.device)
    timelines = [view.timeline for view in views]
    outputs = model.network(features, valid)
    options = detector_options(model.recipe, "decode")
    by_view = model.detector.decode(outputs, timelines, valid, **options)
    sites = getattr(model.network, "sites", None)
    gates = {} if sites is None else sites.curves()
    over_time = {
        f"{site} gate over time": gate.time
        for site, gate in gates.items()
        if gate.time is not None and len(gate.time) == len(valid)
    }
    over_channels = {
        f"{site} gate over channels": gate.channel.float().cpu().numpy()
        for site, gate in gates.items()
        if gate.channel is not None and len(gate.channel) == len(valid)
    }
    gate_curves = step_curves(over_time, timelines, valid, "attention")
    return [
        replace(
            found,
            curves=(*found.curves, *curves),
            profiles=[Profile(name, rows[row]) for name, rows in over_channels.items()],
        )
        for row, (found, curves) in enumerate(zip(by_view, gate_curves, strict=True))
    ]


def _suppressed(
    model: DetectorModel,
    by_view: Sequence[VideoDetections],
    timeline: Timeline,
    parts: Sequence[Track],
) -> VideoDetections:
    """What is left of the detections of all views, by the recipe."""
    options = model.recipe.suppression.model_dump()
    max_frames = options.pop("max_length_frames")
    if max_frames is not None:
        options["max_length_sec"] = max_frames / timeline.fps
    options["duration_sec"] = timeline.duration_sec
    if len(parts) > 1:
        # Each part is a video as the model knows them; the limits hold for one of those.
        by_view = [merge_windows([detections], **options) for detections in by_view]
        videos = math.ceil(timeline.length / parts[0].timeline.length)
        for limit in ("keep", "keep_total"):
            options[limit] = options[limit] and options[limit] * videos
    return merge_windows(by_view, **options)


def _joined_curves(by_view: Sequence[Found]) -> list[Curve]:
    """One curve per name over the video; where views overlap, the earlier one speaks."""
    joined: dict[str, Curve] = {}
    for curve in (curve for found in by_view for curve in found.curves):
        first = joined.setdefault(curve.name, curve)
        new = curve.time_sec > first.time_sec.max(initial=-np.inf)
        time_sec = np.concatenate([first.time_sec, curve.time_sec[new]])
        value = np.concatenate([first.value, curve.value[new]])
        joined[curve.name] = replace(first, time_sec=time_sec, value=value)
    return list(joined.values())


def _mean_profiles(by_view: Sequence[Found]) -> list[Profile]:
    """One profile per name, the mean over the views."""
    values: dict[str, list[NDArray[np.floating]]] = {}
    for profile in (profile for found in by_view for profile in found.profiles):
        values.setdefault(profile.name, []).append(profile.value)
    return [Profile(name, np.mean(rows, axis=0)) for name, rows in values.items()]


def _class_curves(
    model: DetectorModel,
    scores: NDArray[np.float32] | None,
    timeline: Timeline,
    detections: VideoDetections,
) -> list[Curve]:
    """Snippet scores of the classes that the best detections name, as many as a page can show."""
    if scores is None:
        return []
    times = timeline.centres_sec()
    return [
        Curve(model.classes[k], times, scores[:, k], "class scores")
        for k in _best_named(detections)
    ]


def _named_curves(
    model: DetectorModel, curves: Sequence[Curve], detections: VideoDetections
) -> list[Curve]:
    """The curves, those of a class by its name, and only of classes as `_class_curves` has them."""
    shown = _best_named(detections)
    return [
        curve if curve.label is None else replace(curve, name=model.classes[curve.label])
        for curve in curves
        if curve.label is None or curve.label in shown
    ]


def _best_named(detections: VideoDetections) -> list[int]:
    """The classes that the best detections name, ascending, as many as a page can show."""
    return sorted(list(dict.fromkeys(detections.labels.tolist()))[:CLASS_CURVES])


def _label(
    model: DetectorModel,
    proposals: VideoDetections,
    scores: NDArray[np.float32] | None,
    timeline: Timeline,
    video: str,
    class_scores: NDArray[np.floating] | None,
) -> VideoDetections:
    labels = model.recipe.labels
    topk = min(labels.topk, len(model.classes))
    if not labels.by_snippets:
        if class_scores is None:
            raise no_class_scores(video)
        return label_by_video(proposals, class_scores, topk=topk, fuse=labels.fuse)
    if scores is None:
        raise AttentadError(
            "labels.source is snippets, but nothing says which columns of the features are class "
            "scores; set data.scores in the recipe."
        )
    return label_by_snippets(
        proposals, scores, timeline, topk=topk, fuse=labels.fuse, contrast=labels.contrast
    )
