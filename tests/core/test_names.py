"""Video ids that differ in form only are matched; nothing else is ever renamed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentad.core import (
    AttentadError,
    Detections,
    VideoDetections,
    align_videos,
    as_segments,
    no_detections,
    suggest,
)
from attentad.video import VIDEO_SUFFIXES


def named(*videos: str) -> Detections:
    """One detection per video, whose score tells where it was listed."""
    return Detections(
        {
            video: VideoDetections(as_segments([[0, 1]]), np.array([float(i)]), np.array([0]))
            for i, video in enumerate(videos)
        },
        ("run",),
        {"model": "m"},
    )


@pytest.mark.parametrize(
    "written",
    [
        "v_abc",
        "abc.mp4",
        "v_abc.MKV",
        "clips/test/abc.webm",
        "C:\\clips\\abc.avi",
        "/data/v_abc",
        "abc.mpeg",
    ],
)
@pytest.mark.parametrize("annotated", ["abc", "v_abc", "abc.mp4", "videos/abc"])
def test_an_id_that_differs_in_form_only_is_renamed(written: str, annotated: str) -> None:
    found, renamed = align_videos(named(written), [annotated, "other"])
    assert list(found.videos) == [annotated]
    assert renamed == ({} if written == annotated else {written: annotated})


def test_order_contents_and_the_rest_stay() -> None:
    before = named("x", "v_b", "a", "c.mp4")
    found, renamed = align_videos(before, {"a", "b", "c", "d"})
    assert renamed == {"v_b": "b", "c.mp4": "c"}
    assert list(found.videos) == ["x", "b", "a", "c"]
    assert [items.scores[0] for items in found.videos.values()] == [0, 1, 2, 3]
    assert (found.classes, found.meta) == (before.classes, before.meta)
    assert list(before.videos) == ["x", "v_b", "a", "c.mp4"]


@pytest.mark.parametrize("written", ["b", "v.2", "abc.txt", "V_abc", "xv_abc", "", ".mp4", "v_"])
def test_other_differences_are_left_alone(written: str) -> None:
    found, renamed = align_videos(named(written), ["abc", "v"])
    assert list(found.videos) == [written]
    assert renamed == {}


def test_an_annotated_id_is_never_renamed() -> None:
    """`abc` and `v_abc` may be two videos, as long as both are annotated."""
    found, renamed = align_videos(named("v_abc", "abc"), ["abc", "v_abc"])
    assert list(found.videos) == ["v_abc", "abc"]
    assert renamed == {}


def test_an_id_that_fits_several_annotated_ones_stays() -> None:
    found, renamed = align_videos(named("abc.avi"), ["abc", "v_abc"])
    assert list(found.videos) == ["abc.avi"]
    assert renamed == {}


@pytest.mark.parametrize("pair", [("v_abc", "abc"), ("abc", "v_abc"), ("abc.mp4", "v_abc")])
def test_two_ids_of_one_video_are_an_error(pair: tuple[str, str]) -> None:
    with pytest.raises(AttentadError) as caught:
        align_videos(named("z", *pair), ["abc"])
    assert str(caught.value) == (
        f"the detections of {pair[0]!r} and of {pair[1]!r} both belong to the annotated video "
        "'abc'; keep one of them."
    )


ids = st.sampled_from(["a", "b", "v_a", "v_b", "a.mp4", "x/a.mp4", "v_v_a", "c", "b.avi"])


def simplest(video: str) -> str:
    """The rule, by hand: folder, suffix, prefix."""
    for sign in ("/", "\\"):
        video = video.split(sign)[-1]
    for suffix in (".mp4", ".avi"):
        video = video[: -len(suffix)] if video.endswith(suffix) else video
    return video[2:] if video.startswith("v_") else video


@given(st.lists(ids, unique=True), st.sets(ids))
def test_agrees_with_comparing_every_pair(written: list[str], annotated: set[str]) -> None:
    expected = []
    for video in written:
        fits = [known for known in annotated if simplest(known) == simplest(video)]
        expected.append(fits[0] if video not in annotated and len(fits) == 1 else video)
    if len(set(expected)) < len(expected):
        with pytest.raises(AttentadError):
            align_videos(named(*written), annotated)
        return
    found, renamed = align_videos(named(*written), annotated)
    assert list(found.videos) == expected
    pairs = zip(written, expected, strict=True)
    assert renamed == {old: new for old, new in pairs if old != new}


def test_five_thousand_videos() -> None:
    videos = [f"video_{i}" for i in range(5000)]
    detections = Detections({f"v_{video}.mp4": no_detections() for video in videos}, ())
    _, renamed = align_videos(detections, videos)
    assert len(renamed) == 5000


def test_every_decodable_suffix_is_known() -> None:
    for suffix in VIDEO_SUFFIXES:
        _, renamed = align_videos(named(f"clip{suffix}"), ["clip"])
        assert renamed == {f"clip{suffix}": "clip"}


CLASSES = ["BaseballPitch", "BasketballDunk", "Long jump", "Cleaning windows"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("baseballpitch", "BaseballPitch"),
        ("Basketball_Dunk", "BasketballDunk"),
        ("LongJump", "Long jump"),
        ("Cleaning window", "Cleaning windows"),
        ("BasbalPitch", "BaseballPitch"),
        ("Diving", None),
        ("7", None),
        ("", None),
        ("--", None),
        ("Long jump", None),
    ],
)
def test_suggestions(name: str, meant: str | None) -> None:
    assert suggest(name, CLASSES) == meant
    assert suggest(name, iter(CLASSES)) == meant
    assert suggest(name, []) is None
