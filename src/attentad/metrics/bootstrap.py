"""How sure an mAP is: percentile bootstrap over videos, several methods on the same resamples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attentad.core import AttentadError
from attentad.core.arrays import Bools, Floats, Ints, ratio
from attentad.core.progress import Progress
from attentad.metrics.detection import DetectionResult
from attentad.metrics.ranking import Ranking
from attentad.metrics.thresholds import by_threshold

# Arrays of samples × (videos or true positives) are kept to about this many elements.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class BootstrapResult:
    """Percentile intervals of R methods at J thresholds; intervals are (…, 2), low and high.

    Args:
        tiou: the J thresholds.
        level: share of the resamples inside an interval, such as 0.95.
        seed: of the resampling.
        samples: resamples drawn.
        videos: how many were resampled: those annotated, and those only detected in.
        centred: whether the intervals of mAP are moved to lie about the mAP itself.
        mean_ap: (R, J, 2) mAP, 0..1.
        average_map: (R, 2) mean of mAP over the thresholds, 0..1.
        bias: (R,) by how much the resamples' average mAP lies above the method's own in the
            mean; what `centred` takes off.
        difference: (R, 2) average mAP minus that of the first method on the same resample;
            never moved, as the bias is common to both.
        p_better: (R,) share of the resamples on which the average mAP is above the first
            method's, ties counting half; 0.5 for the first method itself.
        average_map_samples: (R, S) average mAP on each resample that holds an instance; S is
            smaller than `samples` only where few videos have any.
    """

    tiou: tuple[float, ...]
    level: float
    seed: int
    samples: int
    videos: int
    centred: bool
    mean_ap: Floats
    average_map: Floats
    bias: Floats
    difference: Floats
    p_better: Floats
    average_map_samples: Floats

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, 0..1; methods in the order given."""
        methods = [
            {
                "mAP": by_threshold(self.tiou, self.mean_ap[row]),
                "average_mAP": self.average_map[row].tolist(),
                "bias": float(self.bias[row]),
                "difference": self.difference[row].tolist(),
                "p_better": float(self.p_better[row]),
            }
            for row in range(len(self.average_map))
        ]
        return {
            "level": self.level,
            "samples": self.samples,
            "seed": self.seed,
            "videos": self.videos,
            "centred": self.centred,
            "methods": methods,
        }


def bootstrap_map(
    results: Sequence[DetectionResult],
    *,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    centred: bool = True,
    progress: Progress | None = None,
) -> BootstrapResult:
    """Confidence intervals of mAP, and of differences between methods, by resampling videos.

    A resample draws as many videos as there are, with replacement (Efron 1979), and evaluates
    as if they were a data set: detections of a video drawn twice count twice, and follow each
    other at their place in the ranking. A class without an instance in a resample leaves its
    mean, a resample without any instance leaves the intervals. Videos that a method only
    detected in, outside the ground truth, are drawn like the others. All methods see the same
    resamples, so that what a video adds to all of them cancels in the differences. The
    intervals are the quantiles of the resamples ("percentile"); they tell of the choice of test
    videos only, not of the randomness of training.

    A true positive that is drawn twice raises its own precision, so that resamples score above
    the data themselves: by some 0.03 at ten instances a class, 0.01 at a hundred. Left alone, an
    interval may exclude the mAP that it belongs to. By default it is therefore moved by that
    bias.

    Matching is within a video, so nothing is matched again: 1,000 samples take about half a
    second per method for THUMOS14 (200 videos, five thresholds) and three for ActivityNet
    (4,728 videos, 200 classes, ten thresholds), on one core.

    Args:
        results: of `detection_map`, from the same annotations with the same options.
        samples: how many resamples, at least 1; a fifth of them suffices for a first look.
        seed: the same seed gives the same resamples for the same set of videos.
        level: of the intervals, above 0 and below 1.
        centred: move the intervals of mAP by the bias of the resamples; false for the plain
            quantiles. Differences are always plain: there the biases cancel.
        progress: called with steps done and steps in all.

    Raises:
        AttentadError: there is no result, or one from other ground truth, protocol or
            thresholds than the first; fewer than two videos; `samples` or `level` is out of
            range; no resample holds an instance.
    """
    _check(results, samples, level)
    rankings = [result.ranking for result in results]
    videos = sorted({video for ranking in rankings for video in ranking.videos})
    if len(videos) < 2:
        raise AttentadError("a bootstrap over videos needs at least two of them.")
    means = _resampled_means(rankings, videos, samples, seed, progress)
    used = ~np.isnan(means[0, 0])
    if not used.any():
        raise AttentadError(
            f"none of {samples} resamples of the videos holds an instance; draw more samples."
        )
    means = means[:, :, used]
    averages = means.mean(axis=1)
    own_means = np.stack([result.mean_ap for result in results])
    own_averages = own_means.mean(axis=1)
    gaps = averages - averages[0]
    about = (own_means, own_averages) if centred else (means.mean(axis=2), averages.mean(axis=1))
    return BootstrapResult(
        tiou=results[0].tiou,
        level=level,
        seed=seed,
        samples=samples,
        videos=len(videos),
        centred=centred,
        mean_ap=_interval_about(about[0], means, level),
        average_map=_interval_about(about[1], averages, level),
        bias=averages.mean(axis=1) - own_averages,
        difference=_interval(gaps, level),
        p_better=(gaps > 0).mean(axis=1) + (gaps == 0).mean(axis=1) / 2,
        average_map_samples=averages,
    )


