"""A linear classifier of snippets: class scores for features that come without any.

Softmax regression of K classes and the background on single feature rows. It is convex, so that
one answer is right and a few seconds find it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from attentad.core import AttentadError, Segments

MAX_VALUES = 1 << 26  # features kept for the fit: 256 MiB
MAX_STEPS = 100
# numbers drawn (n,), features (n, C), targets (n, K + 1)
_Part = tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]


class SnippetClassifier(nn.Module):
    """Features (n, C) → probabilities (n, K + 1), the background last; all 0 until fitted.

    Args:
        feature_dim: C.
        classes: K.
        smoothing: probabilities are the mean over so many snippets around each, an odd number; at
            the ends of the video over those that there are.

    Raises:
        AttentadError: `smoothing` is even.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, feature_dim: int, classes: int, *, smoothing: int = 1) -> None:
        super().__init__()
        if smoothing < 1 or smoothing % 2 == 0:
            raise AttentadError(
                f"labels.classifier.smoothing must be an odd number of snippets, not {smoothing}."
            )
        self.smoothing = smoothing
        # In double precision: the weights also undo the features' scale and offset.
        self.register_buffer("weight", torch.zeros(classes + 1, feature_dim, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(classes + 1, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, C) of one video, in order → probabilities (n, K + 1)."""
        logits = features.to(self.weight) @ self.weight.T + self.bias
        probabilities = torch.softmax(logits, dim=1)
        if self.smoothing == 1:
            return probabilities
        pool = nn.AvgPool1d(
            self.smoothing, stride=1, padding=self.smoothing // 2, count_include_pad=False
        )
        return pool(probabilities.T[None])[0].T

    def read(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (n, C) of one video, in order → scores of the K classes (n, K) in 0..1."""
        with torch.inference_mode():
            scores = self(torch.from_numpy(features))[:, :-1]
        return scores.float().cpu().numpy()


def snippet_targets(
    centres_sec: ArrayLike, segments: Segments, label_ids: ArrayLike, classes: int
) -> NDArray[np.float32]:
    """What each snippet shows, (n, K + 1), rows sum to 1, the background last.

    A snippet shows the class whose instance [start, end) its cell's centre lies in. Where
    instances of m classes overlap it shows each of them as 1 / m. A snippet in instances without
    a class only (label −1) shows nothing: its row is 0, and the fit leaves it out.

    Args:
        centres_sec: (n,) middles of the snippets' cells.
        segments: (N, 2) in seconds.
        label_ids: (N,) in 0..K−1, or −1 for an action that is none of the classes.
        classes: K.
    """
    centres = np.asarray(centres_sec, dtype=np.float64)
    shown = np.zeros((len(centres), classes + 1), np.float32)
    background = np.ones(len(centres), bool)
    for (start, end), label in zip(segments, np.asarray(label_ids), strict=True):
        inside = (start <= centres) & (centres < end)
        background[inside] = False
        if label >= 0:
            shown[inside, label] = 1
    shown[:, classes] = background
    return shown / np.maximum(shown.sum(axis=1, keepdims=True), 1)


def objective(
    weight: Tensor, bias: Tensor, features: Tensor, targets: Tensor, weight_decay: float
) -> Tensor:
    """Cross-entropy and `weight_decay` times ½‖weight‖²: what the fit makes small.

    Of weight (K', C), bias (K',), which does not decay, features (n, C), and targets (n, K'), the
    shares of each snippet's weight, which sum to 1 over all snippets.
    """
    log_probabilities = torch.log_softmax(features @ weight.T + bias, dim=1)
    return -(targets * log_probabilities).sum() + weight_decay / 2 * weight.square().sum()


def fit_snippet_classifier(
    videos: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]],
    *,
    weight_decay: float = 3e-3,
    class_balance: float = 0.0,
    smoothing: int = 1,
    seed: int = 0,
    max_values: int = MAX_VALUES,
) -> SnippetClassifier:
    """Fit the classifier to the snippets of the training videos by L-BFGS over all of them.

    The same input gives the same weights. A class without a snippet is never found: its score is 0.

    Args:
        videos: features (n, C) and `snippet_targets` (n, K + 1) of each video; read once.
        weight_decay: on the weights of features moved to mean 0 and scaled, all columns by one
            number, to deviation 1.
        class_balance: 0 counts each snippet once, 1 each class (and the background) as much as
            every other; between them a class of n snippets counts as n^(1 − class_balance).
        smoothing: of the classifier's answers, see `SnippetClassifier`; not used for the fit.
        seed: chooses the snippets where there are too many to keep.
        max_values: keep at most so many numbers, as whole snippets.

    Raises:
        AttentadError: features are not finite or differ in width, no snippet lies in an instance,
            or `smoothing` is even.
    """
    features, targets = _sample(videos, np.random.default_rng(seed), max_values)
    counts = targets.sum(dim=0, dtype=torch.float64)
    if not counts[:-1].any():
        raise AttentadError(
            "no snippet of the training videos lies in an annotated instance, so that "
            "labels.source=classifier has nothing to learn from; check that data.clock and the "
            "annotations count the same seconds."
        )
    classifier = SnippetClassifier(features.shape[1], len(counts) - 1, smoothing=smoothing)
    present = counts > 0
    shares = targets[:, present] * (counts[present] ** -class_balance).float()
    shares /= shares.sum(dtype=torch.float64)
    # One scale for all columns: how much each varies beside the others is part of what it says.
    variance, mean = torch.var_mean(features, dim=0, correction=0)
    deviation = float(variance.mean().sqrt()) or 1.0
    weight, bias = fit_weights(features.sub_(mean).div_(deviation), shares, weight_decay)
    classifier.weight[present] = weight.double() / deviation
    classifier.bias.fill_(-torch.inf)
    classifier.bias[present] = bias.double() - classifier.weight[present] @ mean.double()
    return classifier


