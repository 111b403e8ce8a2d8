"""Training windows on THUMOS14, against the rules of the releases written out in frames."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.detection.plain import truth_of

from attentad.core import Timeline, VideoAnnotation, read_annotations
from attentad.core.found import Truth
from attentad.data.clocks import FrameClock
from attentad.data.features import FeatureStore
from attentad.data.tracks import FeatureSource
from attentad.data.training_items import TrainingItems, selection
from attentad.data.views import Windows
from attentad.layers.proposals import proposal_targets
from attentad.models.video_scores import THUMOS14_NUMBERS

DATA = Path(__file__).parents[3] / "shared/data/thumos14"
CLOCK = FrameClock(stride_frames=5, window_frames=5)


def reference_windows(n: int, gt_frames: np.ndarray, length: int) -> list[int]:
    """Spec csa §5.2, G-TAD: first snippets of the windows that are trained on."""
    if n < length:
        starts = [0]
    else:
        half = length // 2
        starts = [half * i for i in range((n - half) // half)]
        if n - (starts[-1] + length) > length // 5:
            starts.append(n - length)
    kept = []
    for s0 in starts:
        first, last = 5 * s0 - 2.5, 5 * (s0 + length - 1) + 2.5
        for start, end in gt_frames:
            if (min(last, end) - max(first, start)) / (end - start) > 0.9:
                kept.append(s0)
                break
    return kept


def windows(
    n: int, segments: np.ndarray, fps: float, length: int, **options: object
) -> list[tuple[int, Timeline, np.ndarray]]:
    """(first snippet, timeline, segments as the detector gets them) of each window trained on."""
    given_targets: list[tuple[Timeline, np.ndarray]] = []

    def targets(truth: Truth, timeline: Timeline) -> dict[str, np.ndarray]:
        given_targets.append((timeline, truth.segments))
        return {}

    item = VideoAnnotation(segments, ("a",) * len(segments), "train", n * 5 / fps, fps)
    store = FeatureStore("memory", {"v": lambda: np.ones((n, 1), np.float32)}, {})
    TrainingItems(
        FeatureSource(store, {"v": item}, CLOCK),
        {"v": Truth(segments, np.zeros(len(segments), np.int64), 1)},
        Windows(length, cover_tail=False),
        targets,
        select=selection(min_coverage=0.9, **options),
    )
    return [(round(timeline.offset_frames / 5), timeline, kept) for timeline, kept in given_targets]


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 900), st.sampled_from([24.0, 29.97, 30.0]), st.integers(0, 2**31))
def test_windows_are_those_of_gtad(n: int, fps: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, n * 5 - 20, 6)
    frames = np.stack([start, start + rng.uniform(5, 400, 6)], axis=1)
    frames[0] = [0, 10]  # so that a window is left
    found = windows(n, frames / fps, fps, 256, gtad_half_shift=True)
    assert [s0 for s0, _, _ in found] == reference_windows(n, frames, 256)


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data/thumos14 is not there")
def test_the_real_training_videos() -> None:
    videos = read_annotations(DATA / "annotations.json").subset("validation").videos
    count = 0
    for item in videos.values():
        n = -(-int(item.frames) // 5)
        frames = item.segments * item.fps
        expected = reference_windows(n, frames, 256)
        if not expected:
            continue
        found = windows(n, item.segments, item.fps, 256, gtad_half_shift=True)
        assert [s0 for s0, _, _ in found] == expected
        count += len(expected)
    assert count > 1000


def test_the_half_shift_decides_at_the_edge() -> None:
    """A window of 8 snippets covers frames -2.5..37.5 as released, 0..40 as we count."""
    frames = np.array([[26.5, 38.75]])  # 12.25 long, of which 1.25 reach beyond 37.5
    assert windows(8, frames / 30, 30.0, 8)
    with pytest.raises(Exception, match="none of the 1 training videos"):
        windows(8, frames / 30, 30.0, 8, gtad_half_shift=True)


def test_cut_instances_are_kept_or_dropped() -> None:
    fps, n, length = 25.0, 30, 20
    two = np.array([[0.4, 1.2], [3.6, 5.2]])  # windows cover 0..4 s and 2..6 s
    whole = windows(n, two, fps, length)
    cut = windows(n, two, fps, length, drop_cut=True)
    assert [s0 for s0, _, _ in whole] == [s0 for s0, _, _ in cut] == [0, 10]
    np.testing.assert_array_equal(whole[0][2], two)
    np.testing.assert_array_equal(cut[0][2], two[:1])
    np.testing.assert_array_equal(cut[1][2], two[1:])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.floats(0, 350), st.floats(2, 150))
def test_boundary_labels_in_frames(s0: int, start: float, length: float) -> None:
    """|5i − boundary| < 7.5 frames, spec csa §5.2; the map is clipped to the window."""
    fps, steps = 25.0, 32
    frames = np.array([[start, start + length]])
    timeline = Timeline(steps, fps, 5, 5, 1e3, offset_frames=5 * s0)
    made = proposal_targets(truth_of(frames / fps), timeline, max_duration=8, boundary_rule="edge")
    overlaps = start < 5 * (s0 + steps) and start + length > 5 * s0
    for name, boundary in (("start", start), ("end", start + length)):
        for i in range(steps):
            away = abs(5 * (s0 + i) - boundary)
            if abs(away - 7.5) > 1e-6:
                assert made[name][i] == (overlaps and away < 7.5)


def test_the_classes_go_with_their_numbers() -> None:
    assert list(THUMOS14_NUMBERS) == sorted(THUMOS14_NUMBERS)
    assert len(THUMOS14_NUMBERS) == 20
    if DATA.exists():
        lines = (DATA / "classes.txt").read_text().split("\n")
        assert [line.split()[1] for line in lines if line] == list(THUMOS14_NUMBERS)
