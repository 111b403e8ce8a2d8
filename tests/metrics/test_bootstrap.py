"""The bootstrap over videos against the evaluation of data sets whose videos are replicated."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import (
    Annotations,
    AttentadError,
    Detections,
    VideoAnnotation,
    VideoDetections,
    as_segments,
)
from attentad.metrics import DetectionResult, bootstrap, detection_map
from attentad.metrics.bootstrap import bootstrap_class_ap, bootstrap_map, resampled_class_ap

CLASSES = ("a", "b", "c")
PROTOCOLS = ("activitynet", "thumos14", "thumos14-official", "wtalc")
TIOU = (0.3, 0.5, 0.7)


def scene(seed: int, videos: int = 5, *, ties: bool = False) -> tuple[Annotations, Detections]:
    """Instances (some Ambiguous) and jittered detections; v0 has no instance, `w` is unknown."""
    rng = np.random.default_rng(seed)
    annotated, detected = {}, {}
    for number in range(videos):
        count = rng.integers(1, 6) if number else 0
        start = rng.uniform(0, 40, count)
        segments = np.stack([start, start + rng.uniform(2, 12, count)], axis=1)
        labels = tuple(rng.choice(["a", "a", "b", "c", "Ambiguous"], count))
        annotated[f"v{number}"] = VideoAnnotation(as_segments(segments), labels)
    annotated["v1"] = VideoAnnotation(as_segments([[5, 15]]), ("a",))
    for name in [*annotated, "w"]:
        own = annotated[name].segments if name in annotated else np.zeros((0, 2))
        near = np.repeat(own, 3, axis=0) + rng.normal(0, 1, (3 * len(own), 2))
        far = rng.uniform(0, 40, (3, 1)) + np.array([0, 5])
        segments = np.sort(np.concatenate([near, far]), axis=1)
        scores = rng.integers(0, 4, len(segments)) / 4 if ties else rng.uniform(size=len(segments))
        labels = rng.integers(0, 3, len(segments))
        detected[name] = VideoDetections(segments, scores, labels)
    return Annotations(annotated, ("Ambiguous", *CLASSES)), Detections(detected, CLASSES)


def evaluate(
    annotations: Annotations, detections: Detections, protocol: str = "activitynet"
) -> DetectionResult:
    return detection_map(annotations, detections, tiou=TIOU, protocol=protocol)


def replicated(
    annotations: Annotations, detections: Detections, times: Mapping[str, int]
) -> tuple[Annotations, Detections]:
    """Every video as often as `times` says, its copies one after the other in the file."""
    return (
        Annotations(
            {
                f"{name}#{copy}": item
                for name, item in annotations.videos.items()
                for copy in range(times[name])
            },
            annotations.classes,
        ),
        Detections(
            {
                f"{name}#{copy}": item
                for name, item in detections.videos.items()
                for copy in range(times[name])
            },
            detections.classes,
        ),
    )


def slow_ap(
    annotations: Annotations, detections: Detections, times: Mapping[str, int], protocol: str
) -> dict[str, list[float]]:
    """Class → AP at each threshold on the replicated data; empty without any instance."""
    truth, found = replicated(annotations, detections, times)
    if not any(set(item.labels) - {"Ambiguous"} for item in truth.videos.values()):
        return {}
    result = evaluate(truth, found, protocol)
    return dict(zip(result.classes, result.average_precision.tolist(), strict=True))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("ties", [False, True])
def test_weights_of_one_give_the_result_itself(protocol: str, ties: bool) -> None:
    for seed in range(20):
        result = evaluate(*scene(seed, ties=ties), protocol)
        weights = np.ones((1, len(result.ranking.videos)))
        ap = np.array(list(resampled_class_ap(result.ranking, weights)))[:, :, 0]
        np.testing.assert_allclose(ap, result.average_precision, rtol=0, atol=1e-14)


@given(
    st.integers(0, 10_000),
    st.sampled_from(PROTOCOLS),
    st.lists(st.integers(0, 3), min_size=6, max_size=6),
    st.sampled_from([1, 4_000_000]),
)
@settings(deadline=None, max_examples=150)
def test_weights_are_replicated_videos(
    seed: int, protocol: str, times: list[int], block: int
) -> None:
    annotations, detections = scene(seed)
    result = evaluate(annotations, detections, protocol)
    often = dict(zip([*annotations.videos, "w"], times, strict=True))
    weights = np.array([[often[video] for video in result.ranking.videos]] * 2, dtype=float)
    expected = slow_ap(annotations, detections, often, protocol)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "_BLOCK", block)
        found = list(resampled_class_ap(result.ranking, weights))
    for name, ap in zip(result.classes, found, strict=True):
        if name in expected:
            np.testing.assert_allclose(ap.T, [expected[name]] * 2, rtol=0, atol=1e-12)
        else:
            assert np.isnan(ap).all()


def slow_samples(
    annotations: Annotations, detections: Detections, samples: int, seed: int
) -> np.ndarray:
    """(S, J) mAP of each resample, drawn from the sorted names and evaluated as a data set."""
    names = sorted({*annotations.videos, *detections.videos})
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(samples):
        drawn = [names[i] for i in rng.integers(len(names), size=len(names))]
        times = {name: drawn.count(name) for name in names}
        ap = slow_ap(annotations, detections, times, "activitynet")
        if ap:
            rows.append(np.mean(list(ap.values()), axis=0))
    return np.array(rows)


@pytest.mark.parametrize("videos", [3, 8])
def test_intervals_are_quantiles_of_resampled_data_sets(videos: int) -> None:
    annotations, first = scene(1, videos)
    second = Detections(
        {
            name: VideoDetections(item.segments, item.scores[::-1], item.labels)
            for name, item in first.videos.items()
        },
        CLASSES,
    )
    results = [evaluate(annotations, found) for found in (first, second)]
    found = bootstrap_map(results, samples=60, seed=4, level=0.8, centred=False)
    slow = [slow_samples(annotations, item, 60, 4) for item in (first, second)]
    for row, table in enumerate(slow):
        average = table.mean(axis=1)
        np.testing.assert_allclose(found.average_map_samples[row], average, atol=1e-12)
        np.testing.assert_allclose(found.mean_ap[row].T, np.quantile(table, [0.1, 0.9], axis=0))
        np.testing.assert_allclose(found.average_map[row], np.quantile(average, [0.1, 0.9]))
        bias = average.mean() - results[row].average_map
        assert found.bias[row] == pytest.approx(bias)
        gap = average - slow[0].mean(axis=1)
        np.testing.assert_allclose(found.difference[row], np.quantile(gap, [0.1, 0.9]), atol=1e-12)
        assert found.p_better[row] == pytest.approx((gap > 0).mean() + (gap == 0).mean() / 2)
    assert found.samples == 60
    assert found.videos == videos + 1
    # In three videos, one of them empty and one unknown, some resamples hold no instance.
    assert (len(slow[0]) < 60) == (videos == 3)
    centred = bootstrap_map(results, samples=60, seed=4, level=0.8)
    np.testing.assert_allclose(
        centred.average_map, np.clip(found.average_map - found.bias[:, None], 0, 1)
    )
    shift = slow[1].mean(axis=0) - results[1].mean_ap
    np.testing.assert_allclose(centred.mean_ap[1], np.clip(found.mean_ap[1] - shift[:, None], 0, 1))
    np.testing.assert_array_equal(centred.difference, found.difference)


def test_methods_are_paired() -> None:
    annotations, detections = scene(2, 12)
    result = evaluate(annotations, detections)
    perfect = Detections(
        {
            name: VideoDetections(
                item.segments,
                np.ones(len(item.labels)),
                np.array([annotations.classes.index(label) for label in item.labels], dtype=int),
            )
            for name, item in annotations.videos.items()
        },
        annotations.classes,
    )
    best = evaluate(annotations, perfect)
    assert best.average_map == 1.0
    found = bootstrap_map([result, result, best], samples=50)
    # The same detections differ on no resample, however wide their own interval is.
    assert found.average_map[0, 1] - found.average_map[0, 0] > 0.05
    np.testing.assert_array_equal(found.average_map[0], found.average_map[1])
    assert found.difference[1].tolist() == [0.0, 0.0]
    assert found.p_better.tolist() == [0.5, 0.5, 1.0]
    assert found.average_map[2].tolist() == [1.0, 1.0]
    assert found.difference[2, 0] > 0


def test_an_interval_lies_about_its_own_map() -> None:
    result = evaluate(*scene(3, 30))
    plain = bootstrap_map([result], samples=200, centred=False)
    assert plain.bias[0] > 0.01  # with so few instances copies raise precision
    centred = bootstrap_map([result], samples=200)
    low, high = centred.average_map[0]
    assert low < result.average_map < high
    assert np.all(centred.mean_ap[0, :, 0] < result.mean_ap)
    assert np.all(result.mean_ap < centred.mean_ap[0, :, 1])
    wide = bootstrap_map([result], samples=200, level=0.99).average_map[0]
    assert wide[0] < low
    assert high < wide[1]


def test_the_seed_decides_and_the_size_of_blocks_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    annotations, detections = scene(4, 6)
    result = evaluate(annotations, detections)
    base = bootstrap_map([result], samples=30, seed=1)
    again = bootstrap_map([result], samples=30, seed=1)
    np.testing.assert_array_equal(base.average_map_samples, again.average_map_samples)
    other = bootstrap_map([result], samples=30, seed=2)
    assert not np.array_equal(base.average_map_samples, other.average_map_samples)
    backwards = Annotations(dict(reversed(annotations.videos.items())), annotations.classes)
    turned = bootstrap_map([evaluate(backwards, detections)], samples=30, seed=1)
    np.testing.assert_allclose(base.average_map_samples, turned.average_map_samples, atol=1e-12)
    steps: list[tuple[int, int]] = []
    monkeypatch.setattr(bootstrap, "_BLOCK", 70)
    small = bootstrap_map(
        [result], samples=30, seed=1, progress=lambda done, total: steps.append((done, total))
    )
    np.testing.assert_allclose(base.average_map_samples, small.average_map_samples, atol=1e-12)
    assert len(steps) > len(result.classes)
    assert [done for done, _ in steps] == list(range(1, len(steps) + 1))
    assert {total for _, total in steps} == {len(steps)}


def test_videos_that_only_one_method_detected_in() -> None:
    annotations, detections = scene(5, 6)
    without = Detections(
        {name: item for name, item in detections.videos.items() if name != "w"}, CLASSES
    )
    results = [evaluate(annotations, detections), evaluate(annotations, without)]
    found = bootstrap_map(results, samples=100)
    assert found.videos == 7
    # False positives in an unknown video never help.
    assert found.difference[1, 0] >= 0
    assert found.p_better[1] > 0.5


def test_nothing_detected() -> None:
    annotations, detections = scene(6)
    found = bootstrap_map([evaluate(annotations, Detections({}, CLASSES))], samples=5)
    assert np.all(found.average_map_samples == 0)
    assert found.mean_ap.tolist() == [[[0.0, 0.0]] * 3]
    only_w = Detections({"w": detections.videos["w"]}, CLASSES)
    assert np.all(bootstrap_map([evaluate(annotations, only_w)], samples=5).average_map == 0)


def test_result_as_plain_values() -> None:
    result = evaluate(*scene(7))
    plain = bootstrap_map([result, result], samples=9, seed=3).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["samples"] == 9
    assert plain["seed"] == 3
    assert plain["level"] == 0.95
    assert plain["videos"] == 6
    assert plain["centred"] is True
    assert len(plain["methods"]) == 2
    low, high = plain["methods"][0]["mAP"]["0.5"]
    assert 0 <= low <= high <= 1
    assert plain["methods"][1]["difference"] == [0.0, 0.0]


def test_what_cannot_be_resampled() -> None:
    annotations, detections = scene(8)
    result = evaluate(annotations, detections)
    with pytest.raises(AttentadError, match="at least one result"):
        bootstrap_map([])
    with pytest.raises(AttentadError, match="at least 1 sample, not 0"):
        bootstrap_map([result], samples=0)
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(AttentadError, match="level of an interval"):
            bootstrap_map([result], level=level)
    with pytest.raises(AttentadError, match="result 2 differs from the first in its protocol"):
        bootstrap_map([result, evaluate(annotations, detections, "wtalc")])
    with pytest.raises(AttentadError, match="result 3 differs from the first in its tIoU"):
        bootstrap_map([result, result, detection_map(annotations, detections, tiou=(0.5,))])
    for seed in (9, 10):
        with pytest.raises(
            AttentadError, match="result 2 differs from the first in its ground truth"
        ):
            bootstrap_map([result, evaluate(*scene(seed))])
    one = Annotations({"v": VideoAnnotation(as_segments([[0, 1]]), ("a",))}, ("a",))
    with pytest.raises(AttentadError, match="needs at least two"):
        bootstrap_map([evaluate(one, Detections({}, ("a",)))])
    many = {f"empty{i}": VideoAnnotation(as_segments([]), ()) for i in range(40)}
    lonely = evaluate(Annotations({**one.videos, **many}, ("a",)), Detections({}, ("a",)))
    # "v" is the last of 41 sorted names.
    without = next(
        seed for seed in range(20) if 40 not in np.random.default_rng(seed).integers(41, size=41)
    )
    with pytest.raises(AttentadError, match="none of 1 resamples of the videos holds an instance"):
        bootstrap_map([lonely], samples=1, seed=without)


def test_intervals_of_classes_are_those_of_each_class_alone() -> None:
    rng = np.random.default_rng(3)
    videos = {
        f"v{i:02d}": VideoAnnotation(np.array([[1.0, 3.0], [5.0, 8.0]]), ("a", "b" if i else "a"))
        for i in rng.permutation(12)
    }
    found = {}
    for video in sorted(videos):
        start = np.array([1.0, 5.0, 7.0]) + rng.normal(0, 0.7, 3)
        segments = np.stack([start, start + 2.5], axis=1)
        found[video] = VideoDetections(segments, rng.random(3), np.array([0, 1, 0]))
    annotations, detections = Annotations(videos, ("a", "b")), Detections(found, ("a", "b"))
    result = detection_map(annotations, detections, tiou=[0.3, 0.5])
    both = bootstrap_class_ap(result, samples=200, seed=4)
    for row, name in enumerate("ab"):
        kept = {video: item.without("b" if name == "a" else "a") for video, item in videos.items()}
        alone = detection_map(Annotations(kept, (name,)), detections, tiou=[0.3, 0.5])
        expected = bootstrap_map([alone], samples=200, seed=4).average_map[0]
        np.testing.assert_allclose(both[row], expected, atol=1e-12)
