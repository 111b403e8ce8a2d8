"""The honest baseline: a linear classifier of single steps, smoothed, whose runs are detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from attentad.core import AttentadError, Timeline
from attentad.core.found import Found
from attentad.core.options import NotNegative, OddCount, Share
from attentad.layers.masking import InputNorm, masked, normalised_dim, normalised_input
from attentad.layers.runs import Boundaries, RunScore, Thresholds, decode_runs
from attentad.layers.step_losses import Activation, step_loss, step_probabilities, step_targets


class Framewise(nn.Module):
    """Features (B, C_in, T) of any length → logits (B, K + 1, T), the background last.

    (B, K, T) under `sigmoid`; 0 where there is no video. No step knows of another.

    Args:
        feature_dim: C_in.
        classes: K.
        activation: of a step's logits. `softmax`: it shows one class or the background; `sigmoid`:
            any number of classes at a time.
        input_norm: `video` brings each channel of R to mean 0 and deviation 1 over the view's
            steps, so that what a video shows throughout does not count; `none` leaves R as it is;
            `both` has R and that beside it.

    Raises:
        AttentadError: there is no class.
    """

    def __init__(
        self,
        feature_dim: int,
        classes: int,
        *,
        activation: Activation = "softmax",
        input_norm: InputNorm = "none",
    ) -> None:
        super().__init__()
        if classes < 1:
            raise AttentadError(f"framewise needs at least 1 class, not {classes}.")
        self.feature_dim, self.input_norm = feature_dim, input_norm
        rows = classes + 1 if activation == "softmax" else classes
        self.classifier = nn.Conv1d(normalised_dim(feature_dim, input_norm), rows, 1)

    def forward(self, features: Tensor, valid: Tensor | None = None) -> Tensor:
        """Valid (B, T) is true where there is video.

        Raises:
            AttentadError: C_in is not the model's.
        """
        if features.shape[1] != self.feature_dim:
            raise AttentadError(
                f"this classifier was built for {self.feature_dim} channels and got "
                f"{features.shape[1]}."
            )
        feature = normalised_input(masked(features, valid), valid, self.input_norm)
        return masked(self.classifier(feature).to(self.classifier.weight.dtype), valid)


targets = step_targets


def loss(
    outputs: Tensor,
    targets: Mapping[str, Tensor],
    valid: Tensor | None = None,
    *,
    activation: Activation = "softmax",
    class_balance: Share = 0.0,
) -> dict[str, Tensor]:
    """The cross-entropy of the steps, `total`; see `layers.step_losses.step_loss`.

    Args:
        outputs: of the network.
        targets: of `targets`, stacked.
        valid: (B, T).
        activation: of the network.
        class_balance: 0 counts every step alike, 1 every class of the batch.
    """
    labels = targets["labels"]
    return {
        "total": step_loss(
            outputs, labels, valid, activation=activation, class_balance=class_balance
        )
    }


def decode(
    outputs: Tensor,
    timelines: Sequence[Timeline],
    valid: Tensor | None = None,
    *,
    activation: Activation = "softmax",
    thresholds: Thresholds = "dense",
    score: RunScore = "contrast",
    flank: NotNegative = 0.5,
    smoothing: OddCount = 5,
    boundaries: Boundaries = "cells",
) -> list[Found]:
    """Actions of each view in seconds, best first, before suppression; see `decode_runs`.

    Args:
        outputs: of the network, B views.
        timelines: of the views.
        valid: (B, T), the valid steps of a view first.
        activation: of the network.
        thresholds: a run of steps above any of them is a candidate of that class; `dense`, .05 to
            .95 in steps of .05, or a list.
        score: `contrast`, the mean probability inside minus that around, where it is above 0;
            `mean`, inside alone.
        flank: how far around reaches on either side, in lengths of the run.
        smoothing: probabilities become their mean over so many steps first.
        boundaries: `cells`, a run's first and last cell's edges; `crossings`, where the line
            through the steps' probabilities crosses the threshold.

    Raises:
        AttentadError: there is no threshold, or the outputs are not finite.
    """
    probabilities = step_probabilities(outputs.detach().float(), activation)
    return decode_runs(
        probabilities[:, :-1] if activation == "softmax" else probabilities,
        timelines,
        valid,
        thresholds=thresholds,
        score=score,
        flank=flank,
        smoothing=smoothing,
        boundaries=boundaries,
    )