def bootstrap_class_ap(
    result: DetectionResult, *, samples: int = 1000, seed: int = 0, level: float = 0.95
) -> Floats:
    """Intervals of each class's average precision, the mean over the thresholds, (K, 2) in 0..1.

    The resamples are those of `bootstrap_map` with the same seed, and the intervals are moved as
    there. Resamples without an instance of a class leave its interval.

    Raises:
        AttentadError: there are fewer than two videos, or `samples` or `level` is out of range.
    """
    _check([result], samples, level)
    ranking = result.ranking
    if len(ranking.videos) < 2:
        raise AttentadError("a bootstrap over videos needs at least two of them.")
    # The order of the draws is that of the sorted names.
    order = np.argsort(np.argsort(ranking.videos))
    rng = np.random.default_rng(seed)
    weights = _draw(rng, samples, len(ranking.videos))[:, order]
    intervals = np.zeros((len(result.classes), 2))
    own = result.average_precision.mean(axis=1)
    for row, ap in enumerate(resampled_class_ap(ranking, weights)):
        drawn = ap.mean(axis=0)
        drawn = drawn[~np.isnan(drawn)]
        intervals[row] = _interval_about(own[row], drawn, level) if len(drawn) else np.nan
    return intervals


def resampled_class_ap(ranking: Ranking, weights: Floats) -> Iterator[Floats]:
    """Class after class, average precision where each video counts `weights` times.

    Args:
        ranking: what was evaluated.
        weights: (S, V) how often each of `ranking.videos` was drawn in each of S resamples;
            whole numbers.

    Yields:
        (J, S) AP of a class in 0..1; NaN in resamples without an instance of it.
    """
    classes = ranking.truth_count.shape[1]
    bounds = np.searchsorted(ranking.label, np.arange(classes + 1))
    truth = weights @ ranking.truth_count.astype(np.float64)
    for label in range(classes):
        rows = slice(bounds[label], bounds[label + 1])
        hit, counted = ranking.hit[:, rows], ranking.counted[:, rows]
        gained = _precision_sums(ranking.video[rows], hit, counted, weights, ranking.interpolated)
        yield ratio(gained, truth[:, label])


