"""HAM-Net's losses and localisation as its text tells them: loops over videos, classes, thresholds.

The network is the same; what stands here comes after it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attentad.core import Timeline, VideoDetections
from attentad.detection.hamnet import THRESHOLDS, HAMOutput

# Those of THUMOS14 in the published code (specification hamnet, §§ 1.4 and 1.5).
TOP_K_RATIO, GAMMA, LABEL_EPSILON = 10, 0.2, 1e-4
WEIGHTS = {"base": 0.8, "soft": 0.8, "semi_soft": 0.2, "hard": 0.2, "sparsity": 0.8, "guide": 0.8}
CLASS_THRESHOLD, FLANK, VIDEO_WEIGHT, SIGMA = 0.2, 0.25, 0.2, 0.3


def direct_losses(outputs: HAMOutput, labels: Tensor) -> dict[str, Tensor]:
    """The six terms and their sum, a video, a sequence and a class at a time."""
    sums: dict[str, list[Tensor]] = {name: [] for name in WEIGHTS}
    for s, a, y in zip(*outputs, labels, strict=True):
        kept = (a < GAMMA * a.max()).float()[:, None]
        lowest = s.min(dim=1, keepdim=True).values
        sequences = {
            "base": s,
            "soft": a[:, None] * s,
            "semi_soft": kept * a[:, None] * (s - lowest) + lowest,
            "hard": kept * (s - lowest) + lowest,
        }
        for name, sequence in sequences.items():
            background = 1.0 if name in ("base", "hard") else 0.0
            target = torch.cat([y, y.new_tensor([background])])
            target = target / (target.sum() + LABEL_EPSILON)
            sums[name].append(-(target * torch.log_softmax(_pooled(sequence), dim=0)).sum())
        sums["sparsity"].append(a.mean())
        sums["guide"].append((1 - a - torch.softmax(s, dim=1)[:, -1]).abs().mean())
    terms = {name: torch.stack(values).mean() for name, values in sums.items()}
    total = sum((WEIGHTS[name] * term for name, term in terms.items()), torch.zeros(()))
    return {"total": total, **terms}


def _pooled(sequence: Tensor) -> Tensor:
    """Mean of each class's highest scores, (C + 1,)."""
    k = max(1, len(sequence) // TOP_K_RATIO)
    columns = [sequence[:, c].sort(descending=True).values for c in range(sequence.shape[1])]
    return torch.stack([column[:k].mean() for column in columns])


def direct_localise(outputs: HAMOutput, timeline: Timeline) -> VideoDetections:
    """Decoded and suppressed detections of one video, a class and a threshold at a time."""
    s, a = outputs.scores[0].double(), outputs.attention[0].double()
    attended = a[:, None] * s
    p = torch.softmax(_pooled(attended), dim=0)
    attention, rows = a.tolist(), []
    for c in range(s.shape[1] - 1):
        if p[c] < CLASS_THRESHOLD:
            continue
        z = attended[:, c].tolist()
        found = []
        for threshold in THRESHOLDS["code"].tolist():
            for first, last in _runs(attention, threshold):
                psi = _outer_inner(z, first, last) + VIDEO_WEIGHT * float(p[c])
                start, end = timeline.seconds([first, last + 1]).tolist()
                found.append((start, end, psi))
        rows += [(*row, c) for row in _soft_nms(found)]
    table: NDArray[np.float64] = np.array(rows).reshape(-1, 4)
    return VideoDetections(table[:, :2], table[:, 2], table[:, 3].astype(np.int64))


def _runs(values: list[float], threshold: float) -> list[tuple[int, int]]:
    found, first = [], None
    for t, value in enumerate(values):
        if value > threshold and first is None:
            first = t
        if value <= threshold and first is not None:
            found.append((first, t - 1))
            first = None
    if first is not None:
        found.append((first, len(values) - 1))
    return found


def _outer_inner(z: list[float], first: int, last: int) -> float:
    size = last - first + 1
    left = z[max(0, math.floor(first - FLANK * size)) : first]
    right = z[last + 1 : min(len(z) - 1, math.floor(last + FLANK * size)) + 1]
    outer = left + right
    inner = sum(z[first : last + 1]) / size
    return inner - (sum(outer) / len(outer) if outer else 0.0)


def _soft_nms(candidates: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Gaussian, a second more on lengths and intersections, until nothing is left."""
    left, taken = list(candidates), []
    while left:
        start, end, score = left.pop(max(range(len(left)), key=lambda i: left[i][2]))
        taken.append((start, end, score))
        for i, (other_start, other_end, other) in enumerate(left):
            shared = max(0.0, min(end, other_end) - max(start, other_start) + 1)
            union = (end - start + 1) + (other_end - other_start + 1) - shared
            decay = math.exp(-((shared / union) ** 2) / SIGMA)
            left[i] = (other_start, other_end, other * decay)
    return taken
