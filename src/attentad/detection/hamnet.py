"""HAM-Net: localization from video-level labels (Islam et al., AAAI 2021; spec hamnet §1).

A classification branch scores every snippet for C classes and the background, an attention branch
says how surely it is foreground. Training knows only which classes a video holds; in detection the
attention is cut at several thresholds, and the runs above them are the proposals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.attention.hybrid import ForegroundAttention, initialise, leaky_relu
from attentad.attention.sites import AttentionChoice, Sites, SiteShape
from attentad.core import AttentadError, Timeline, VideoDetections, no_detections
from attentad.core.found import Curve, Found, Truth
from attentad.core.options import Count, DropRate, OddCount, Positive, Share, shared_options
from attentad.layers.masking import masked
from attentad.layers.step_curves import step_curves
from attentad.layers.weak_losses import (
    Drop,
    DroppedValue,
    Reduction,
    Threshold,
    guide_loss,
    hybrid_attentions,
    hybrid_scores,
    multiple_instance_loss,
    sparsity_loss,
    top_k_mean,
)
from attentad.suppression import outer_inner, runs_above

Smooth = Literal["in_network", "test_only", "off"]
Proposals = Literal["attention", "class"]
# The published code's ten, and the paper's .1 to .9 in steps of .05.
NO_OPTIONS: Final[Mapping[str, Any]] = MappingProxyType({})
THRESHOLDS = {"code": np.linspace(0.1, 0.9, 10), "paper": np.linspace(0.1, 0.9, 17)}


class HAMOutput(NamedTuple):
    """Logits of every snippet (B, T, C + 1), the background last, and attention (B, T) in 0..1.

    Both are 0 where there is no video.
    """

    scores: Tensor
    attention: Tensor


class HAMNet(nn.Module):
    """Features (B, C_in, T) → `HAMOutput`, for any T.

    Args:
        feature_dim: C_in.
        length: T in training. The network takes any other as well.
        classes: C.
        hidden_dim: channels of the classification branch; C_in by default.
        attention_dim: channels of the attention branch.
        dropout: before the last layer of the classification branch; .7 THUMOS14, .5 ActivityNet.
        pool_steps: logits and attention become their mean over so many snippets, with zeros
            beyond the video's ends. 17 for ActivityNet.
        smooth: whether that happens `in_network`, as in the published code, after training only
            (`test_only`), or not at all (`off`).
        attention: site → name and options of a module; the one site is `input`, R itself.

    Raises:
        AttentadError: there is no class.
    """

    def __init__(
        self,
        feature_dim: int,
        length: int,
        *,
        classes: int,
        hidden_dim: Count | None = None,
        attention_dim: Count = 512,
        dropout: DropRate = 0.7,
        pool_steps: OddCount = 1,
        smooth: Smooth = "in_network",
        attention: Mapping[str, AttentionChoice] | None = None,
    ) -> None:
        super().__init__()
        if classes < 1:
            raise AttentadError(f"HAM-Net needs at least 1 class, not {classes}.")
        # First, as it always drew its random numbers before the others.
        sites = Sites(attention, {"input": SiteShape(feature_dim, feature_dim, length)})
        width = feature_dim if hidden_dim is None else hidden_dim
        self.feature_dim, self.length, self.classes = feature_dim, length, classes
        self.smooth = smooth
        self.conv_1 = nn.Conv1d(feature_dim, width, 3, padding=1)
        self.conv_2 = nn.Conv1d(width, width, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv1d(width, classes + 1, 1)
        initialise(self)
        self.foreground = ForegroundAttention(feature_dim, attention_dim)
        self.pool = nn.AvgPool1d(pool_steps, stride=1, padding=pool_steps // 2)
        # Last, so that `initialise` leaves these modules as they are.
        self.sites = sites

    def forward(self, features: Tensor, valid: Tensor | None = None) -> HAMOutput:
        """Features (B, C_in, T), valid (B, T) true where there is video → `HAMOutput`.

        Raises:
            AttentadError: C_in is not the model's.
        """
        if features.shape[1] != self.feature_dim:
            raise AttentadError(
                f"this HAM-Net was built for {self.feature_dim} channels and got "
                f"{features.shape[1]}."
            )
        feature = masked(features, valid)
        feature = self.sites("input", feature, feature, valid)
        hidden = masked(leaky_relu(self.conv_1(feature)), valid)
        hidden = masked(leaky_relu(self.conv_2(hidden)), valid)
        logits = self.classifier(self.dropout(hidden)).to(self.classifier.weight.dtype)
        scores = masked(logits, valid)
        attention = self.foreground(feature, valid)[:, None]
        if self.smooth == "in_network" or (self.smooth == "test_only" and not self.training):
            scores, attention = (masked(self.pool(part), valid) for part in (scores, attention))
        return HAMOutput(scores.transpose(1, 2), attention[:, 0])


def targets(truth: Truth, timeline: Timeline) -> dict[str, NDArray[np.float32]]:
    """`labels` (C,): 1 for every class that the video holds, 0 for the others.

    Raises:
        AttentadError: a label outside 0..C − 1.
    """
    wrong = truth.labels[(truth.labels < 0) | (truth.labels >= truth.classes)]
    if len(wrong):
        raise AttentadError(
            f"there is no class {wrong[0]} among {truth.classes}; correct the video's labels."
        )
    hot = np.zeros(truth.classes, dtype=np.float32)
    hot[truth.labels] = 1
    return {"labels": hot}


def loss(
    outputs: HAMOutput,
    targets: Mapping[str, Tensor],
    valid: Tensor | None = None,
    *,
    base_weight: float = 0.8,
    soft_weight: float = 0.8,
    semi_soft_weight: float = 0.2,
    hard_weight: float = 0.2,
    sparsity_weight: float = 0.8,
    guide_weight: float = 0.8,
    top_k_ratio: Positive | None = 10.0,
    top_k: Count | None = None,
    gamma: float = 0.2,
    threshold: Threshold = "relative",
    dropped_value: DroppedValue = "class_min",
    drop: Drop = "most_discriminative",
    drop_probability: Share = 0.2,
    normalize_labels: bool = True,
    reduction: Reduction = "mean",
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """λ0·base + λ1·soft + λ2·semi-soft + λ3·hard + α·sparsity + β·guide (eq. 10).

    The defaults are those of THUMOS14 in the published code. There λ0 to λ3 come from a share w
    of the dropped sequences, first·[(1 − w)·base + w·hard] + second·[(1 − w)·soft + w·semi_soft]:
    w = .2 and first = second = 1 for THUMOS14, w = .5, first = .25 and second = 2 for ActivityNet.

    Args:
        outputs: of the network.
        targets: of `targets`, stacked: `labels` (B, C).
        valid: (B, T).
        base_weight: λ0, of the cross-entropy of all snippets' scores.
        soft_weight: λ1, of that of the scores under soft attention.
        semi_soft_weight: λ2, under semi-soft attention.
        hard_weight: λ3, under hard attention.
        sparsity_weight: α.
        guide_weight: β.
        top_k_ratio, top_k: ratio and k of `layers.weak_losses.top_k_mean`.
        gamma, threshold, drop, drop_probability, generator: see
            `layers.weak_losses.hybrid_attentions`.
        dropped_value: see `layers.weak_losses.hybrid_scores`.
        normalize_labels: see `layers.weak_losses.multiple_instance_loss`.
        reduction: see `layers.weak_losses.sparsity_loss`.

    Returns:
        `base`, `soft`, `semi_soft`, `hard`, `sparsity`, `guide` and their weighted sum `total`,
        scalars. Each is the mean over the videos, whatever their lengths.

    Raises:
        AttentadError: neither `top_k_ratio` nor `top_k` is given.
    """
    scores, attention = outputs
    attentions = hybrid_attentions(
        attention,
        valid,
        gamma=gamma,
        threshold=threshold,
        drop=drop,
        drop_probability=drop_probability,
        generator=generator,
    )
    sequences = hybrid_scores(scores, attentions, valid, dropped_value=dropped_value)
    # Soft and semi-soft attention leave the background out, the other two see it.
    present = {"base": 1.0, "soft": 0.0, "semi_soft": 0.0, "hard": 1.0}
    terms = {
        name: multiple_instance_loss(
            top_k_mean(sequence, valid, ratio=top_k_ratio, k=top_k),
            targets["labels"],
            background=present[name],
            normalize_labels=normalize_labels,
        )
        for name, sequence in sequences._asdict().items()
    }
    terms["sparsity"] = sparsity_loss(attention, valid, reduction=reduction)
    terms["guide"] = guide_loss(attention, scores, valid, reduction=reduction)
    total = (
        base_weight * terms["base"]
        + soft_weight * terms["soft"]
        + semi_soft_weight * terms["semi_soft"]
        + hard_weight * terms["hard"]
        + sparsity_weight * terms["sparsity"]
        + guide_weight * terms["guide"]
    )
    return {"total": total, **terms}


def video_scores(
    outputs: HAMOutput,
    valid: Tensor | None = None,
    *,
    top_k_ratio: Positive | None = 10.0,
    top_k: Count | None = None,
    proposals: Proposals = "attention",
) -> NDArray[np.float64]:
    """How surely each video holds each class: p (B, C) in 0..1, the softmax's background left out.

    Args:
        outputs: of the network.
        valid: (B, T).
        top_k_ratio, top_k: see `layers.weak_losses.top_k_mean`.
        proposals: `attention` scores the snippets by a·s, `class` by s, see `decode`.

    Raises:
        AttentadError: neither `top_k_ratio` nor `top_k` is given; the outputs are not finite.
    """
    scores, attention = _finite(outputs, valid)
    if proposals == "attention":
        scores = attention[..., None] * scores
    pooled = top_k_mean(scores, valid, ratio=top_k_ratio, k=top_k)
    return torch.softmax(pooled, dim=1)[:, :-1].cpu().numpy()


def decode(
    outputs: HAMOutput,
    timelines: Sequence[Timeline],
    valid: Tensor | None = None,
    *,
    class_threshold: float = 0.2,
    attention_thresholds: Literal["code", "paper"] | list[Share] = "code",
    proposals: Proposals = "attention",
    flank: float = 0.25,
    video_weight: float = 0.2,
    top_k_ratio: Positive | None = 10.0,
    top_k: Count | None = None,
    scale: Count = 1,
    force_top1: bool = False,
    drop_negative: bool = False,
    loss_options: Mapping[str, Any] = NO_OPTIONS,
) -> list[Found]:
    """Actions of each video in seconds, best first, before suppression (spec hamnet §1.5).

    Every run of snippets above one of the thresholds is scored for every class that the video
    holds by the outer-inner score ψ, a difference of logits that may be negative. Runs that several
    thresholds find come out as often. Nothing is clipped to the video. The curves are the three
    attentions (HAM-Net, Figures 3 and 5).

    Args:
        outputs: of the network, B videos.
        timelines: of the videos.
        valid: (B, T), the valid snippets of a video first.
        class_threshold: τ; the video holds a class where `video_scores` reaches it.
        attention_thresholds: `code`, ten from .1 to .9; `paper`, .1 to .9 in steps of .05; or a
            list. A snippet of exactly the threshold is in no run.
        proposals: `attention`, runs of a, scored by a·s; `class`, for a network that trained no
            attention, runs of the class's s brought to 0..1 over time, scored by s (where s does
            not change at all, it is 1 throughout).
        flank: see `suppression.outer_inner`.
        video_weight: ζ, of the video's score.
        top_k_ratio, top_k: see `video_scores`.
        scale: scores and attention are interpolated to so many points per snippet first.
        force_top1: the best class counts even if it does not reach τ.
        drop_negative: leave out what has ψ < 0.
        loss_options: those that `loss` was called with; the curves show its attentions.

    Raises:
        AttentadError: an option has an impossible value, or the outputs are not finite.
    """
    thresholds = _thresholds(attention_thresholds)
    video = video_scores(outputs, valid, top_k_ratio=top_k_ratio, top_k=top_k, proposals=proposals)
    scores, attention = _finite(outputs, valid)
    steps = [scores.shape[1]] * len(scores) if valid is None else valid.sum(1).tolist()
    curves = _attention_curves(outputs, timelines, valid, loss_options)
    results = []
    for item, timeline in enumerate(timelines):
        p, n = video[item], steps[item]
        kept = np.flatnonzero(p >= class_threshold)
        if force_top1 and not len(kept):
            kept = p.argmax(keepdims=True)
        detections = no_detections()
        if n and len(kept):
            a, s = attention[item, :n, None], scores[item, :n][:, kept]
            z = _upsampled(s if proposals == "class" else a * s, scale)
            over = _unit_range(z) if proposals == "class" else _upsampled(a, scale)
            runs = [_runs(column, thresholds) for column in over.T]
            if proposals == "attention":  # every class has the same
                runs *= len(kept)
            options = {"flank": flank, "video_weight": video_weight}
            scored = [
                outer_inner(z[:, [k]], runs[k], video_scores=p[[label]], **options)[:, 0]
                for k, label in enumerate(kept)
            ]
            psi, labels = np.concatenate(scored), np.repeat(kept, [len(part) for part in scored])
            ends = np.array([0, 1])  # the last snippet lies inside
            segments = timeline.seconds((np.concatenate(runs) + ends) / scale)
            order = np.argsort(-psi, kind="stable")
            if drop_negative:
                order = order[psi[order] >= 0]
            detections = VideoDetections(segments, psi, labels)[order]
        results.append(Found(detections, p, curves[item]))
    return results


def _attention_curves(
    outputs: HAMOutput,
    timelines: Sequence[Timeline],
    valid: Tensor | None,
    loss_options: Mapping[str, Any],
) -> list[list[Curve]]:
    """Soft, semi-soft and hard attention of each video, as the loss cut them."""
    options = shared_options(hybrid_attentions, loss_options)
    attentions = hybrid_attentions(outputs.attention.detach().float(), valid, **options)
    names = ("soft attention", "semi-soft attention", "hard attention")
    return step_curves(dict(zip(names, attentions, strict=True)), timelines, valid, "attention")


def _finite(outputs: HAMOutput, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Scores and attention in double precision, 0 outside `valid`."""
    scores, attention = (part.detach().double() for part in outputs)
    if valid is not None:
        scores = scores.masked_fill(~valid[..., None], 0)
        attention = attention.masked_fill(~valid, 0)
    if not (scores.isfinite().all() and attention.isfinite().all()):
        raise AttentadError("the detector's outputs are not finite: check features and weights.")
    return scores, attention


def _thresholds(choice: str | list[float]) -> NDArray[np.float64]:
    if isinstance(choice, str):
        return THRESHOLDS[choice]
    if not choice:
        raise AttentadError("attention_thresholds must be numbers in 0..1, but there is none.")
    return np.asarray(choice, dtype=np.float64)


def _upsampled(values: Tensor, scale: int) -> NDArray[np.float64]:
    """(n, K) → (n · scale, K), linear between the middles of the snippets and level beyond."""
    rows: NDArray[np.float64] = values.cpu().numpy()
    if scale == 1:
        return rows
    middles = np.arange(len(rows))
    points = (np.arange(len(rows) * scale) + 0.5) / scale - 0.5
    return np.stack([np.interp(points, middles, column) for column in rows.T], axis=1)


def _unit_range(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every column (n, K) brought to 0..1; 1 where it is constant."""
    low, high = values.min(0), values.max(0)
    span = np.where(high > low, high - low, 1)
    return np.where(high > low, (values - low) / span, 1.0)


def _runs(values: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """The runs above every threshold, (M, 2) first and last."""
    runs = [runs_above(values, threshold) for threshold in thresholds]
    return np.concatenate([np.zeros((0, 2), dtype=np.int64), *runs])
