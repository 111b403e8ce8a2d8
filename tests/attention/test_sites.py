"""Sites: who stands there, what runs there, and what it says."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from attentad.attention import ATTENTION
from attentad.attention.gate import Gate
from attentad.attention.sites import Sites, SiteShape
from attentad.core import AttentadError

C, C_IN, T = 16, 5, 12
SHAPE = SiteShape(C, C_IN, T)


class Doubles(nn.Module):
    """Doubles F, and asks for its mean to be small."""

    def forward(self, feature, context, valid=None):
        self.mean = feature.mean()
        return 2 * feature

    def terms(self):
        return {"small": self.mean}


class Fixed(nn.Module):
    """Says at which place of its N a step stands, and takes nothing but N."""

    length = 4

    def forward(self, feature, context, valid=None):
        assert feature.shape[-1] == context.shape[-1] == self.length
        places = torch.arange(self.length)
        self.last_gate = Gate(time=places.expand(len(feature), -1), channel=feature.mean(2))
        return feature + 10 * context + 100 * places


class Pyramid(nn.Module):
    """Adds to every level the mean of the coarsest."""

    levels = True

    def forward(self, feature, context, valid=None):
        assert isinstance(feature, tuple)
        self.seen = (context, valid)
        coarsest = feature[-1].mean(2, keepdim=True)
        self.last_gate = tuple(Gate(time=level.mean(1)) for level in feature)
        return tuple(level + coarsest for level in feature)

    def terms(self):
        return {"count": torch.tensor(3.0)}


def sites_of(module):
    """Sites at one of which this module stands."""
    sites = Sites({"roof": ("none", {})}, {"roof": SHAPE, "cellar": SHAPE})
    sites["roof"] = module
    return sites


def pair(batch=2, steps=T):
    torch.manual_seed(0)
    return torch.randn(batch, C, steps), torch.randn(batch, C_IN, steps)


def test_where_nothing_stands_the_feature_stays():
    feature, context = pair()
    sites = sites_of(Doubles())
    assert sites("cellar", feature, context) is feature
    assert Sites(None, {"roof": SHAPE})("roof", feature, context) is feature
    assert sites.curves() == {}
    assert sites.terms() == {}


def test_an_unknown_site_is_named():
    with pytest.raises(AttentadError, match=r"^attention.attic: there is no such site; choose fr"):
        Sites({"attic": ("se", {})}, {"roof": SHAPE, "cellar": SHAPE})
    with pytest.raises(AttentadError, match=r"^attention.roof.reduction cannot be 0\.5; use a who"):
        Sites({"roof": ("se", {"reduction": 0.5})}, {"roof": SHAPE})


def test_what_a_module_writes_beyond_the_video_goes_nowhere():
    feature, context = pair()
    valid = torch.arange(T) < torch.tensor([[T], [5]])
    attended = sites_of(Doubles())("roof", feature, context, valid)
    assert torch.equal(attended, torch.where(valid[:, None], 2 * feature, 0))
    clip = torch.randn(2, C, T, 3, 2)
    attended = sites_of(Doubles())("roof", clip, clip, valid)
    assert torch.equal(attended, torch.where(valid[:, None, :, None, None], 2 * clip, 0))


def test_terms_are_those_of_the_last_forward_and_handed_over_once():
    feature, context = pair()
    feature.requires_grad_()
    sites = sites_of(Doubles())
    sites("roof", feature.detach() + 1, context)
    sites("roof", feature, context)
    terms = sites.terms()
    assert list(terms) == ["roof.small"]
    terms["roof.small"].backward()
    torch.testing.assert_close(feature.grad, torch.full_like(feature, 1 / feature.numel()))
    assert sites.terms() == {}


def test_another_length_is_dealt():
    sites = sites_of(Fixed())
    six = torch.arange(6.0).expand(1, 1, 6)
    attended = sites("roof", six, six.flip(2), torch.arange(6)[None] < 5)
    # Dealt to 0 2 4 and 1 3 5, and repeated to 0 0 2 4 and 1 1 3 5.
    assert attended[0, 0].tolist() == [50, 41, 232, 223, 314, 0]
    gate = sites.curves()["roof"]
    assert gate.time.tolist() == [[0, 0, 2, 2, 3, 3]]
    assert gate.channel is None  # each part had its own
    four = torch.arange(4.0).expand(1, 1, 4)
    sites("roof", four, four)
    assert sites.curves()["roof"].channel.tolist() == [[1.5]]


@pytest.mark.parametrize("name", ATTENTION)
def test_every_module_takes_any_length(name):
    """A batch equals single calls, and at N nothing changes."""
    torch.manual_seed(0)
    sites = Sites({"roof": (name, {})}, {"roof": SHAPE}).eval()
    for steps in (1, 5, T, 31):
        feature, context = pair(3, steps)
        attended = sites("roof", feature, context)
        assert attended.shape == feature.shape
        single = [
            sites("roof", one[None], r[None])[0] for one, r in zip(feature, context, strict=True)
        ]
        torch.testing.assert_close(attended, torch.stack(single))
    feature, context = pair()
    torch.testing.assert_close(sites("roof", feature, context), sites["roof"](feature, context))


def levels():
    """A pyramid of T, T/2 and T/4 steps, its context and its masks."""
    pairs = [pair(2, T // 2**level) for level in range(3)]
    steps = torch.tensor([[T], [5]])
    valid = tuple(torch.arange(T // 2**level) < steps / 2**level for level in range(3))
    return tuple(one[0] for one in pairs), tuple(one[1] for one in pairs), valid


@pytest.mark.parametrize("one_context", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_any_module_runs_on_each_level(one_context, masked):
    features, contexts, valids = levels()
    sites = sites_of(Doubles())
    context = contexts[0] if one_context else contexts
    attended = sites("roof", features, context, valids if masked else None)
    for level, feature, valid in zip(attended, features, valids, strict=True):
        expected = torch.where(valid[:, None], 2 * feature, 0) if masked else 2 * feature
        assert torch.equal(level, expected)
    total = sum(feature.mean() for feature in features)
    torch.testing.assert_close(sites.terms()["roof.small"], total)


def test_gates_of_levels():
    features, contexts, valids = levels()
    sites = Sites({"roof": ("hybrid", {"hidden_dim": 4})}, {"roof": SHAPE})
    sites("roof", features, contexts, valids)
    curves = sites.curves()
    assert list(curves) == ["roof level 1", "roof level 2", "roof level 3"]
    assert [gate.time.shape[1] for gate in curves.values()] == [12, 6, 3]
    assert not curves["roof level 1"].time[~valids[0]].any()
    sites("roof", features[0], contexts[0], valids[0])
    assert list(sites.curves()) == ["roof"]


def test_a_module_of_levels_gets_them_all():
    features, contexts, valids = levels()
    module = Pyramid()
    sites = sites_of(module)
    attended = sites("roof", features, contexts, valids)
    assert module.seen[0] is contexts
    assert module.seen[1] is valids
    mean = features[2].mean(2, keepdim=True)
    for level, feature, valid in zip(attended, features, valids, strict=True):
        assert torch.equal(level, torch.where(valid[:, None], feature + mean, 0))
    assert len(sites.curves()) == 3
    assert sites.terms()["roof.count"] == 3
    # Where there is no pyramid it gets a single level.
    alone = sites("roof", features[0], contexts[0])
    assert torch.equal(alone, features[0] + features[0].mean(2, keepdim=True))
    assert module.seen == (contexts[0], None)
    assert list(sites.curves()) == ["roof"]


GATES = {
    "csa": ("time", "channel"),
    "se": ("channel",),
    "cbam": ("time", "channel"),
    "sta": ("time",),
    "hybrid": ("time",),
}


def shown(sites):
    """The gate at the roof, and which of time and channel it has."""
    gate = sites.curves().get("roof", Gate())
    return gate, tuple(name for name, part in gate._asdict().items() if part is not None)


@pytest.mark.parametrize("name", ATTENTION)
def test_gates_are_what_the_feature_was_multiplied_by(name):
    torch.manual_seed(0)
    sites = Sites({"roof": (name, {})}, {"roof": SHAPE}).eval()
    feature, context = pair()
    attended = sites("roof", feature, context)
    gate, kinds = shown(sites)
    assert kinds == GATES.get(name, ())
    assert not any(part.requires_grad for part in gate if part is not None)
    time = 1 if gate.time is None else gate.time[:, None]
    channel = 1 if gate.channel is None else gate.channel[..., None]
    if name in ("se", "cbam", "hybrid"):
        torch.testing.assert_close(attended, feature * time * channel)
    elif name == "sta":
        torch.testing.assert_close((attended / feature).mean(1), gate.time)
    elif name == "csa":
        both = torch.cat([feature * time, feature * channel], dim=1)
        torch.testing.assert_close(attended, torch.relu(sites["roof"].projection(both)))


@pytest.mark.parametrize(
    ("name", "options", "kinds"),
    [
        ("csa", {"branches": "channel"}, ("channel",)),
        ("csa", {"branches": "temporal"}, ("time",)),
        ("sta", {"variant": "sa"}, ("channel",)),
        ("sta", {"variant": "ta"}, ("time",)),
    ],
)
def test_only_gates_that_are_there_are_shown(name, options, kinds):
    sites = Sites({"roof": (name, options)}, {"roof": SHAPE})
    sites("roof", *pair())
    assert shown(sites)[1] == kinds


@pytest.mark.parametrize("name", ["cbam", "sta", "se", "hybrid"])
def test_gates_of_clips_are_of_steps_and_channels(name):
    sites = Sites({"roof": (name, {})}, {"roof": SiteShape(C, None, T, 3, 2)})
    clip = torch.randn(2, C, T, 3, 2)
    sites("roof", clip, clip)
    gate, kinds = shown(sites)
    assert kinds == GATES[name]
    assert gate.time is None or gate.time.shape == (2, T)
    assert gate.channel is None or gate.channel.shape == (2, C)


@pytest.mark.parametrize("inference", [False, True])
def test_sites_are_copied_with_what_they_said(inference):
    sites = Sites({"roof": ("csa", {})}, {"roof": SHAPE})
    with torch.inference_mode(inference):
        sites("roof", *pair())
    copied = copy.deepcopy(sites)
    torch.testing.assert_close(copied.curves()["roof"].time, sites.curves()["roof"].time)
