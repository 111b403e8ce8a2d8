"""ActivityNet's reference durations: layouts, rules, and the annotations that carry them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentad.core import Annotations, AttentadError, VideoAnnotation
from attentad.data.releases.activitynet13 import (
    FrameCounts,
    read_frame_counts,
    reference_duration_sec,
    with_reference_durations,
)

# The first training video of the public lists: 2067 frames, of which features cover 2064.
BALLET = FrameCounts(82.73, 2067, 2064)


def test_the_three_layouts_agree(tmp_path: Path) -> None:
    entry = {"duration": 82.73, "frames": 2067, "feature_frames": 2064, "annotations": []}
    flat = {"duration_second": 82.73, "duration_frame": 2067, "feature_frame": 2064}
    (tmp_path / "a.json").write_text(json.dumps({"database": {"x": entry, "y": {"subset": "t"}}}))
    (tmp_path / "b.json").write_text(json.dumps({"v_x": flat}))
    header = "video,numFrame,seconds,fps,rfps,subset,featureFrame\n"
    (tmp_path / "c.csv").write_text(header + "v_x,2067,82.73,24.9,24.98,training,2064\n")
    for name in ("a.json", "b.json", "c.csv"):
        assert read_frame_counts(tmp_path / name) == {"x": BALLET}


def test_golden_durations() -> None:
    assert reference_duration_sec(BALLET, "annotated") == 82.73
    assert reference_duration_sec(BALLET, "feature_frames") == pytest.approx(2064 / 2067 * 82.73)
    assert reference_duration_sec(BALLET, "floor16") == pytest.approx(129 * 16 / 2067 * 82.73)
    longer = FrameCounts(10.0, 300, 304)
    assert reference_duration_sec(longer, "feature_frames") > 10


@given(st.integers(1, 5000), st.floats(0.1, 300))
def test_floor16_never_exceeds_the_video_by_a_block(frames: int, duration_sec: float) -> None:
    reference = reference_duration_sec(FrameCounts(duration_sec, frames), "floor16")
    block_sec = 16 / frames * duration_sec
    assert reference > 0
    assert reference == pytest.approx(max(1, frames // 16) * block_sec)


def test_annotations_carry_the_reference() -> None:
    item = VideoAnnotation(np.array([[1.0, 2.0]]), ("a",), "training", 82.73)
    annotations = Annotations({"v_x": item}, ("a",))
    changed = with_reference_durations(annotations, {"x": BALLET}, "feature_frames")
    assert changed.videos["v_x"].duration_sec == pytest.approx(82.61, abs=0.01)
    np.testing.assert_array_equal(changed.videos["v_x"].segments, item.segments)
    assert with_reference_durations(annotations, {}, "annotated") is annotations
    with pytest.raises(AttentadError, match="frame counts of video v_x"):
        with_reference_durations(annotations, {}, "floor16")
    counts = {"x": FrameCounts(1.0, 20)}
    with pytest.raises(AttentadError, match=r"video v_x: .* needs feature_frames"):
        with_reference_durations(annotations, counts, "feature_frames")
    with pytest.raises(AttentadError, match="duration_ref is one of annotated"):
        with_reference_durations(annotations, counts, "exact")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "must be a JSON object"),
        ('{"database": {"x": {"duration": 3}}}', "says of no video how many frames"),
        ('{"x": {"duration": 3, "frames": 0}}', "positive numbers"),
        ('{"x": {"duration": "long", "frames": 9}}', "positive numbers"),
        ('{"x": {"duration": 3, "frames": [1]}}', "positive numbers"),
    ],
)
def test_broken_counts(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(AttentadError, match=words):
        read_frame_counts(tmp_path / "a.json")


def test_the_real_lists() -> None:
    path = Path(__file__).parents[3] / "shared/data/activitynet13/annotations.json.gz"
    if not path.exists():
        pytest.skip("../shared/data/activitynet13 is not there")
    counts = read_frame_counts(path)
    assert counts["QOlSCBRmfWY"] == BALLET
    # 9649 + 4728 + 4851 videos have features.
    assert len(counts) == 19228
