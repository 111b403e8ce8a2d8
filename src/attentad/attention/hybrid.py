"""HAM-Net's foreground attention (Islam et al., AAAI 2021), and the module that others can use.

One number in 0..1 says of every step whether an action is on; from it follow the soft, semi-soft
and hard attention of `layers.weak_losses`.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from attentad.attention.gate import Gate
from attentad.core.options import Count, checked
from attentad.layers.masking import masked
from attentad.layers.network_ends import probability
from attentad.layers.weak_losses import Threshold, hybrid_attentions

Mode = Literal["soft", "semi_soft", "hard"]
SLOPE = 0.2
"""Of HAM-Net's leaky ReLUs."""


def leaky_relu(hidden: Tensor) -> Tensor:
    """HAM-Net's activation."""
    return nn.functional.leaky_relu(hidden, SLOPE)


def initialise(network: nn.Module) -> None:
    """HAM-Net's start for its convolutions: Kaiming-uniform with gain √2, biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class ForegroundAttention(nn.Module):
    """Feature (B, C, T) → attention a (B, T) in 0..1 (HAM-Net eq. 4; spec hamnet §1.2).

    Two 3-convolutions with leaky ReLUs, a 1×1 convolution and a sigmoid, as in the published code;
    the text of the paper counts two layers.

    Args:
        feature_dim: C.
        hidden_dim: channels of the two convolutions.
    """

    def __init__(self, feature_dim: int, hidden_dim: int = 512) -> None:
        super().__init__()
        self.conv_1 = nn.Conv1d(feature_dim, hidden_dim, 3, padding=1)
        self.conv_2 = nn.Conv1d(hidden_dim, hidden_dim, 3, padding=1)
        self.conv_out = nn.Conv1d(hidden_dim, 1, 1)
        initialise(self)

    def forward(self, feature: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, C, T), valid (B, T) → (B, T), 0 outside `valid`."""
        hidden = masked(leaky_relu(self.conv_1(masked(feature, valid))), valid)
        hidden = masked(leaky_relu(self.conv_2(hidden)), valid)
        logits = self.conv_out(hidden)
        return masked(probability(logits, self.conv_out.weight), valid)[:, 0]


@checked
class Hybrid(nn.Module):
    """Scales every step of a feature by HAM-Net's soft, semi-soft or hard attention.

    Args:
        feature_dim: C.
        hidden_dim: of `ForegroundAttention`.
        mode: `soft`, a; `semi_soft`, a where it lies below the threshold and 0 elsewhere; `hard`,
            1 there and 0 elsewhere. No gradient flows through a threshold: nothing trains the
            attention of `hard`.
        gamma: γ, of which the threshold is made.
        threshold: see `layers.weak_losses.hybrid_attentions`.
    """

    def __init__(
        self,
        feature_dim: int,
        *,
        hidden_dim: Count = 512,
        mode: Mode = "soft",
        gamma: float = 0.2,
        threshold: Threshold = "relative",
    ) -> None:
        super().__init__()
        self.mode, self.gamma, self.threshold = mode, gamma, threshold
        self.foreground = ForegroundAttention(feature_dim, hidden_dim)

    def gate(self, feature: Tensor, valid: Tensor | None = None) -> Tensor:
        """The gate over time, (B, T) in 0..1; 0 outside `valid`.

        Args:
            feature: F, which is R at a detector's site `input`; (B, C, T), or (B, C, T, H, W),
                of which the mean over space counts.
            valid: (B, T).
        """
        steps = feature.flatten(3).mean(3) if feature.dim() > 3 else feature
        weights = hybrid_attentions(
            self.foreground(steps, valid), valid, gamma=self.gamma, threshold=self.threshold
        )
        gate: Tensor = getattr(weights, self.mode)
        return gate

    def forward(self, feature: Tensor, context: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, C, T) or (B, C, T, H, W) → the same shape; `context` is not used."""
        gate = self.gate(feature, valid)
        self.last_gate = Gate(time=gate.detach())
        return feature * gate.reshape(len(gate), 1, -1, *[1] * (feature.dim() - 3))
