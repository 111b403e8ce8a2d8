"""TCN: a temporal convolutional network names every step; runs of a class are its detections.

Residual blocks of dilated convolutions see ever further around a step (Lea et al., Temporal
Convolutional Networks, CVPR 2017). More stages refine the probabilities of the stage before, and a
loss keeps neighbouring steps alike (Abu Farha and Gall, MS-TCN, CVPR 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from attentad.attention.sites import AttentionChoice, Sites, SiteShape
from attentad.core import AttentadError, Timeline
from attentad.core.found import Found
from attentad.core.options import Count, DropRate, NotNegative, OddCount, Positive, Share
from attentad.layers.masking import (
    InputNorm,
    masked,
    normalised_dim,
    normalised_input,
    with_change,
)
from attentad.layers.runs import Boundaries, RunScore, Thresholds, decode_runs
from attentad.layers.step_losses import (
    Activation,
    smoothing_loss,
    step_loss,
    step_probabilities,
    step_targets,
)

TCNOutput = tuple[Tensor, ...]
"""Of every stage, logits (B, K + 1, T), the background last, or (B, K, T) under `sigmoid`; 0 where
there is no video."""


class TCN(nn.Module):
    """Features (B, C_in, T) of any length → `TCNOutput`.

    Args:
        feature_dim: C_in.
        classes: K.
        length: T, where attention modules need one; None for views of any length.
        hidden_dim: channels of every block.
        blocks: residual blocks of a stage. Each is a dilated convolution, a ReLU and a 1×1
            convolution, dropped out and added to what came in.
        kernel_size: of the dilated convolutions.
        dilation_growth: the i-th block's dilation is its (i − 1)-th power.
        stages: the first reads R, each later one the probabilities of the one before.
        activation: of a step's logits. `softmax`: it shows one class or the background; `sigmoid`:
            any number of classes at a time.
        dropout: at the end of every block.
        change_steps: adds how much each channel of R changes from step to step, as a mean over so
            many steps (an odd number), before `input_norm`; None leaves it out.
        input_norm: `video` brings each channel of R to mean 0 and deviation 1 over the view's
            steps, so that what a video shows throughout does not count; `none` leaves R as it is;
            `both` has R and that beside it.
        input_dropout: of whole channels of R.
        input_noise: deviation of normal noise on R in training.
        attention: site → name and options of a module. `input` is R itself, `block1`, `block2` and
            so on come after that block of the first stage, `encoder` is what its classifier reads.

    Raises:
        AttentadError: there is no class.
    """

    def __init__(
        self,
        feature_dim: int,
        classes: int,
        length: int | None = None,
        *,
        hidden_dim: Count = 64,
        blocks: Count = 8,
        kernel_size: OddCount = 3,
        dilation_growth: Count = 2,
        stages: Count = 1,
        activation: Activation = "softmax",
        dropout: DropRate = 0.3,
        change_steps: OddCount | None = None,
        input_norm: InputNorm = "none",
        input_dropout: DropRate = 0.0,
        input_noise: NotNegative = 0.0,
        attention: Mapping[str, AttentionChoice] | None = None,
    ) -> None:
        super().__init__()
        if classes < 1:
            raise AttentadError(f"TCN needs at least 1 class, not {classes}.")
        self.feature_dim, self.activation = feature_dim, activation
        self.change_steps = change_steps
        self.input_norm, self.input_noise = input_norm, input_noise
        self.block_sites = tuple(f"block{i}" for i in range(1, blocks + 1))
        shape = SiteShape(hidden_dim, feature_dim, length)
        shapes = {"input": SiteShape(feature_dim, feature_dim, length)}
        shapes |= dict.fromkeys((*self.block_sites, "encoder"), shape)
        self.sites = Sites(attention, shapes)
        self.input_dropout = nn.Dropout1d(input_dropout)
        rows = classes + 1 if activation == "softmax" else classes
        dilations = [dilation_growth**i for i in range(blocks)]
        input_dim = normalised_dim(feature_dim * (1 if change_steps is None else 2), input_norm)
        self.stages = nn.ModuleList(
            _Stage(inputs, hidden_dim, rows, dilations, kernel_size, dropout)
            for inputs in [input_dim, *[rows] * (stages - 1)]
        )

    def forward(self, features: Tensor, valid: Tensor | None = None) -> TCNOutput:
        """Valid (B, T) is true where there is video.

        Raises:
            AttentadError: C_in is not the model's.
        """
        if features.shape[1] != self.feature_dim:
            raise AttentadError(
                f"this TCN was built for {self.feature_dim} channels and got {features.shape[1]}."
            )
        context = masked(features, valid)
        feature = self.sites("input", context, context, valid)
        if self.change_steps is not None:
            feature = with_change(feature, valid, self.change_steps)
        feature = normalised_input(feature, valid, self.input_norm)
        if self.training and self.input_noise:
            feature = masked(feature + self.input_noise * torch.randn_like(feature), valid)
        first, *later = cast("list[_Stage]", list(self.stages))
        hidden = masked(first.stem(self.input_dropout(feature)), valid)
        for site, block in zip(self.block_sites, first.blocks, strict=True):
            hidden = self.sites(site, block(hidden, valid), context, valid)
        outputs = [first.logits(self.sites("encoder", hidden, context, valid), valid)]
        for stage in later:
            said = masked(step_probabilities(outputs[-1], self.activation), valid)
            hidden = masked(stage.stem(said), valid)
            for block in stage.blocks:
                hidden = block(hidden, valid)
            outputs.append(stage.logits(hidden, valid))
        return tuple(outputs)


class _Stage(nn.Module):
    def __init__(
        self,
        in_dim: int,
        hidden_dim: int,
        rows: int,
        dilations: Sequence[int],
        kernel_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv1d(in_dim, hidden_dim, 1)
        self.blocks = nn.ModuleList(
            _Block(hidden_dim, kernel_size, dilation, dropout) for dilation in dilations
        )
        self.classifier = nn.Conv1d(hidden_dim, rows, 1)

    def logits(self, hidden: Tensor, valid: Tensor | None) -> Tensor:
        return masked(self.classifier(hidden).to(self.classifier.weight.dtype), valid)


class _Block(nn.Module):
    def __init__(self, dim: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        reach = dilation * (kernel_size // 2)
        self.dilated = nn.Conv1d(dim, dim, kernel_size, padding=reach, dilation=dilation)
        self.mix = nn.Conv1d(dim, dim, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, valid: Tensor | None) -> Tensor:
        change = self.mix(torch.relu(self.dilated(hidden)))
        return masked(hidden + self.dropout(change), valid)


targets = step_targets


def loss(
    outputs: TCNOutput,
    targets: Mapping[str, Tensor],
    valid: Tensor | None = None,
    *,
    activation: Activation = "softmax",
    smoothing_weight: NotNegative = 0.15,
    smoothing_tau: Positive = 4.0,
    class_balance: Share = 0.0,
    label_smoothing: Share = 0.0,
    focal_gamma: NotNegative = 0.0,
) -> dict[str, Tensor]:
    """L = Σ over stages of L_cls + λ·L_smooth as `total` (MS-TCN eqs. 7 and 11), with its terms.

    Args:
        outputs: of the network.
        targets: of `targets`, stacked.
        valid: (B, T).
        activation: of the network.
        smoothing_weight: λ, how much neighbouring steps are to be alike.
        smoothing_tau: τ; a change of a log probability beyond it costs no more.
        class_balance: 0 counts every step alike, 1 every class of the batch.
        label_smoothing: the part of each target that is spread over all classes.
        focal_gamma: γ of the focal loss; 0 is the cross-entropy.
    """
    terms = {
        "classification": [
            step_loss(
                logits,
                targets["labels"],
                valid,
                activation=activation,
                class_balance=class_balance,
                label_smoothing=label_smoothing,
                focal_gamma=focal_gamma,
            )
            for logits in outputs
        ],
        "smoothing": [
            smoothing_loss(logits, valid, activation=activation, tau=smoothing_tau)
            for logits in outputs
        ],
    }
    summed = {name: torch.stack(stages).sum() for name, stages in terms.items()}
    return {"total": summed["classification"] + smoothing_weight * summed["smoothing"], **summed}


def decode(
    outputs: TCNOutput,
    timelines: Sequence[Timeline],
    valid: Tensor | None = None,
    *,
    activation: Activation = "softmax",
    stage: Literal["last", "mean"] = "last",
    thresholds: Thresholds = "dense",
    score: RunScore = "contrast",
    flank: NotNegative = 0.5,
    smoothing: OddCount = 1,
    boundaries: Boundaries = "cells",
) -> list[Found]:
    """Actions of each view in seconds, best first, before suppression; see `decode_runs`.

    Args:
        outputs: of the network, B views.
        timelines: of the views.
        valid: (B, T), the valid steps of a view first.
        activation: of the network.
        stage: whose probabilities count: the `last`'s, or the `mean` of all.
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
    stages = outputs[-1:] if stage == "last" else outputs
    said = [step_probabilities(logits.detach().float(), activation) for logits in stages]
    probabilities = torch.stack(said).mean(0)
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