def _resampled_means(
    rankings: Sequence[Ranking],
    videos: Sequence[str],
    samples: int,
    seed: int,
    progress: Progress | None,
) -> Floats:
    """mAP of R methods at J thresholds on S resamples, (R, J, S); NaN without any instance."""
    number = {video: row for row, video in enumerate(videos)}
    columns = [np.array([number[video] for video in ranking.videos]) for ranking in rankings]
    most_hits = [np.bincount(item.label[item.hit.any(axis=0)]).max(initial=1) for item in rankings]
    chunk = max(1, min(samples, _BLOCK // int(max(len(videos), *most_hits))))
    classes = rankings[0].truth_count.shape[1]
    steps = -(-samples // chunk) * len(rankings) * classes
    done = 0
    means = np.empty((len(rankings), len(rankings[0].hit), samples))
    rng = np.random.default_rng(seed)
    for start in range(0, samples, chunk):
        weights = _draw(rng, min(chunk, samples - start), len(videos))
        for row, (ranking, own) in enumerate(zip(rankings, columns, strict=True)):
            total = np.zeros((len(ranking.hit), len(weights)))
            count = np.zeros_like(total)
            for ap in resampled_class_ap(ranking, weights[:, own]):
                defined = ~np.isnan(ap)
                np.add(total, ap, out=total, where=defined)
                count += defined
                done += 1
                if progress is not None:
                    progress(done, steps)
            means[row, :, start : start + len(weights)] = ratio(total, count)
    return means


def _precision_sums(
    video: Ints, hit: Bools, counted: Bools, weights: Floats, interpolated: bool
) -> Floats:
    """(J, S) sum of the precision at the true positives of one class, each as often as drawn."""
    sums = np.zeros((len(hit), len(weights)))
    alike = bool((counted == counted[:1]).all())
    thresholds = np.arange(len(hit))
    for group in [thresholds] if alike else thresholds[:, None]:
        places = np.flatnonzero(hit[group].any(axis=0))
        if not len(places):
            continue
        ranked = _ranked_up_to(places, video, counted[group[0]], weights)
        for row in group:
            own = np.flatnonzero(hit[row])
            drawn = weights[:, video[own]]
            sums[row] = _precision_sum(drawn, ranked[:, np.searchsorted(places, own)], interpolated)
    return sums


def _ranked_up_to(places: Ints, video: Ints, counted: Bools, weights: Floats) -> Floats:
    """(S, P) counted detections up to and with each place, each as often as its video is drawn.

    Between two places only the number of detections per video matters: one matrix product.
    """
    rows = np.flatnonzero(counted[: places[-1] + 1])
    step = np.searchsorted(places, rows)
    used, column = np.unique(video[rows], return_inverse=True)
    drawn = weights[:, used]
    ranked = np.empty((len(weights), len(places)))
    block = max(1, _BLOCK // len(used))
    for start in range(0, len(places), block):
        stop = min(start + block, len(places))
        part = slice(*np.searchsorted(step, (start, stop)))
        cell = (step[part] - start) * len(used) + column[part]
        counts = np.bincount(cell, minlength=(stop - start) * len(used))
        ranked[:, start:stop] = drawn @ counts.reshape(stop - start, len(used)).T.astype(float)
    return np.cumsum(ranked, axis=1, out=ranked)


def _precision_sum(drawn: Floats, ranked: Floats, interpolated: bool) -> Floats:
    """(S,) sum of precision over true positives drawn (S, H) times, the `ranked`-th each."""
    hits = np.cumsum(drawn, axis=1)
    if interpolated:
        precision = np.divide(hits, ranked, out=np.zeros_like(hits), where=ranked > 0)
        # Copies stand side by side, and precision rises among them: the last one's counts for
        # all. Where a true positive is not drawn, the value is below that of the drawn one
        # before it, and so changes no maximum.
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        total: Floats = np.einsum("sh,sh->s", drawn, best)
        return total
    total = np.zeros(len(drawn))
    for copy in range(int(drawn.max(initial=0))):
        # From the last copy back: that many others of the same true positive follow.
        there = drawn > copy
        precision = np.divide(hits - copy, ranked - copy, out=np.zeros_like(hits), where=there)
        total += precision.sum(axis=1)
    return total


def _draw(rng: np.random.Generator, samples: int, videos: int) -> Floats:
    """(samples, videos) how often each video is drawn, `videos` draws in each row."""
    weights = np.empty((samples, videos))
    for row in range(samples):
        weights[row] = np.bincount(rng.integers(videos, size=videos), minlength=videos)
    return weights


def _interval(values: Floats, level: float) -> Floats:
    """Quantiles over the last axis that leave out (1 − level)/2 on either side; (…, 2)."""
    tail = (1 - level) / 2
    return np.moveaxis(np.quantile(values, [tail, 1 - tail], axis=-1), 0, -1)


def _interval_about(centre: Floats, values: Floats, level: float) -> Floats:
    """`_interval` of values in 0..1 after moving their mean over the last axis to `centre`."""
    moved = values + (centre - values.mean(axis=-1))[..., None]
    return np.clip(_interval(moved, level), 0.0, 1.0)


def _check(results: Sequence[DetectionResult], samples: int, level: float) -> None:
    if not results:
        raise AttentadError("a bootstrap needs at least one result.")
    if samples < 1:
        raise AttentadError(f"a bootstrap needs at least 1 sample, not {samples}.")
    if not 0 < level < 1:
        raise AttentadError(f"the level of an interval lies between 0 and 1, not at {level:g}.")
    first = results[0]
    truth = _truth_by_video(first.ranking)
    for place, other in enumerate(results[1:], start=2):
        same_truth = other.classes == first.classes and _truth_by_video(other.ranking) == truth
        for what, same in (
            ("protocol", other.protocol == first.protocol),
            ("tIoU thresholds", other.tiou == first.tiou),
            ("ground truth", same_truth),
        ):
            if not same:
                raise AttentadError(
                    f"result {place} differs from the first in its {what}; evaluate all methods "
                    "with the same annotations and options."
                )


def _truth_by_video(ranking: Ranking) -> dict[str, tuple[int, ...]]:
    """Video with instances → how many of each class."""
    return {
        ranking.videos[row]: tuple(ranking.truth_count[row].tolist())
        for row in np.flatnonzero(ranking.truth_count.any(axis=1))
    }
