"""Accuracy over videos by the mean of their clips' logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from attentad.backbones import RecogniserOutput
from attentad.models.clip_scores import clip_accuracy, video_logits


class Spoken(nn.Module):
    """Gives out the logits that are written into the clip."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, clips: Tensor) -> RecogniserOutput:
        feature = clips.flatten(1) * self.weight
        return RecogniserOutput(feature, feature)


class Items(Dataset[Any]):
    def __init__(self, rows: list[tuple[str, list[float], int]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        video, logits, label = self.rows[index]
        return {"clip": torch.tensor(logits).view(3, 1, 1, 1), "label": label, "video": video}


ROWS = [
    ("a", [1.0, 0.0, 0.0], 1),
    ("b", [0.0, 0.0, 2.0], 2),
    ("a", [0.0, 3.0, 0.0], 1),  # the mean of a's clips is right, one of them is not
    ("c", [0.0, 1.0, 0.0], 0),
    ("a", [2.5, 1.0, 0.0], 1),
]


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_mean_of_logits_per_video(batch_size: int) -> None:
    network = Spoken()
    found = video_logits(network, Items(ROWS), batch_size=batch_size)
    assert {video: label for video, (_, label) in found.items()} == {"a": 1, "b": 2, "c": 0}
    torch.testing.assert_close(found["a"][0], torch.tensor([3.5, 4.0, 0.0]) / 3)
    assert clip_accuracy(network, Items(ROWS), batch_size=batch_size) == pytest.approx(2 / 3)
    assert network.training


def test_no_clips_score_nothing() -> None:
    assert clip_accuracy(Spoken(), Items([])) == 0.0
