"""The task of most detectors: one network, one loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from attentad.attention.sites import with_asked
from attentad.core.phase import Phase


class DetectionTask(nn.Module):
    """Minimises a detector's loss on features, plus what its attention modules ask for.

    Args:
        network: (features, valid) → outputs.
        loss: (outputs, targets, valid, **loss_options) → terms with the key `total`.
    """

    phases: tuple[Phase, ...] = (Phase(),)

    def __init__(
        self, network: nn.Module, loss: Callable[..., dict[str, Tensor]], **loss_options: Any
    ) -> None:
        super().__init__()
        self.network = network
        self._loss, self._loss_options = loss, loss_options

    def forward(self, batch: Mapping[str, Any], phase: str) -> dict[str, Tensor]:
        """Loss terms of a batch with `features` (B, C, T), `valid` (B, T) and `targets`."""
        outputs = self.network(batch["features"], batch["valid"])
        terms = self._loss(outputs, batch["targets"], batch["valid"], **self._loss_options)
        return with_asked(terms, self.network)
