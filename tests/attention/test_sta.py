"""STA: the spec's counts and shapes (hamnet_sta_recognition §2, §9) and a slow oracle."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.attention.sta import STA
from attentad.core import AttentadError
from attentad.core.options import check_options


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ((2048, 4, 4, 4), 40_965),
        ((2048, 1, 4, 4), 40_965),
        ((256, 32, 28, 28), 201_733),
        ((512, 1, 4, 4), 10_245),
        ((512, 2, 7, 7), 27_141),
        ((512, 96, 7, 7), 27_141),
        ((1024, 2, 10, 10), 106_501),
        ((2048, 1, 5, 5), 59_397),
        ((1024, 8, 7, 7), 54_277),
    ],
)
def test_parameter_counts_of_the_spec(shape: tuple[int, int, int, int], count: int) -> None:
    c, _, h, w = shape
    assert parameters(STA(*shape)) == count == c * (h * w + 4) + 5
    assert parameters(STA(*shape, step=3)) == count
    assert parameters(STA(*shape, deconv_padding=1)) == count
    assert parameters(STA(*shape, deconv=False)) == c * (h * w + 4) + 1


def test_parameter_counts_of_the_variants() -> None:
    c, l, h, w = 32, 6, 3, 5
    assert parameters(STA(c, l, h, w, variant="ta")) == c * h * w + 9
    # `sa` is Conv1, which has all that squeezes merged in, and Conv2.
    assert parameters(STA(c, l, h, w, variant="sa")) == c * l * h * w + 1 + 2 * c
    assert parameters(STA(c, l, h, w, variant="sa", sa_time="mean")) == c * h * w + 1 + 2 * c
    assert parameters(STA(c, l, h, w, variant="sa", deconv=False)) == c * l * h * w + 1 + 2 * c
    widened = {"variant": "sa", "deconv": True}
    assert parameters(STA(c, l, h, w, **widened)) == c * l * h * w + 5 + 4 * c
    assert parameters(STA(c, l, h, w, **widened, sa_time="mean")) == c * h * w + 5 + 4 * c
    squeezed = STA(c, l, h, w, squeeze_channels=4)
    assert parameters(squeezed) == (c * h * w + 1) * 4 + (3 * 4 + 1) * 4 + (3 * 4 + 1) * c


def test_lengths_inside_the_module() -> None:
    """(2048,4,4,4): 4→6→4; (1024,8,7,7): 8→10→8; step 2: 8→17→8; step 3: 8→24→8."""
    for shape, step, widened in [
        ((2048, 4, 4, 4), 1, 6),
        ((1024, 8, 7, 7), 1, 10),
        ((16, 8, 2, 2), 2, 17),
        ((16, 8, 2, 2), 3, 24),
    ]:
        sta = STA(*shape, step=step)
        feature = torch.zeros(2, *shape)
        squeezed = sta.conv1(feature).flatten(2)
        assert squeezed.shape == (2, 1, shape[1])
        assert sta.deconv is not None
        assert sta.deconv(squeezed).shape == (2, 1, widened)
        assert sta.weights(feature).shape == (2, *shape[:2])
        assert sta(feature, None).shape == feature.shape


def oracle(sta: STA, feature: np.ndarray) -> np.ndarray:
    """`sta` and `ta` with deconv by the definition, one number at a time: (C, L, H, W) → W."""
    p = {name: value.detach().double().numpy() for name, value in sta.named_parameters()}
    frames, step, pad = feature.shape[1], sta.step, sta.deconv_padding
    z = [float((p["conv1.weight"][0, :, 0] * feature[:, t]).sum()) for t in range(frames)]
    z = [value + float(p["conv1.bias"][0]) for value in z]
    wide = np.full((frames - 1) * step + 3, float(p["deconv.bias"][0]))
    for t, k in product(range(frames), range(3)):
        wide[t * step + k] += z[t] * float(p["deconv.weight"][0, 0, k])
    wide = np.maximum(wide[pad : len(wide) - pad], 0)
    wide = np.pad(wide, pad)
    channels = len(p["conv2.bias"])
    logits = np.zeros((channels, frames))
    for c, t in product(range(channels), range(frames)):
        taps = p["conv2.weight"][c, 0]
        logits[c, t] = p["conv2.bias"][c] + sum(taps[k] * wide[t * step + k] for k in range(3))
    return 1 / (1 + np.exp(-logits))


OPTIONS: list[dict[str, Any]] = [
    {"variant": variant, "step": step, "deconv_padding": padding}
    for variant, step, padding in product(("sta", "ta"), (1, 2, 3), (0, 1))
]
EVERY = [
    *OPTIONS,
    {"deconv": False},
    {"variant": "ta", "deconv": False},
    {"variant": "sa"},
    {"variant": "sa", "sa_time": "mean"},
    {"variant": "sa", "deconv": True},
    {"variant": "sa", "deconv": True, "sa_time": "mean"},
    {"variant": "sa", "deconv": True, "deconv_padding": 1, "step": 2},
    {"squeeze_channels": 3, "gate": "2sigmoid"},
    {"gate": "1+sigmoid", "gate_bias": 4.0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_equals_the_definition(options: dict[str, Any], frames: int) -> None:
    torch.manual_seed(frames)
    sta = STA(3, frames, 2, 4, **options).double()
    feature = torch.randn(3, frames, 2, 4, dtype=torch.float64)
    expected = oracle(sta, feature.numpy())
    weights = sta.weights(feature[None])[0]
    np.testing.assert_allclose(weights.detach().numpy(), expected, atol=1e-12)
    output = sta(feature[None], None)[0].detach().numpy()
    np.testing.assert_allclose(output, feature.numpy() * expected[:, :, None, None], atol=1e-12)


@pytest.mark.parametrize("options", EVERY, ids=str)
def test_shapes_features_in_one_and_three_dimensions_and_gradients(options: dict[str, Any]) -> None:
    volume = STA(4, 5, 3, 2, **options)
    feature = torch.randn(2, 4, 5, 3, 2, requires_grad=True)
    volume(feature, None).square().sum().backward()
    assert feature.grad is not None
    assert feature.grad.shape == feature.shape
    assert all(p.grad is not None and p.grad.isfinite().all() for p in volume.parameters())

    line = STA(4, 5, **options)
    sequence = torch.randn(2, 4, 5)
    expected = line(sequence[..., None, None], None)[..., 0, 0]
    torch.testing.assert_close(line(sequence, sequence), expected)


@pytest.mark.parametrize("options", EVERY, ids=str)
def test_a_batch_equals_single_calls(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    sta = STA(4, 6, 2, 2, **options).double()
    batch = torch.randn(3, 4, 6, 2, 2, dtype=torch.float64)
    singles = torch.cat([sta(item[None], None) for item in batch])
    torch.testing.assert_close(sta(batch, None), singles)


@pytest.mark.parametrize(
    "options", [o for o in EVERY if o.get("variant") != "sa" or "sa_time" in o], ids=str
)
@settings(max_examples=8, deadline=None)
@given(length=st.integers(1, 6), padding=st.integers(0, 4), seed=st.integers(0, 99))
def test_padding_changes_nothing(
    options: dict[str, Any], length: int, padding: int, seed: int
) -> None:
    torch.manual_seed(seed)
    sta = STA(3, length, **options).double()
    feature = torch.randn(1, 3, length, dtype=torch.float64)
    padded = torch.cat([feature, torch.full((1, 3, padding), torch.nan).double()], dim=2)
    valid = (torch.arange(length + padding) < length)[None]
    alone = sta(feature, None)
    torch.testing.assert_close(sta(padded, None, valid)[..., :length], alone)
    torch.testing.assert_close(sta(feature, None, valid[:, :length]), alone)


def test_variants_share_their_weights_as_they_say() -> None:
    feature = torch.randn(2, 4, 5, 3, 3)
    assert STA(4, 5, 3, 3).weights(feature).shape == (2, 4, 5)
    assert STA(4, 5, 3, 3, variant="ta").weights(feature).shape == (2, 1, 5)
    assert STA(4, 5, 3, 3, variant="sa").weights(feature).shape == (2, 4, 1)


def test_gates_and_start_near_the_identity() -> None:
    feature = torch.randn(1, 4, 5, 3, 3)
    ranges = {"sigmoid": (0.0, 1.0), "2sigmoid": (0.0, 2.0), "1+sigmoid": (1.0, 2.0)}
    for gate, (low, high) in ranges.items():
        weights = STA(4, 5, 3, 3, gate=gate).weights(feature)  # type: ignore[arg-type]
        assert low < weights.min()
        assert weights.max() < high
    started = STA(4, 5, 3, 3, gate_bias=4.0).weights(feature)
    torch.testing.assert_close(started, torch.full_like(started, 4.0).sigmoid())


def test_another_size_is_pooled_or_refused() -> None:
    torch.manual_seed(0)
    sta = STA(4, 5, 3, 3)
    feature = torch.randn(1, 4, 7, 6, 6)
    pooled = feature.unflatten(4, (3, 2)).unflatten(3, (3, 2)).mean(dim=(4, 6))
    torch.testing.assert_close(sta.weights(feature), sta.weights(pooled))
    assert STA(4, 5, 3, 3, variant="sa")(feature, None).shape == feature.shape
    with pytest.raises(AttentadError, match=r"any×3×3 .* gets 7×6×6"):
        STA(4, 5, 3, 3, on_size_mismatch="error")(feature, None)


def test_nan_stays_in_its_item() -> None:
    batch = torch.randn(2, 4, 5, 3, 3)
    batch[0, 0, 0, 0, 0] = torch.nan
    output = STA(4, 5, 3, 3)(batch, None)
    assert output[0].isnan().any()
    assert output[1].isfinite().all()


@pytest.mark.parametrize(
    "options",
    [
        {"variant": "st"},
        {"gate": "relu"},
        {"step": 0},
        {"step": 2, "deconv": False},
        {"step": 2, "variant": "sa"},
        {"deconv_padding": 1, "deconv": False},
        {"deconv_padding": 1, "variant": "sa"},
        {"deconv_padding": 2},
        {"sa_time": "max"},
        {"on_size_mismatch": "crop"},
        {"squeeze_channels": 0},
    ],
    ids=str,
)
def test_bad_options_are_named(options: dict[str, Any]) -> None:
    def build() -> None:
        check_options(STA, options, where="sta")
        STA(4, 5, **options)

    with pytest.raises(AttentadError, match=f"sta.*{next(iter(options))}"):
        build()
