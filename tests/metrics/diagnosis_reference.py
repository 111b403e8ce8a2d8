"""DETAD in loops, one detection after the other, written from specs/amnet_afsd_gaf.md §5."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

Truth = tuple[str, str, float, float]  # video, label, start, end
Found = tuple[str, str, float, float, float]  # the same and a score

TYPES = ("double detection", "wrong label", "localization", "confusion", "background")


def overlap(a: tuple[float, float], b: tuple[float, float]) -> float:
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - inter
    return inter / union if union > 0 else 0.0


@dataclass
class Ranked:
    """One detection in its class's list: what it is, and the instance it found."""

    verdict: str
    instance: int | None = None


@dataclass
class SlowDiagnosis:
    shares: list[dict[str, float]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    top_map_n: float = 0.0
    gain: dict[str, float] = field(default_factory=dict)
    map_n: float = 0.0
    false_negative_rate: float = 0.0
    missed: dict[str, dict[str, float]] = field(default_factory=dict)
    sensitivity: dict[str, dict[str, float]] = field(default_factory=dict)
    bucket_counts: dict[str, dict[str, int]] = field(default_factory=dict)


def judge_class(
    truth: list[Truth], found: list[Found], label: str, alpha: float, beta: float
) -> list[Ranked]:
    listed = [row for row in found if row[1] == label]
    ranked = sorted(listed, key=lambda row: row[4])[::-1]
    locked: set[int] = set()
    judged = []
    for video, _, start, end, _ in ranked:
        tious = {i: overlap((start, end), t[2:]) for i, t in enumerate(truth) if t[0] == video}
        own = [i for i in tious if truth[i][1] == label]
        instance = None
        for i in sorted(own, key=tious.__getitem__)[::-1]:
            if tious[i] >= alpha and i not in locked:
                instance = i
                break
        if instance is not None:
            locked.add(instance)
            judged.append(Ranked("true positive", instance))
            continue
        u = max(tious.values(), default=0.0)
        same = any(tious[i] == u for i in own)
        if u >= alpha:
            judged.append(Ranked("double detection" if same else "wrong label"))
        elif u >= beta:
            judged.append(Ranked("localization" if same else "confusion"))
        else:
            judged.append(Ranked("background"))
    return judged


def normalised_precisions(judged: list[Ranked], wanted: int, mean: float) -> list[float]:
    """P_N at each rank; 0 where nothing has been listed as true or false yet."""
    hits = false = 0
    values = []
    for row in judged:
        if row.verdict == "true positive":
            hits += 1
        else:
            false += 1
        recall = hits / wanted
        values.append(recall * mean / (recall * mean + false))
    return values


def normalised_ap(judged: list[Ranked], wanted: int, mean: float) -> float:
    precision = normalised_precisions(judged, wanted, mean)
    recall, hits = [], 0
    for row in judged:
        hits += row.verdict == "true positive"
        recall.append(hits / wanted)
    precision, recall = [0.0, *precision, 0.0], [0.0, *recall, 1.0]
    for k in range(len(precision) - 2, -1, -1):
        precision[k] = max(precision[k], precision[k + 1])
    return sum(
        (recall[k] - recall[k - 1]) * precision[k]
        for k in range(1, len(recall))
        if recall[k] != recall[k - 1]
    )


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def bucket_name(value: float, edges: list[float]) -> str:
    for name, low, high in zip(("XS", "S", "M", "L", "XL"), edges, edges[1:], strict=False):
        if low < value <= high:
            return name
    raise AssertionError(value)


def attributes(truth: list[Truth], durations: dict[str, float]) -> dict[str, list[float]]:
    return {
        "coverage": [(t[3] - t[2]) / durations[t[0]] for t in truth],
        "length": [t[3] - t[2] for t in truth],
        "instances": [sum(o[:2] == t[:2] for o in truth) for t in truth],
    }


def slow_diagnosis(
    truth: list[Truth],
    found: list[Found],
    durations: dict[str, float],
    edges: dict[str, list[float]],
    alphas: tuple[float, ...],
    beta: float,
    top: int,
) -> SlowDiagnosis:
    """`found` in the order in which entries are counted, video after video."""
    truth = [t for t in truth if 0 < t[3] - t[2] <= durations[t[0]]]
    labels = sorted({t[1] for t in truth})
    wanted = {label: sum(t[1] == label for t in truth) for label in labels}
    n = len(truth) / len(labels)
    lists = {(a, c): judge_class(truth, found, c, a, beta) for a in alphas for c in labels}
    result = SlowDiagnosis()

    for k in range(1, top + 1):
        per_alpha = []
        for alpha in alphas:
            pool = []
            for label in labels:
                g = wanted[label]
                pool += lists[alpha, label][(k - 1) * g : k * g]
            names = [row.verdict for row in pool]
            per_alpha.append(
                {t: names.count(t) / max(1, len(names)) for t in ("true positive", *TYPES)}
            )
        result.shares.append({t: mean([row[t] for row in per_alpha]) for t in per_alpha[0]})
        result.counts.append(len(pool))

    limited = {(a, c): rows[: top * wanted[c]] for (a, c), rows in lists.items()}

    def map_n(rows: dict[tuple[float, str], list[Ranked]]) -> float:
        return mean([normalised_ap(rows[a, c], wanted[c], n) for a in alphas for c in labels])

    result.top_map_n = map_n(limited)
    for kind in TYPES:
        without = {k: [row for row in rows if row.verdict != kind] for k, rows in limited.items()}
        result.gain[kind] = map_n(without) - result.top_map_n
    result.map_n = map_n(lists)

    hit = {alpha: set() for alpha in alphas}
    for (alpha, label), rows in lists.items():
        values = normalised_precisions(rows, wanted[label], n)
        for row, value in zip(rows, values, strict=True):
            if row.instance is not None and value > 0.05:
                hit[alpha].add(row.instance)
    result.false_negative_rate = mean([1 - len(hit[a]) / len(truth) for a in alphas])

    for name, values in attributes(truth, durations).items():
        bucket = [bucket_name(value, edges[name]) for value in values]
        result.missed[name], result.sensitivity[name], result.bucket_counts[name] = {}, {}, {}
        for size in ("XS", "S", "M", "L", "XL")[: len(edges[name]) - 1]:
            inside = {i for i, b in enumerate(bucket) if b == size}
            result.bucket_counts[name][size] = len(inside)
            if not inside:
                result.missed[name][size] = result.sensitivity[name][size] = math.nan
                continue
            result.missed[name][size] = mean([len(inside - hit[a]) / len(inside) for a in alphas])
            per_alpha = []
            for alpha in alphas:
                per_class = []
                for label in labels:
                    g = sum(truth[i][1] == label for i in inside)
                    if g:
                        rows = [
                            row
                            for row in lists[alpha, label]
                            if row.instance is None or row.instance in inside
                        ]
                        per_class.append(normalised_ap(rows, g, n))
                per_alpha.append(mean(per_class))
            result.sensitivity[name][size] = mean(per_alpha)
    return result
