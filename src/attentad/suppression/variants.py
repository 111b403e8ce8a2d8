"""The options of Soft-NMS, and the combinations of them that published code calls Soft-NMS."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypedDict


class DecayOptions(TypedDict, total=False):
    """The keyword arguments of `soft_nms` that no other suppression has."""

    sigma: float
    t1: float
    t2: float
    duration_sec: float | None
    epsilon_sec: float
    drop_zero: bool
    negative: str
    order: str
    legacy_drop_last: bool


class SoftOptions(DecayOptions, total=False):
    """The keyword arguments of `soft_nms`; `suppress` takes them as well."""

    method: str
    tiou_threshold: float
    plus_one: bool
    max_length_sec: float | None
    score_floor: float
    keep: int | None


class SuppressionOptions(SoftOptions, total=False):
    """The keyword arguments of `suppress`, for callers that pass them through."""

    per_class: bool
    ties: str
    keep_total: int | None
    voting_tiou: float | None


_BMN: Final[SoftOptions] = {
    "method": "adaptive",
    "sigma": 0.4,
    "t1": 0.5,
    "t2": 0.9,
    "keep": 100,
}
_GTAD: Final[SoftOptions] = {"method": "gauss", "sigma": 0.46, "drop_zero": True, "keep": 200}
_AFSD: Final[SoftOptions] = {
    "method": "gauss",
    "sigma": 0.5,
    "score_floor": 0.001,
    "order": "input",
    "keep": 5000,
}

# Six things are called Soft-NMS (peers.md §3, specs csa §6, hamnet §1.5, amnet §2.8). Where they
# differ in how a tie is broken, in float32, or in a loop that ends too early, ours breaks ties by
# order, computes in float64 and ends when nothing is left; an entry `…-legacy` ends as published
# and so loses a candidate that is left alone, be it the only one of its video. What a variant needs
# to know of the video (`duration_sec` of the adaptive rule, `max_length_sec` = 300 frames in
# seconds for G-TAD) is the caller's to add.
SOFT_VARIANTS: Final[Mapping[str, SoftOptions]] = MappingProxyType(
    {
        # BMN (and BSN, whose code it took): decays above a threshold that grows with the taken
        # segment's length. Emits up to 101 and cuts to 100, which is the same as keeping 100; its
        # earlier releases end with one candidate left (their script skips a video that has only
        # one). DBG: the same with t1 .65 and sigma .75.
        "bmn": _BMN,
        "bmn-legacy": {**_BMN, "legacy_drop_last": True},
        # MMAction2's localizers: BMN's loop, run until no candidate is left.
        "mmaction2": _BMN,
        # G-TAD on THUMOS14: any overlap decays; segments of 300 frames or more are scored 0, and
        # the loop ends at a best score of 0 or (legacy) with one candidate left, zeros counted.
        # Its numbers for ActivityNet: sigma .8, keep 100, no cut by length.
        "gtad": _GTAD,
        "gtad-legacy": {**_GTAD, "legacy_drop_last": True},
        # AFSD on THUMOS14: candidates below the floor leave; what was taken comes out in the order
        # that it went in. ActivityNet: sigma .85, floor 1e-9 (two streams 1e-18).
        "afsd": _AFSD,
        "afsd-legacy": {**_AFSD, "legacy_drop_last": True},
        # HAM-Net: a pixel convention, applied to seconds; no floor and no limit. Its scores are
        # differences of logits: negative ones are decayed towards 0, that is, raised.
        "hamnet": {"method": "gauss", "sigma": 0.3, "plus_one": True, "negative": "keep"},
        # ActionFormer and OpenTAD (compiled; MMDetection's loop in one dimension): 1e-6 s on every
        # length, a floor on decayed scores, the best `keep` in the end. It lets a best candidate
        # below the floor pass, because nothing has decayed it; here the floor holds for all.
        "actionformer": {
            "method": "gauss",
            "sigma": 0.5,
            "epsilon_sec": 1e-6,
            "score_floor": 0.001,
            "keep": 200,
        },
    }
)
