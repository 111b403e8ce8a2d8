"""Learning to recognise trimmed clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from attentad.attention.sites import with_asked
from attentad.core.phase import Phase


class RecognitionTask(nn.Module):
    """Minimises a recogniser's loss on labelled clips, plus what its attention modules ask for.

    Args:
        network: clips → outputs.
        loss: (outputs, labels, **loss_options) → terms with the key `total`.
    """

    phases: tuple[Phase, ...] = (Phase(),)

    def __init__(
        self, network: nn.Module, loss: Callable[..., dict[str, Tensor]], **loss_options: Any
    ) -> None:
        super().__init__()
        self.network = network
        self._loss, self._loss_options = loss, loss_options

    def forward(self, batch: Mapping[str, Any], phase: str) -> dict[str, Tensor]:
        """Loss terms of a batch with `clip` (B, 3, L, H, W) and `label` (B,)."""
        terms = self._loss(self.network(batch["clip"]), batch["label"], **self._loss_options)
        return with_asked(terms, self.network)
