"""Toy scenes: what is planned, and that it is drawn as planned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError
from attentad.data.toy.files import CLIP_CLASSES, scene
from attentad.data.toy.motions import MOTIONS, Offsets, triangle_wave
from attentad.data.toy.render import _sprite, render
from attentad.data.toy.scene import (
    BACKGROUND,
    CLASSES,
    FPS,
    SHAPES,
    SIZE_PX,
    Look,
    ScenePlan,
    Track,
    count_actions,
    plan_clip,
    plan_video,
)


def offsets(label: str, cycles: list[float], reach: float = 2.0, direction: int = 1) -> Offsets:
    return MOTIONS[label].offsets(np.array(cycles), reach, direction)


def test_motions_at_quarters_of_a_cycle() -> None:
    quarters = [0.0, 0.25, 0.5, 0.75]
    np.testing.assert_allclose(triangle_wave(np.array(quarters)), [0, 1, 0, -1], atol=1e-12)
    np.testing.assert_allclose(
        offsets("spin", quarters, 1.0, -1).turn_rad, -np.pi / 2 * np.arange(4)
    )
    np.testing.assert_allclose(offsets("bounce", quarters, 16.0).down_px, [8, -4, -8, -4])
    zigzag = offsets("zigzag", quarters, 8.0)
    np.testing.assert_allclose(zigzag.down_px, [0, 8, 0, -8], atol=1e-9)
    np.testing.assert_allclose(np.diff(zigzag.right_px), [17 / 3.5] * 3)
    orbit = offsets("orbit", quarters, 10.0)
    np.testing.assert_allclose(orbit.right_px, [10, 0, -10, 0], atol=1e-9)
    np.testing.assert_allclose(orbit.down_px, [0, 10, 0, -10], atol=1e-9)
    np.testing.assert_allclose(offsets("grow-shrink", quarters, 1.5).scale, [1, 1.5, 1, 1 / 1.5])
    np.testing.assert_allclose(offsets("shake", quarters, 5.0).right_px, [0, 5, 0, -5], atol=1e-9)
    np.testing.assert_allclose(
        offsets("split-join", quarters, 12.0).apart_px, [0, 6, 12, 6], atol=1e-9
    )
    np.testing.assert_allclose(offsets("blink", quarters, 0.5).opacity, [1, 1, 0, 0])


@pytest.mark.parametrize("label", CLASSES)
def test_a_motion_changes_only_what_is_its_own(label: str) -> None:
    own = {
        "spin": {"turn_rad"},
        "bounce": {"down_px"},
        "zigzag": {"right_px", "down_px"},
        "orbit": {"right_px", "down_px"},
        "grow-shrink": {"scale"},
        "shake": {"right_px"},
        "split-join": {"apart_px"},
        "blink": {"opacity"},
    }
    found = vars(offsets(label, np.linspace(0, 3, 40).tolist(), 0.5))
    assert {name for name, values in found.items() if np.ptp(values) > 0} == own[label]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_untrimmed_videos_are_as_promised(seed: int) -> None:
    plan = plan_video(np.random.default_rng(seed))
    assert 40.0 - 0.05 <= plan.duration_sec <= 80.0 + 0.05
    assert 4 <= len(plan.labels) == len(plan.segments_frames) <= 10
    assert set(plan.labels) <= set(CLASSES)
    lengths = np.diff(plan.segments_frames)[:, 0] / FPS
    assert lengths.min() >= 1.5
    assert lengths.max() <= 10.0
    gaps = np.diff(np.concatenate([[0], plan.segments_frames.ravel(), [plan.frames]]))[::2] / FPS
    assert gaps.min() > 0.8
    for start, end in plan.segments_frames:
        there = [t for t in plan.tracks if t.first_frame <= start]
        assert any(t.first_frame + len(t.x_px) >= end for t in there)
    for track in plan.tracks:
        assert track.first_frame >= 0
        assert track.first_frame + len(track.x_px) <= plan.frames
        assert len({len(v) for v in (track.x_px, track.y_px, track.angle_rad, track.scale)}) == 1
        assert track.opacity.min() >= 0.0
        assert track.opacity.max() <= 1.0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**40), size=st.integers(1, 8))
def test_a_video_of_chosen_classes_holds_each_and_no_other(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    classes = tuple(CLASSES[i] for i in rng.permutation(8)[:size])
    plan = plan_video(np.random.default_rng(seed), classes)
    count = len(plan.labels)
    assert set(plan.labels) == set(classes[:count])
    assert count_actions(np.random.default_rng(seed)) == count
    # When actions happen does not depend on which they are.
    usual = plan_video(np.random.default_rng(seed))
    assert (usual.frames, len(usual.labels)) == (plan.frames, count)
    np.testing.assert_array_equal(usual.segments_frames, plan.segments_frames)


def test_the_videos_of_a_seed_stay_what_they_were() -> None:
    """Numbers of toy videos stand in tables: raise `toy._DRAWING` before changing these."""
    plan = scene(0, 0)
    assert plan.labels == ("spin", "shake", "orbit", "zigzag", "bounce")
    assert plan.texture_seed == 7399414764858208892


def test_actions_of_chosen_classes_come_in_any_order() -> None:
    firsts = {
        plan_video(np.random.default_rng(seed), ("spin", "blink")).labels[0] for seed in range(20)
    }
    assert firsts == {"spin", "blink"}


def test_all_numbers_of_actions_and_all_classes_occur() -> None:
    plans = [scene(0, i) for i in range(60)]
    assert {len(plan.labels) for plan in plans} == set(range(4, 11))
    labels = [label for plan in plans for label in plan.labels]
    shares = [labels.count(label) / len(labels) for label in CLASSES]
    assert min(shares) > 0.07


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_looks_say_nothing_about_the_class(seed: int) -> None:
    # From one random stream every class draws the same actor, place and distractors.
    plans = [plan_clip(np.random.default_rng(seed), label) for label in CLASSES]
    assert {plan.tracks[-1].look.shape for plan in plans} == {plans[0].tracks[-1].look.shape}
    for plan in plans:
        assert 2.0 - 0.05 <= plan.duration_sec <= 3.0 + 0.05
        look = plan.tracks[-1].look
        np.testing.assert_array_equal(look.colours, plans[0].tracks[-1].look.colours)
        assert look.size_px == plans[0].tracks[-1].look.size_px


def test_background_clips_hold_nothing_but_drifting() -> None:
    for i in range(20):
        plan = scene(3, i, BACKGROUND)
        assert plan.labels == ()
        for track in plan.tracks:
            assert np.ptp(track.angle_rad) == 0
            assert np.ptp(track.scale) == 0
            # A frame lasts 0.08 s: nothing drifts faster than some 25 px a second.
            assert np.abs(np.diff(track.x_px)).max() < 2.5
            assert np.abs(np.diff(track.y_px)).max() < 2.5


def test_background_clips_show_what_gaps_show() -> None:
    """Actors that are there all the time, come, go, or are not there; cf. the larger looks."""
    empty = stays = moves = 0
    for i in range(60):
        plan = scene(3, i, BACKGROUND)
        actors = [track for track in plan.tracks if track.look.size_px >= 17]
        empty += not actors
        lengths = {len(track.opacity) for track in actors}
        stays += lengths == {plan.frames}
        moves += bool(lengths) and lengths != {plan.frames}
    assert min(empty, moves) > 12
    assert stays >= 1


def test_an_onset_is_mostly_a_change_of_motion_only() -> None:
    acting, early = 0, 0
    for i in range(30):
        plan = scene(1, i)
        for start, end in plan.segments_frames:
            actors = [
                t
                for t in plan.tracks
                if t.first_frame <= start
                and end <= t.first_frame + len(t.x_px)
                # Distractors are there by chance; an actor's life ends near its action.
                and t.first_frame >= start - 3.1 * FPS
            ]
            acting += 1
            early += any(t.first_frame <= start - 0.5 * FPS for t in actors)
    assert 0.6 < early / acting < 0.95


def test_a_scene_depends_on_seed_kind_and_number_only() -> None:
    def fingerprint(plan: ScenePlan) -> tuple[float, int]:
        return float(sum(t.x_px.sum() for t in plan.tracks)), plan.texture_seed

    plans = [scene(0, 0), scene(1, 0), scene(0, 1)]
    plans += [scene(0, 0, label) for label in CLIP_CLASSES] + [scene(0, 1, "spin")]
    assert len({fingerprint(plan) for plan in plans}) == len(plans)
    assert fingerprint(scene(0, 1)) == fingerprint(plans[2])
    with pytest.raises(AttentadError, match="no toy class 'jump'"):
        scene(0, 0, "jump")


def test_same_plan_same_pixels() -> None:
    first, second = (np.stack(list(render(scene(5, 2, "orbit")))) for _ in range(2))
    assert first.shape[1:] == (SIZE_PX, SIZE_PX, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)
    other = np.stack(list(render(scene(6, 2, "orbit"))))
    assert len(other) != len(first) or (other != first).any()


def tiny_plan(tracks: list[Track], camera_px: np.ndarray) -> ScenePlan:
    return ScenePlan(
        frames=len(camera_px),
        camera_px=camera_px,
        background=np.array([100.0, 130.0, 90.0]),
        contrast=15.0,
        tracks=tuple(tracks),
        texture_seed=11,
        segments_frames=np.zeros((0, 2), dtype=np.int64),
        labels=(),
    )


def paint(picture: np.ndarray, track: Track, i: int) -> None:
    """Slow and obvious: every pixel of the picture asks the sprite for its texel."""
    sprite = _sprite(track.look).reshape(66, 66, 4)
    radius = track.look.size_px / 2 * track.scale[i]
    cosine, sine = np.cos(track.angle_rad[i]), np.sin(track.angle_rad[i])
    for y in range(SIZE_PX):
        for x in range(SIZE_PX):
            right, down = x + 0.5 - track.x_px[i], y + 0.5 - track.y_px[i]
            u = (cosine * right + sine * down) / radius
            v = (cosine * down - sine * right) / radius
            if abs(u) >= 1 or abs(v) >= 1:
                continue
            *colour, alpha = sprite[int((v + 1) * 32) + 1, int((u + 1) * 32) + 1].astype(float)
            alpha *= track.opacity[i]
            picture[y, x] += alpha * (np.array(colour) - picture[y, x])


def test_drawing_against_the_slow_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attentad.data.toy.render._NOISE_STD", 0.0)
    monkeypatch.setattr("attentad.data.toy.render._CHUNK", 3)
    rng = np.random.default_rng(0)
    frames = 5
    tracks = []
    for k, shape in enumerate(SHAPES):
        look = Look(shape, rng.uniform(0, 255, (2, 3)), float(rng.uniform(8, 40)))
        # Also half and wholly outside, on every side.
        x, y = (rng.uniform(-30, SIZE_PX + 30, frames) for _ in range(2))
        angle, scale = rng.uniform(0, 7, frames), rng.uniform(0.6, 1.6, frames)
        opacity = rng.uniform(0.3, 1.0, frames)
        alive = slice(0, frames - k % 3)
        tracks.append(Track(look, k % 3, *(v[alive] for v in (x, y, angle, scale, opacity))))
    camera = np.zeros((frames, 2))
    expected = np.stack(list(render(tiny_plan([], camera)))).astype(float)
    untouched = expected.copy()
    for i in range(frames):
        for track in tracks:
            if track.first_frame <= i < track.first_frame + len(track.x_px):
                paint(expected[i], track, i - track.first_frame)
    drawn = np.stack(list(render(tiny_plan(tracks, camera)))).astype(float)
    # Levels are cut to integers once here and twice there.
    assert np.abs(drawn - expected).max() <= 2
    assert 0.2 < (drawn != untouched).mean() < 0.9


def test_the_background_drifts_with_the_camera_and_has_no_seam(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("attentad.data.toy.render._NOISE_STD", 0.0)
    camera = np.array([[0, 0], [3, 0], [0, -5], [64, 128], [-70, 0]], dtype=float)
    a, right, up, around, left = render(tiny_plan([], camera))
    np.testing.assert_array_equal(right[:, :-3], a[:, 3:])
    np.testing.assert_array_equal(up[5:], a[:-5])
    np.testing.assert_array_equal(around, a)
    np.testing.assert_array_equal(left[:, 6:], a[:, :-6])
    steps = np.abs(np.diff(np.concatenate([a, a], axis=1).astype(int), axis=1)).mean(axis=(0, 2))
    assert steps[SIZE_PX - 1] < 2 * steps.mean()


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_fill_a_good_part_of_their_circle(shape: str) -> None:
    opacity = _sprite(Look(shape, np.zeros((2, 3)), 20.0)).reshape(66, 66, 4)[..., 3]
    assert 0.2 < opacity.mean() < 0.75
    assert opacity[0].max() == opacity[-1].max() == opacity[:, 0].max() == 0
    # Both halves are there, so that turning shows whatever the shape.
    assert opacity[:33].sum() > 0.25 * opacity.sum()
    assert opacity[33:].sum() > 0.25 * opacity.sum()
