"""TCN from the classes of whole videos: HAM-Net's losses on a temporal convolutional network.

A `TCN` scores the steps and a foreground attention beside it takes part in training alone: which
steps count, so that the losses of `detection.hamnet` hold as they stand. Detection needs no cuts of
the attention: as after training from segments, runs of each class's probability are its actions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from attentad.attention.hybrid import ForegroundAttention
from attentad.attention.sites import AttentionChoice, Sites
from attentad.core import Timeline
from attentad.core.found import Found
from attentad.core.options import Count, DropRate, NotNegative, OddCount, Positive
from attentad.detection import hamnet
from attentad.detection.hamnet import HAMOutput, video_scores
from attentad.detection.tcn import TCN
from attentad.layers.masking import InputNorm, masked
from attentad.layers.runs import Boundaries, RunScore, Thresholds, decode_runs


class WeakTCN(nn.Module):
    """Features (B, C_in, T) of any length → `HAMOutput`.

    Args:
        feature_dim: C_in.
        classes: C.
        length: T, where attention modules need one; None for views of any length.
        attention_dim: channels of the foreground attention.
        hidden_dim, blocks, kernel_size, dilation_growth, dropout: as of detector tcn, with fewer
            blocks: nothing says where an action ends, and a step that sees far says little of it.
        input_norm, input_dropout, input_noise: as of detector tcn.
        attention: site → name and options of a module, at the sites of detector tcn.

    Raises:
        AttentadError: there is no class.
    """

    def __init__(
        self,
        feature_dim: int,
        classes: int,
        length: int | None = None,
        *,
        attention_dim: Count = 512,
        hidden_dim: Count = 64,
        blocks: Count = 2,
        kernel_size: OddCount = 3,
        dilation_growth: Count = 2,
        dropout: DropRate = 0.5,
        input_norm: InputNorm = "none",
        input_dropout: DropRate = 0.0,
        input_noise: NotNegative = 0.0,
        attention: Mapping[str, AttentionChoice] | None = None,
    ) -> None:
        super().__init__()
        self.tcn = TCN(
            feature_dim,
            classes,
            length,
            hidden_dim=hidden_dim,
            blocks=blocks,
            kernel_size=kernel_size,
            dilation_growth=dilation_growth,
            dropout=dropout,
            input_norm=input_norm,
            input_dropout=input_dropout,
            input_noise=input_noise,
            attention=attention,
        )
        self.foreground = ForegroundAttention(feature_dim, attention_dim)

    @property
    def sites(self) -> Sites:
        """Those of the TCN."""
        return self.tcn.sites

    def forward(self, features: Tensor, valid: Tensor | None = None) -> HAMOutput:
        """Valid (B, T) is true where there is video.

        Raises:
            AttentadError: C_in is not the model's.
        """
        scores = self.tcn(features, valid)[-1].transpose(1, 2)
        return HAMOutput(scores, self.foreground(masked(features, valid), valid))


targets, loss = hamnet.targets, hamnet.loss


def decode(
    outputs: HAMOutput,
    timelines: Sequence[Timeline],
    valid: Tensor | None = None,
    *,
    top_k_ratio: Positive | None = 10.0,
    top_k: Count | None = None,
    video_power: NotNegative = 0.5,
    thresholds: Thresholds = "dense",
    score: RunScore = "contrast",
    flank: NotNegative = 0.5,
    smoothing: OddCount = 5,
    boundaries: Boundaries = "cells",
) -> list[Found]:
    """Actions of each video in seconds, best first, before suppression; see `decode_runs`.

    Args:
        outputs: of the network, B videos.
        timelines: of the videos.
        valid: (B, T), the valid steps of a video first.
        top_k_ratio, top_k: of the video's scores, see `detection.hamnet.video_scores`.
        video_power: a run's score is multiplied with that power of its class's score of the video.
        thresholds, score, flank, smoothing, boundaries: as of detector tcn.

    Raises:
        AttentadError: there is no threshold, neither `top_k_ratio` nor `top_k` is given, or the
            outputs are not finite.
    """
    video = video_scores(outputs, valid, top_k_ratio=top_k_ratio, top_k=top_k)
    probabilities = torch.softmax(outputs.scores.detach().float(), dim=2)[..., :-1]
    return decode_runs(
        probabilities.transpose(1, 2),
        timelines,
        valid,
        thresholds=thresholds,
        score=score,
        flank=flank,
        smoothing=smoothing,
        boundaries=boundaries,
        class_probabilities=video,
        video_power=video_power,
    )
