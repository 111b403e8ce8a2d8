"""The terms of losses on snippet scores from video-level labels (spec hamnet §1.3, §1.4).

A network scores every snippet for C classes and, last, the background; an attention in 0..1 says
which snippets are foreground. Scores are logits (B, T, C + 1), attention (B, T), `valid` (B, T) is
true where there is video: what stands elsewhere, NaN included, changes nothing.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from attentad.core import AttentadError

Threshold = Literal["relative", "absolute", "minmax"]
DroppedValue = Literal["class_min", "zero"]
Drop = Literal["most_discriminative", "random", "inverse"]
Reduction = Literal["mean", "sum_time_mean_batch"]
LABEL_EPSILON = 1e-4


class HybridAttentions(NamedTuple):
    """a, k·a and k of each snippet, (B, T); k is 1 where a snippet is kept and 0 where dropped."""

    soft: Tensor
    semi_soft: Tensor
    hard: Tensor


class HybridScores(NamedTuple):
    """The four score sequences, (B, T, C + 1)."""

    base: Tensor
    soft: Tensor
    semi_soft: Tensor
    hard: Tensor


def top_k_mean(
    scores: Tensor, valid: Tensor | None = None, *, ratio: float | None = 10.0, k: int | None = None
) -> Tensor:
    """Mean over time of each class's k highest scores (HAM-Net eq. 1).

    Args:
        scores: (B, T, K).
        ratio: k is ⌊n / ratio⌋ of the video's n valid snippets, at least 1.
        k: the same number for every video instead, at most its n.

    Returns:
        (B, K); 0 for a video without a valid snippet.

    Raises:
        AttentadError: neither of the two is given.
    """
    batch, length, _ = scores.shape
    present = torch.full((batch,), length, device=scores.device)
    if valid is not None:
        present = valid.sum(1)
        scores = scores.masked_fill(~valid[..., None], -torch.inf)
    if k is None:
        if ratio is None:
            raise AttentadError("top_k_ratio is null, and so is top_k; set one of them.")
        wanted = (present.double() / ratio).floor().long()
        counts = torch.minimum(wanted.clamp(min=1), present)
    else:
        counts = present.clamp(max=k)
    most = int(counts.max()) if len(counts) else 0
    best = scores.topk(most, dim=1).values
    rank = torch.arange(most, device=scores.device)
    counted = rank[:, None] < counts[:, None, None]
    return torch.where(counted, best, 0.0).sum(1) / counts.clamp(min=1)[:, None]


def hybrid_attentions(
    attention: Tensor,
    valid: Tensor | None = None,
    *,
    gamma: float = 0.2,
    threshold: Threshold = "relative",
    drop: Drop = "most_discriminative",
    drop_probability: float = 0.2,
    generator: torch.Generator | None = None,
) -> HybridAttentions:
    """Soft, semi-soft and hard attention: a, k·a and k, all 0 outside `valid`.

    Args:
        attention: a.
        gamma: γ, of which the threshold θ is made.
        threshold: θ is γ·max a of the video (`relative`, the published code), γ itself
            (`absolute`, the paper), or min a + γ·(max a − min a) (`minmax`).
        drop: `most_discriminative` keeps the snippets with a < θ, `inverse` those with a ≥ θ,
            `random` each with probability 1 − drop_probability, drawn anew in each call
            (HAM-Net's Figure 4a).
        drop_probability: of `random`; the paper does not say which it took.
        generator: of `random`; torch's global one by default.
    """
    soft = _clean(attention, valid)
    if drop == "random":
        device = soft.device if generator is None else generator.device
        draw = torch.rand(soft.shape, generator=generator, device=device)
        kept = draw.to(soft.device) >= drop_probability
    else:
        kept = soft < _threshold(soft.detach(), valid, gamma, threshold)
        kept = kept if drop == "most_discriminative" else ~kept
    hard = _clean(kept.to(soft.dtype), valid)
    return HybridAttentions(soft, hard * soft, hard)


def hybrid_scores(
    scores: Tensor,
    attentions: HybridAttentions,
    valid: Tensor | None = None,
    *,
    dropped_value: DroppedValue = "class_min",
) -> HybridScores:
    """The four score sequences of HAM-Net: s, a·s, and those that kept snippets alone keep.

    Args:
        scores: s.
        attentions: of the same snippets.
        dropped_value: what becomes of a dropped snippet's scores. `class_min`, the published code:
            all of them m, the lowest over the classes, so that w·(s − m) + m takes the place of
            w·s, w the hard or semi-soft attention. `zero`, the paper: w·s itself.
    """
    soft, semi_soft, hard = attentions
    base = scores if valid is None else scores.masked_fill(~valid[..., None], 0)
    floor: Tensor | float = base.amin(2, keepdim=True) if dropped_value == "class_min" else 0.0
    above = base - floor
    return HybridScores(
        base,
        soft[..., None] * base,
        semi_soft[..., None] * above + floor,
        hard[..., None] * above + floor,
    )


def multiple_instance_loss(
    video_logits: Tensor, labels: Tensor, *, background: float, normalize_labels: bool = True
) -> Tensor:
    """Cross-entropy of video-level scores, mean over the videos (HAM-Net eqs. 2 and 3).

    Args:
        video_logits: (B, C + 1), the background last.
        labels: (B, C), 1 for the classes present.
        background: the background's label: 1 where the scores see all snippets, 0 where an
            attention leaves the background out. A video without a class then has loss 0.
        normalize_labels: labels divided by their sum + 1e-4, as the published code does; the
            paper takes them as they are.
    """
    target = torch.nn.functional.pad(labels.to(video_logits), (0, 1), value=background)
    if normalize_labels:
        target = target / (target.sum(1, keepdim=True) + LABEL_EPSILON)
    return -(target * torch.log_softmax(video_logits, dim=1)).sum(1).mean()


def sparsity_loss(
    attention: Tensor, valid: Tensor | None = None, *, reduction: Reduction = "mean"
) -> Tensor:
    """Attention (B, T) is to be low: its mean over time and videos (HAM-Net eq. 11).

    Args:
        reduction: `mean` over each video's snippets, then over the videos (the published code);
            `sum_time_mean_batch` sums over the snippets (the paper), so that the term grows with T.
    """
    return _over_time(_clean(attention, valid), valid, reduction)


def guide_loss(
    attention: Tensor, scores: Tensor, valid: Tensor | None = None, *, reduction: Reduction = "mean"
) -> Tensor:
    """|1 − a − p_background|: attention and background class are to agree (HAM-Net eq. 13).

    p_background is the softmax over all C + 1 classes; the paper's eq. 12 prints a denominator
    without the background, whose quotient could exceed 1. The gradient flows into both.

    Args:
        reduction: see `sparsity_loss`.
    """
    if valid is not None:
        scores = scores.masked_fill(~valid[..., None], 0)
    background = torch.softmax(scores, dim=2)[..., -1]
    gap = (1 - _clean(attention, valid) - background).abs()
    return _over_time(_clean(gap, valid), valid, reduction)


def _clean(values: Tensor, valid: Tensor | None) -> Tensor:
    """(B, T) with zeros outside `valid`."""
    return values if valid is None else values.masked_fill(~valid, 0)


def _threshold(attention: Tensor, valid: Tensor | None, gamma: float, rule: Threshold) -> Tensor:
    """θ of each video, (B, 1), from its valid snippets."""
    if rule == "absolute":
        return attention.new_full((len(attention), 1), gamma)
    padding = torch.zeros_like(attention, dtype=torch.bool) if valid is None else ~valid
    highest = attention.masked_fill(padding, -torch.inf).amax(1, keepdim=True)
    if rule == "relative":
        return gamma * highest
    lowest = attention.masked_fill(padding, torch.inf).amin(1, keepdim=True)
    return lowest + gamma * (highest - lowest)


def _over_time(values: Tensor, valid: Tensor | None, reduction: Reduction) -> Tensor:
    """Values (B, T), 0 outside `valid`, over each video's snippets; then the mean over videos."""
    summed = values.sum(1)
    if reduction == "mean":
        count = values.shape[1] if valid is None else valid.sum(1).clamp(min=1)
        summed = summed / count
    return summed.mean()
