"""How well a recogniser does on trimmed videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from attentad.models.model import inferring


def video_logits(
    network: nn.Module, clips: Dataset[Mapping[str, Any]], *, batch_size: int = 32
) -> dict[str, tuple[Tensor, int]]:
    """Video → mean logits (K,) over its clips, and its label.

    Args:
        network: a recogniser; used in evaluation mode, on the device where it is.
        clips: items {"clip": (3, L, H, W), "label": int, "video": str}.
        batch_size: clips at a time; changes nothing but speed and memory.
    """
    sums: dict[str, tuple[Tensor, int, int]] = {}
    with inferring(network) as device:
        for batch in DataLoader(clips, batch_size=batch_size):
            logits = network(batch["clip"].to(device)).logits.float().cpu()
            for video, row, label in zip(
                batch["video"], logits, batch["label"].tolist(), strict=True
            ):
                total, count, _ = sums.get(video, (torch.zeros_like(row), 0, label))
                sums[video] = (total + row, count + 1, label)
    return {video: (total / count, label) for video, (total, count, label) in sums.items()}


def clip_accuracy(
    network: nn.Module, clips: Dataset[Mapping[str, Any]], *, batch_size: int = 32
) -> float:
    """Top-1 accuracy over videos, 0..1, by the mean of their clips' logits (spec §3.6)."""
    videos = video_logits(network, clips, batch_size=batch_size).values()
    return sum(int(logits.argmax()) == label for logits, label in videos) / max(1, len(videos))
