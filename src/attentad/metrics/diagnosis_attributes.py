"""Which instances are missed and which are hard, by coverage, length and number of instances.

After DETAD (Alwassel et al., ECCV 2018); rules in specs/amnet_afsd_gaf.md §5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attentad.core.arrays import Floats, Ints, ratio
from attentad.metrics.diagnosis_errors import (
    Judged,
    false_before,
    mean_normalised_ap,
    normalised_precision,
)
from attentad.metrics.matching import Instances

DIAGNOSIS_BUCKETS: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "thumos14": {
        "coverage": (0, 0.02, 0.04, 0.06, 0.08, 1),
        "length": (0, 3, 6, 12, 18, math.inf),
        "instances": (0, 1, 40, 80, math.inf),
    },
    "activitynet": {
        "coverage": (0, 0.2, 0.4, 0.6, 0.8, 1),
        "length": (0, 30, 60, 120, 180, math.inf),
        "instances": (0, 1, 4, 8, math.inf),
    },
}
"""Attribute → the ascending edges of its buckets; a bucket holds its right edge."""

COUNTED_INSTANCES: Mapping[str, str] = {
    "class": "instances of the same class in the video",
    "video": "all instances in the video, as the authors' tool",
}
"""What the attribute `instances` counts."""

SIZES = ("XS", "S", "M", "L", "XL")

_UNITS = {"coverage": "%", "length": "s", "instances": ""}

LEAST_PRECISION = 0.05
"""A true positive at a rank where P_N is not above this counts as a miss (false negatives)."""


@dataclass(frozen=True)
class AttributeProfile:
    """Misses and sensitivity by one attribute of the instances.

    Args:
        name: `coverage` (length over the video's), `length` in seconds, or `instances` (those
            in the video that `COUNTED_INSTANCES` says).
        edges: (B + 1,) ascending; bucket b holds values above edge b up to edge b + 1.
        truth_count: (B,) instances per bucket.
        false_negative_rate: (B,) share of the bucket's instances that are missed, 0..1.
        mean_ap_n: (B,) average-mAP_N if only the bucket's instances are to be found, 0..1.
        overall_mean_ap_n: average-mAP_N over all instances.

    The last two arrays hold NaN for an empty bucket. Thresholds are averaged over.
    """

    name: str
    edges: tuple[float, ...]
    truth_count: Ints
    false_negative_rate: Floats
    mean_ap_n: Floats
    overall_mean_ap_n: float

    @property
    def buckets(self) -> tuple[str, ...]:
        """Names of the B buckets: XS, S, …"""
        return SIZES[: len(self.truth_count)]

    @property
    def unit(self) -> str:
        """Unit of `ranges`: `%` for coverage, `s` for length, nothing for a count."""
        return _UNITS[self.name]

    @property
    def ranges(self) -> tuple[str, ...]:
        """What the buckets hold, in `unit`: such as `3–6`, and `>18` for an open one."""
        scale = 100 if self.unit == "%" else 1
        texts = []
        for low, high in zip(self.edges, self.edges[1:], strict=False):
            # Counts are whole, so the bucket above 1 begins at 2.
            first = low + 1 if self.name == "instances" else low
            if math.isinf(high):
                texts.append(f">{scale * low:g}")
            elif first == high:
                texts.append(f"{scale * high:g}")
            else:
                texts.append(f"{scale * first:g}–{scale * high:g}")
        return tuple(texts)

    @property
    def sensitivity(self) -> tuple[float, float] | None:
        """Worst and best bucket's average-mAP_N over the overall one; None where that is 0."""
        values = self.mean_ap_n[np.isfinite(self.mean_ap_n)]
        if not len(values) or self.overall_mean_ap_n == 0:
            return None
        worst, best = values.min(), values.max()
        return float(worst / self.overall_mean_ap_n), float(best / self.overall_mean_ap_n)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None stands for an open edge and for an empty bucket's values."""
        ratios = self.sensitivity or (None, None)
        return {
            "edges": [_finite(edge) for edge in self.edges],
            "buckets": {
                bucket: {
                    "range": f"{self.ranges[row]} {self.unit}".rstrip(),
                    "ground_truth": int(self.truth_count[row]),
                    "false_negative_rate": _finite(self.false_negative_rate[row]),
                    "average_mAP_N": _finite(self.mean_ap_n[row]),
                }
                for row, bucket in enumerate(self.buckets)
            },
            "sensitivity": {"min_ratio": ratios[0], "max_ratio": ratios[1]},
        }


