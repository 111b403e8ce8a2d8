"""3D ResNet: the spec's counts and shapes (hamnet_sta_recognition §3.1), sites, learning."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from attentad.attention import ATTENTION
from attentad.attention.sta import STA
from attentad.backbones import RECOGNISERS, ResNet3D, loss
from attentad.backbones.resnet3d import SITES
from attentad.backbones.task import RecognitionTask
from attentad.core import AttentadError
from attentad.core.options import check_options

POSITIONS = ("residual_end", "post_add", "block_input")


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def on_meta(classes: int = 400, **options: Any) -> ResNet3D:
    """A network that takes no memory: for counts and shapes."""
    with torch.device("meta"):
        return ResNet3D(classes, **options)


def tiny(classes: int = 3, **options: Any) -> ResNet3D:
    given = {"depth": 10, "width": 4, "frames": 8, "size_px": 16, "stem_pool": False}
    return ResNet3D(classes, **(given | options))


def stage_shapes(network: ResNet3D, clip: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}

    def record(name: str) -> Any:
        return lambda module, inputs, output: shapes.__setitem__(name, tuple(output.shape[1:]))

    for name in ("bn1", "layer1", "layer2", "layer3", "layer4"):
        network.get_submodule(name).register_forward_hook(record(name))
    network(torch.zeros(2, *clip, device="meta"))
    return shapes


@pytest.mark.parametrize(
    ("depth", "shortcut", "count"),
    [(18, "A", 33_235_280), (18, "B", 33_409_104), (152, "B", 118_223_440)],
)
def test_parameter_counts_of_the_spec(depth: int, shortcut: Any, count: int) -> None:
    assert parameters(on_meta(depth=depth, shortcut=shortcut)) == count


@pytest.mark.parametrize("depth", [10, 18, 34, 50, 101, 152, 200])
def test_every_depth_has_its_layers(depth: int) -> None:
    network = on_meta(depth=depth)
    convolutions = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv3d) and "downsample" not in name
    ]
    # The name counts convolutions and the classifier.
    assert len(convolutions) + 1 == depth
    assert network.feature_dim == (512 if depth < 50 else 2048)


def test_shapes_of_the_spec() -> None:
    assert stage_shapes(on_meta(depth=18), (3, 16, 112, 112)) == {
        "bn1": (64, 16, 56, 56),
        "layer1": (64, 8, 28, 28),
        "layer2": (128, 4, 14, 14),
        "layer3": (256, 2, 7, 7),
        "layer4": (512, 1, 4, 4),
    }
    long = stage_shapes(on_meta(depth=50, shortcut="A"), (3, 64, 112, 112))
    assert [long[f"layer{i}"] for i in (1, 2, 3, 4)] == [
        (256, 32, 28, 28),
        (512, 16, 14, 14),
        (1024, 8, 7, 7),
        (2048, 4, 4, 4),
    ]


@pytest.mark.parametrize(("depth", "mega_macs"), [(18, 8_308), (152, 18_610)])
def test_multiplications_of_the_spec(depth: int, mega_macs: int) -> None:
    network, count = on_meta(depth=depth), 0

    def add(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal count
        assert isinstance(module, nn.Conv3d | nn.Linear)
        count += output[0].numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.Linear):
            module.register_forward_hook(add)
    network(torch.zeros(1, 3, 16, 112, 112, device="meta"))
    assert count / 1e6 == pytest.approx(mega_macs, rel=1e-3)


def test_keys_are_those_of_the_public_checkpoints() -> None:
    keys = set(on_meta(depth=50).state_dict())
    for key in (
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.conv3.weight",
        "layer1.0.downsample.0.weight",
        "layer4.2.bn3.bias",
        "fc.bias",
    ):
        assert key in keys
    extra = set(on_meta(depth=50, attention={"layer4": ("sta", {})}).state_dict()) - keys
    assert extra
    assert all(key.startswith("layer4.") and ".sites.residual_end." in key for key in extra)


@pytest.mark.parametrize(
    ("depth", "frames", "site", "sizes"),
    [
        (18, 16, "layer4", [10_245] * 2),
        (152, 16, "layer4", [40_965] * 3),
        (101, 64, "layer4", [40_965] * 3),
        (101, 64, "layer1", [201_733] * 3),
        (101, 64, "layer3_out", [54_277]),
    ],
)
def test_sta_at_the_sites_of_the_spec(depth: int, frames: int, site: str, sizes: list[int]) -> None:
    network = on_meta(depth=depth, frames=frames, attention={site: ("sta", {})})
    found = [parameters(module) for module in network.modules() if isinstance(module, STA)]
    assert found == sizes
    assert parameters(network) == parameters(on_meta(depth=depth, frames=frames)) + sum(sizes)


def test_a_block_input_has_the_shape_before_the_block() -> None:
    network = on_meta(
        depth=101, frames=64, attention={"layer4": ("sta", {})}, position="block_input"
    )
    modules = [module for module in network.modules() if isinstance(module, STA)]
    assert [m.conv1.weight.shape[1:] for m in modules] == [(1024, 1, 7, 7)] + [(2048, 1, 4, 4)] * 2
    # 0.76 M multiplications in all (spec §2.2)
    work = [c * l * (h * w + 4) + 3 * l for c, l, h, w in [(1024, 8, 7, 7)] + [(2048, 4, 4, 4)] * 2]
    assert round(sum(work) / 1e6, 2) == 0.76


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("module", ["sta", "se", "none"])
@pytest.mark.parametrize("depth", [10, 50])
def test_attention_runs_at_every_site(position: Any, module: str, depth: int) -> None:
    attention: dict[str, Any] = {site: (module, {}) for site in SITES}
    network = tiny(depth=depth, width=8, attention=attention, position=position)
    clips = torch.randn(2, 3, 8, 16, 16)
    output = network(clips)
    assert output.feature.shape == (2, network.feature_dim)
    assert output.logits.shape == (2, 3)
    output.logits.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_positions_are_where_they_say() -> None:
    """One block by hand, with an attention that halves everything."""
    for position in POSITIONS:
        torch.manual_seed(0)
        options = {"gate_bias": 0.0}
        network = tiny(attention={"layer2": ("sta", options)}, position=position).eval()
        block = network.layer2[0]
        x = torch.randn(2, 4, 8, 8, 8)
        before = x / 2 if position == "block_input" else x
        branch = functional.relu(block.bn1(block.conv1(before)))
        branch = block.bn2(block.conv2(branch))
        if position == "residual_end":
            branch = branch / 2
        expected = functional.relu(branch + block.downsample(before))
        if position == "post_add":
            expected = expected / 2
        torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("detach", [False, True])
def test_shortcut_a_keeps_every_second_point_and_pads_channels(detach: bool) -> None:
    network = tiny(shortcut="A", shortcut_a_detach=detach)
    block = network.layer2[0]
    nn.init.zeros_(block.bn2.weight)  # the branch gives 0: what is left is the shortcut
    x = torch.rand(2, 4, 7, 8, 8, requires_grad=True)
    output = block(x)
    assert output.shape == (2, 8, 4, 4, 4)
    torch.testing.assert_close(output[:, :4], x[:, :, ::2, ::2, ::2])
    assert (output[:, 4:] == 0).all()
    output.sum().backward()
    assert x.grad is not None
    assert bool((x.grad == 0).all()) is detach


def test_stem_options_change_the_shapes() -> None:
    network = on_meta(
        depth=10,
        width=16,
        frames=16,
        size_px=48,
        stem_kernel=[3, 5, 5],
        stem_stride=[1, 2, 2],
        stem_pool=False,
        attention={"layer4": ("sta", {"on_size_mismatch": "error"})},
    )
    shapes = stage_shapes(network, (3, 16, 48, 48))
    assert shapes["layer1"] == (16, 16, 24, 24)
    assert shapes["layer4"] == (128, 2, 3, 3)


def test_other_clip_sizes_are_accepted() -> None:
    network = tiny(attention={"layer4": ("sta", {})})
    assert network(torch.randn(1, 3, 5, 30, 22)).logits.shape == (1, 3)


def test_a_batch_equals_single_clips() -> None:
    torch.manual_seed(0)
    network = tiny(attention={"layer4": ("sta", {})}).eval()
    clips = torch.randn(3, 3, 8, 16, 16)
    with torch.inference_mode():
        together = network(clips)
        for i in range(3):
            alone = network(clips[i : i + 1])
            torch.testing.assert_close(alone.feature[0], together.feature[i])
            torch.testing.assert_close(alone.logits[0], together.logits[i])


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_overfits_one_batch(shortcut: Any) -> None:
    torch.manual_seed(0)
    network = tiny(shortcut=shortcut, attention={"layer4": ("sta", {})})
    clips, labels = torch.randn(6, 3, 8, 16, 16), torch.tensor([0, 1, 2, 0, 1, 2])
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    terms = {}
    for _ in range(30):
        terms = loss(network(clips), labels)
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
    assert terms["total"].item() < 0.05
    assert (network(clips).logits.argmax(dim=1) == labels).all()


def test_loss_is_cross_entropy_with_smoothing() -> None:
    network = tiny(classes=4).eval()
    output, labels = network(torch.randn(2, 3, 8, 16, 16)), torch.tensor([1, 3])
    log = output.logits.log_softmax(dim=1)
    plain = -(log[0, 1] + log[1, 3]) / 2
    torch.testing.assert_close(loss(output, labels)["total"], plain)
    smoothed = 0.8 * plain - 0.2 * log.mean()
    torch.testing.assert_close(loss(output, labels, label_smoothing=0.2)["total"], smoothed)


def test_one_class() -> None:
    assert tiny(classes=1)(torch.randn(2, 3, 8, 16, 16)).logits.shape == (2, 1)


def test_the_table_builds_it() -> None:
    recogniser = RECOGNISERS["resnet3d"]
    network = recogniser.network(3, frames=8, size_px=16, depth=10, width=4)
    assert isinstance(network, ResNet3D)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"attention": {"layer5": ("sta", {})}},
            "attention.layer5: there is no such site",
        ),
        ({"attention": {"layer4": ("csa", {})}}, "csa"),
        ({"attention": {"layer4": ("sta", {"stepp": 1})}}, "stepp"),
        ({"stem_kernel": [4, 7, 7]}, "stem_kernel cannot be .* an odd"),
        ({"stem_stride": [0, 1, 1]}, "stem_stride cannot be .* at least 1"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], words: str) -> None:
    def build() -> None:
        check_options(ResNet3D, options)
        tiny(**options)

    with pytest.raises(AttentadError, match=words):
        build()


class Asking(nn.Module):
    """Asks for something in every block."""

    def __init__(self, feature_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(feature_dim))

    def forward(self, feature, context, valid=None):
        return feature

    def terms(self):
        return {"size": self.weight.mean()}


def test_what_modules_ask_for_joins_the_loss(monkeypatch):
    monkeypatch.setitem(ATTENTION, "asking", Asking)
    network = ResNet3D(
        2, depth=18, width=2, frames=4, size_px=8, stem_pool=False,
        attention={"layer1": ("asking", {}), "layer4_out": ("asking", {})},
    )  # fmt: skip
    batch = {"clip": torch.randn(2, 3, 4, 8, 8), "label": torch.tensor([0, 1])}
    plain = loss(network(batch["clip"]), batch["label"])["total"]
    terms = RecognitionTask(network, loss)(batch, "main")
    asked = [term for name, term in terms.items() if name.endswith(".size")]
    assert sum(asked) == 3  # two blocks and one output
    torch.testing.assert_close(terms["total"], plain + 3, atol=1e-5, rtol=1e-5)