def fit_weights(features: Tensor, shares: Tensor, weight_decay: float) -> tuple[Tensor, Tensor]:
    """Weight (K', C) and bias (K',) that make `objective` least, by L-BFGS from 0."""
    weight = torch.zeros(shares.shape[1], features.shape[1], requires_grad=True)
    bias = torch.zeros(shares.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=MAX_STEPS, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )

    def step() -> Tensor:
        optimizer.zero_grad()
        value = objective(weight, bias, features, shares, weight_decay)
        value.backward()
        return value

    optimizer.step(step)
    return weight.detach(), bias.detach()


def _sample(
    videos: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]],
    rng: np.random.Generator,
    max_values: int,
) -> tuple[Tensor, Tensor]:
    """Features and targets of all snippets, or of as many as may be kept, drawn evenly."""
    # Every snippet draws a number, and those with the smallest stay: so the videos pass once.
    kept: list[_Part] = []
    count = 0
    for features, targets in videos:
        width = features.shape[1]
        if not np.isfinite(features).all():
            raise AttentadError("the training features hold NaN or infinity; extract them again.")
        if kept and kept[0][1].shape[1] != width:
            raise AttentadError(
                f"the training features are {kept[0][1].shape[1]} and {width} wide; extract all "
                "with one encoder."
            )
        kept.append((rng.random(len(features)), features, targets))
        count += len(features)
        limit = max(1, max_values // width)
        if count > 2 * limit:
            kept, count = [_smallest(kept, limit)], limit
    if not kept:
        raise AttentadError("there is no training video to fit the snippet classifier to.")
    _, features, targets = _smallest(kept, limit)
    return torch.from_numpy(features), torch.from_numpy(targets)


def _smallest(parts: list[_Part], limit: int) -> _Part:
    """The `limit` snippets with the smallest numbers, in the order in which they came."""
    keys = np.concatenate([part[0] for part in parts])
    cut = np.partition(keys, limit - 1)[limit - 1] if len(keys) > limit else np.inf
    chosen = [[column[part[0] <= cut] for column in part] for part in parts]
    keys, features, targets = (np.concatenate(column) for column in zip(*chosen, strict=True))
    return keys, features, targets
