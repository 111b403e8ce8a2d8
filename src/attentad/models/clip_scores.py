"""How well a recogniser does on trimmed videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


def video_logits(
    network: nn.Module, clips: Dataset[Mapping[str, Any]], *, batch_size: int = 32
) -> dict[str, tuple[Tensor, int]]:
    """Mean logits over each video's clips, and its label.

    Args:
        network: a recogniser; used in evaluation mode, on the device where it is.
        clips: items {"clip": (3, L, H, W), "label": int, "video": str}.
        batch_size: clips at a time; changes nothing but speed and memory.

    Returns:
        video → ((K,) logits, label).
    """
    device = next(network.parameters()).device
    sums: dict[str, tuple[Tensor, int, int]] = {}
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            for batch in DataLoader(clips, batch_size=batch_size):
                logits = network(batch["clip"].to(device)).logits.float().cpu()
                rows = zip(batch["video"], logits, batch["label"].tolist(), strict=True)
                for video, row, label in rows:
                    total, count, _ = sums.get(video, (torch.zeros_like(row), 0, label))
                    sums[video] = (total + row, count + 1, label)
    finally:
        network.train(was_training)
    return {video: (total / count, label) for video, (total, count, label) in sums.items()}


def clip_accuracy(
    network: nn.Module, clips: Dataset[Mapping[str, Any]], *, batch_size: int = 32
) -> float:
    """Top-1 accuracy over videos, 0..1, by the mean of their clips' logits (spec §3.6)."""
    videos = video_logits(network, clips, batch_size=batch_size).values()
    return sum(int(logits.argmax()) == label for logits, label in videos) / max(1, len(videos))