def attribute_values(
    truth: Instances, duration_sec: Floats, counted_instances: str = "class"
) -> dict[str, Floats]:
    """Attribute → its value for each instance, (M,); no `coverage` unless all are known.

    Args:
        truth: the M instances.
        duration_sec: (V,) length of the videos; NaN where unknown.
        counted_instances: a key of `COUNTED_INSTANCES`.
    """
    length = truth.segments[:, 1] - truth.segments[:, 0]
    coverage = length / duration_sec[truth.video]
    counted = truth.classless() if counted_instances == "video" else truth
    group = np.stack([counted.video, counted.label])
    _, inverse, count = np.unique(group, axis=1, return_inverse=True, return_counts=True)
    values = {"coverage": coverage} if np.isfinite(coverage).all() else {}
    return values | {"length": length, "instances": count[inverse.ravel()].astype(np.float64)}


def missed(judged: Judged, instances: int) -> Floats:
    """At what share of the thresholds each instance is missed, (M,) in 0..1.

    All detections take part. A true positive where P_N ≤ `LEAST_PRECISION` comes too late.
    """
    times_found = np.zeros(instances)
    for row, hits in enumerate(judged.hits):
        label, false = judged.label[hits], false_before(judged, row)
        cuts = np.searchsorted(label, np.arange(len(judged.truth_count) + 1))
        for name, count in enumerate(judged.truth_count):
            part = slice(cuts[name], cuts[name + 1])
            precision = normalised_precision(false[part], int(count), judged.mean_instances)
            times_found[judged.found[row][part][precision > LEAST_PRECISION]] += 1
    return 1.0 - times_found / len(judged.hits)


def bucket_mean_ap(judged: Judged, truth: Instances, bucket: Ints, buckets: int) -> Floats:
    """Average-mAP_N with only one bucket's instances to find, for each bucket, (B,).

    Detections that found an instance outside the bucket are removed; false positives stay, and
    N̄ is that of all instances. A class without instances in the bucket has no part in the
    mean; an empty bucket gives NaN. The matching is that of all instances, at each threshold.
    """
    classes = len(judged.truth_count)
    counts = [np.bincount(truth.label[bucket == b], minlength=classes) for b in range(buckets)]
    values = np.zeros((len(judged.hits), buckets))
    for row, (hits, instances) in enumerate(zip(judged.hits, judged.found, strict=True)):
        label, false = judged.label[hits], false_before(judged, row)
        for b in range(buckets):
            inside = bucket[instances] == b
            values[row, b] = mean_normalised_ap(
                label[inside], false[inside], counts[b], judged.mean_instances
            )
    return values.mean(axis=0)


def attribute_profiles(
    judged: Judged,
    truth: Instances,
    duration_sec: Floats,
    buckets: str,
    counted_instances: str = "class",
) -> tuple[tuple[AttributeProfile, ...], float, float]:
    """Misses and sensitivity by each attribute; the share of all instances that is missed; and
    average-mAP_N of all detections.

    Args:
        judged: all detections, without a limit on their number.
        truth: what they were judged against.
        duration_sec: (V,) length of the videos; NaN where unknown.
        buckets: a key of `DIAGNOSIS_BUCKETS`.
        counted_instances: a key of `COUNTED_INSTANCES`.
    """
    miss = missed(judged, len(truth))
    everything = np.zeros(len(truth), dtype=np.int64)
    overall = float(bucket_mean_ap(judged, truth, everything, 1)[0])
    profiles = []
    for name, values in attribute_values(truth, duration_sec, counted_instances).items():
        edges = DIAGNOSIS_BUCKETS[buckets][name]
        size = len(edges) - 1
        # Values lie above the first edge and up to the last.
        bucket = np.searchsorted(edges[1:], values, side="left")
        count = np.bincount(bucket, minlength=size)
        total = np.bincount(bucket, weights=miss, minlength=size)
        rate, ap = ratio(total, count), bucket_mean_ap(judged, truth, bucket, size)
        profiles.append(AttributeProfile(name, edges, count, rate, ap, overall))
    return tuple(profiles), float(miss.mean()), overall


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
