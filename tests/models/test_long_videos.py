"""Videos longer than any that a model of whole, rescaled videos was trained on."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.bench import Bench

from attentad.core import AttentadError, Timeline
from attentad.data.tracks import Track, noting
from attentad.models.detect import detect_features
from attentad.models.file import load_detector, load_model, save_detector, save_model
from attentad.models.long_videos import TrainedSteps, cut_to_trained
from attentad.models.model import DetectorModel


@pytest.fixture(scope="module")
def model(trained: Bench) -> DetectorModel:
    return load_detector(trained.model)


def track_of(seconds: float, step_sec: float = 0.5) -> Track:
    n = round(seconds / step_sec)
    array = np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32)
    timeline = Timeline(n, 1 / step_sec, 1, 1, seconds)
    return Track(array, timeline, seconds)


def test_a_trained_model_knows_its_steps(model: DetectorModel) -> None:
    assert model.trained_steps == TrainedSteps(1.0, 1.0)  # videos of 40 s in 40 steps


def test_other_models_need_not_say_it(trained: Bench, model: DetectorModel, tmp_path: Path) -> None:
    save_detector(tmp_path / "m.safetensors", replace(model, trained_steps=None))
    assert load_detector(tmp_path / "m.safetensors").trained_steps is None
    tensors, contract = load_model(trained.model)
    for odd in (
        {},
        {"median_sec": 1.0, "longest_sec": "long"},
        {"median_sec": 0, "longest_sec": 1},
    ):
        save_model(tmp_path / "odd.safetensors", tensors, {**contract, "trained_steps": odd})
        with pytest.raises(AttentadError, match=r"odd\.safetensors is no model .* trained_steps"):
            load_detector(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("seconds", [3, 40, 80])
def test_ordinary_lengths_are_read_whole_and_in_silence(
    model: DetectorModel, seconds: float
) -> None:
    track = track_of(seconds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cut_to_trained(track, "v", model.recipe, model.trained_steps) == [track]


def test_a_long_video_is_read_in_parts_of_the_trained_length(model: DetectorModel) -> None:
    parts, notes = noting(
        lambda: cut_to_trained(track_of(900), "day", model.recipe, model.trained_steps)
    )
    assert len(notes) == 1
    assert notes[0].startswith(
        "day lasts 900 s, the training videos at most 40 s: it was read in 44"
    )
    assert all(len(part.array) == 80 for part in parts)
    assert [part.timeline.start_sec for part in parts[:3]] == [0, 20, 40]
    assert parts[-1].timeline.end_sec == 900


def test_what_repeats_itself_is_found_again_and_again(model: DetectorModel) -> None:
    """A long video of twenty copies of a short one has its detections, twenty times over."""
    short = track_of(40)
    copies = Track(
        np.tile(short.array, (20, 1)),
        replace(short.timeline, length=1600, duration_sec=800.0),
        800.0,
    )
    one = detect_features(model, short.array, short.timeline, video="v").detections
    found, notes = noting(
        lambda: detect_features(model, copies.array, copies.timeline, video="v").detections
    )
    assert len(notes) == 1
    assert len(found) > len(one)
    best = found.segments[np.argmax(found.scores)]
    lengths = one.segments[:, 1] - one.segments[:, 0]
    assert best[1] - best[0] <= 1.01 * lengths.max()
    starts = one.segments[0, 0] + 40 * np.arange(20)
    near = np.abs(found.segments[:, None, 0] - starts) + np.abs(
        found.segments[:, None, 1] - starts - lengths[0]
    )
    assert (near.min(axis=0) < 2).all()


def test_a_model_that_does_not_say_its_lengths_warns_of_long_steps(model: DetectorModel) -> None:
    long, short = track_of(900), track_of(120)
    parts, notes = noting(lambda: cut_to_trained(long, "day", model.recipe, None))
    assert parts == [long]
    assert "day: one step of the model is 22.5 s" in notes[0]
    assert "view.name=windows" in notes[0]
    assert noting(lambda: cut_to_trained(short, "v", model.recipe, None)) == ([short], [])


def test_features_too_coarse_for_parts_are_warned_of(model: DetectorModel) -> None:
    coarse = track_of(900, step_sec=30)
    parts, notes = noting(lambda: cut_to_trained(coarse, "day", model.recipe, model.trained_steps))
    assert parts == [coarse]
    assert "cannot be read in parts" in notes[0]


def test_other_views_know_no_long_videos(model: DetectorModel) -> None:
    view = model.recipe.view.model_copy(update={"name": "windows"})
    windows = model.recipe.model_copy(update={"view": view})
    track = track_of(9000)
    assert noting(lambda: cut_to_trained(track, "v", windows, None)) == ([track], [])
