"""What `train own` decides: plan, rate, split, groups, and what it says of rare classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentad.app.own.material import Material
from attentad.app.own.planning import overlapped
from attentad.app.own.scores import Examples
from attentad.app.own.split import split, video_groups
from attentad.core import Annotations, AttentadError, VideoAnnotation, as_segments
from attentad.data.splits import balanced_parts, parts_of_videos
from attentad.recipes.load import DetectionRecipe, load_recipe
from attentad.recipes.own_plan import FEWEST_EPOCHS, Amount, picture_rate, plan


def amount(videos: int = 13, actions: int = 158, **changed: object) -> Amount:
    """Like the 13 training videos of a ceiling camera, by default."""
    facts: dict[str, object] = {
        "duration_sec": [140.0] * videos,
        "instances": {"walk": actions, "sit": 0},
        "action_sec": [5.7] * actions,
        "overlapped": 0.0,
        "fps": 5.0,
        "cores": 2,
    }
    return Amount(**(facts | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "name", "settings", "sentence"),
    [
        (amount(), "own/tcn", {"view.length=700"}, "13 videos with 158 actions of 1 class: tcn"),
        (amount(1, 50), "own/framewise", {"training.batch_size=1"}, "1 video with 50 actions"),
        (amount(9, 12), "own/framewise", set(), "20 actions at the very least"),
        (amount(50, action_sec=[]), "own/tcn_weak", {"training.batch_size=16"}, "as wholes"),
        (amount(overlapped=0.3), "own/tcn", {"detector.network.activation=sigmoid"}, "30 %"),
        (amount(overlapped=0.01), "own/tcn", set(), "13 s to either side"),
        (amount(500, 4000), "own/tcn", {"detector.network.hidden_dim=128"}, "twice as wide"),
        (amount(duration_sec=[7200.0] * 9), "own/tcn", {"view.length=1500"}, "300 s of a video"),
        (amount(action_sec=[60.0] * 99), "own/tcn", {"detector.network.blocks=9"}, "102 s"),
        (amount(action_sec=[0.4] * 99), "own/tcn", {"detector.decode.smoothing=1"}, "1 step,"),
    ],
)
def test_the_plan_by_amount(data: Amount, name: str, settings: set[str], sentence: str) -> None:
    made = plan(data)
    assert made.recipe == name
    assert settings <= set(made.settings)
    assert sentence in " ".join(made.reasons)
    assert isinstance(load_recipe(made.recipe, made.settings), DetectionRecipe)


def epochs(data: Amount) -> int:
    return int(dict(text.split("=") for text in plan(data).settings)["training.epochs"])


def test_more_cores_train_longer_where_there_is_very_much() -> None:
    little, much = amount(), amount(3000, 4000, duration_sec=[900.0] * 3000)
    assert epochs(little) == epochs(amount(cores=64))
    few, many = epochs(much), epochs(amount(3000, 4000, duration_sec=[900.0] * 3000, cores=64))
    assert FEWEST_EPOCHS <= few < many
    assert "2 cores train in about 3 hours" in " ".join(plan(much).reasons)


def test_fewer_videos_take_more_epochs_to_as_many_updates() -> None:
    assert epochs(amount(2)) > epochs(amount(40))


def test_a_detector_that_is_not_planned_is_refused() -> None:
    assert plan(amount(), "framewise").recipe == "own/framewise"
    with pytest.raises(AttentadError, match="plans tcn, framewise, tcn_weak"):
        plan(amount(), "bmn")
    with pytest.raises(AttentadError, match="plans tcn_weak for these"):
        plan(amount(action_sec=[]), "tcn")


@pytest.mark.parametrize(
    ("shortest_sec", "video_fps", "rate"),
    [(2.5, 25, 5), (0.8, 25, 10), (0.2, 60, 25), (0.2, 15, 15), (20, 25, 2), (90, 25, 1)],
)
def test_pictures_a_second_by_the_shortest_actions(
    shortest_sec: float, video_fps: float, rate: float
) -> None:
    told, why = picture_rate([shortest_sec] * 10, [video_fps])
    assert told == rate
    assert why.startswith(f"{rate} pictures a second")


def test_the_rate_without_times_is_the_usual_one() -> None:
    assert picture_rate([], [25.0])[0] == 5


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=30),
    st.integers(1, 6),
)
def test_no_part_is_empty_and_those_with_actions_are_spread(
    rows: list[list[int]], parts: int
) -> None:
    counts = np.array(rows)
    chosen = balanced_parts(counts, parts)
    assert len(set(chosen.tolist())) == min(parts, len(rows))
    if (counts.any(axis=1)).sum() >= parts:
        assert {int(p) for p, row in zip(chosen, counts, strict=True) if row.any()} == set(
            range(parts)
        )


def test_a_rare_class_is_in_as_many_parts_as_it_can_be() -> None:
    counts = np.array([[5, 1], [5, 1], [5, 1], [5, 0], [5, 0], [5, 0], [5, 0], [5, 0], [5, 0]])
    chosen = balanced_parts(counts, 3)
    assert set(chosen[:3].tolist()) == {0, 1, 2}
    assert np.bincount(chosen).tolist() == [3, 3, 3]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20), st.integers(1, 5))
def test_groups_are_never_torn_apart(members: list[int], parts: int) -> None:
    counts = {f"v{i}": np.array([i % 3, 1]) for i in range(len(members))}
    groups = {f"v{i}": f"g{member}" for i, member in enumerate(members)}
    chosen = parts_of_videos(counts, groups, parts)
    for name in set(groups.values()):
        assert len({chosen[video] for video in groups if groups[video] == name}) == 1


def material(count: int, subsets: Sequence[str] = ("",)) -> Material:
    videos = {
        f"rat{i % 4}-day{i}": VideoAnnotation(
            as_segments([(1.0, 2.0)]), ("rear",), subsets[i % len(subsets)]
        )
        for i in range(count)
    }
    files = {video: Path(f"{video}.mp4") for video in videos}
    return Material(files, Annotations(videos, ("rear",)), None, {v: f"{v}.mp4" for v in videos})


def each(data: Material) -> dict[str, str]:
    return {video: video for video in data.files}


def test_many_videos_are_split_once_and_few_take_turns() -> None:
    many = split(data := material(40), each(data), None)
    assert (many.test, many.folds) == (("test",), ())
    assert sum(part == "test" for part in many.subsets.values()) == 8
    few = split(data := material(7), each(data), None)
    assert few.test == ()
    assert few.folds == few.train == ("part1", "part2", "part3", "part4", "part5")
    three = split(data := material(3), each(data), None)
    assert len(three.folds) == 3


def test_many_videos_of_few_groups_take_turns(tmp_path: Path) -> None:
    data = material(40)
    groups = video_groups(data, tmp_path / "a.json", r"rat(\d)")
    assert set(groups.values()) == set("0123")
    chosen = split(data, groups, None)
    assert len(chosen.folds) == 4
    assert "4 groups are few" in chosen.told


def test_subsets_of_the_annotations_hold_where_they_say_what_tests() -> None:
    data = material(6, ("training", "test", "spare"))
    chosen = split(data, each(data), None)
    assert (chosen.test, chosen.train) == (("test",), ("spare", "training"))
    assert split(data, each(data), "spare").test == ("spare",)
    odd = material(6, ("monday", "tuesday"))
    chosen = split(odd, each(odd), None)
    assert "the subsets monday, tuesday are ignored" in chosen.told
    with pytest.raises(AttentadError, match="contradict each other"):
        split(data, dict.fromkeys(data.files, "one"), "test")


def test_groups_by_a_column_of_the_table(tmp_path: Path) -> None:
    data = material(3)
    table = tmp_path / "a.csv"
    rows = [f"{v}.mp4,1,2,rear,{'A' if i else 'B'}" for i, v in enumerate(data.files)]
    table.write_text("\n".join(["video,start,end,label,cage", *rows]))
    assert list(video_groups(data, table, "cage").values()) == ["B", "A", "A"]
    rows.append(f"{next(iter(data.files))}.mp4,3,4,rear,C")
    table.write_text("\n".join(["video,start,end,label,cage", *rows]))
    with pytest.raises(AttentadError, match="has cage C here and B above"):
        video_groups(data, table, "cage")


@pytest.mark.parametrize(
    ("example", "sentence"),
    [
        (Examples("rear", 3, 1), "3 examples of rear in training, 1 in test: too few to say."),
        (Examples("rear", 50, 4), "50 examples of rear in training, 4 in test: too few to say."),
        (Examples("rear", 0, 4), "no example of rear in training, 4 in test: it is never found."),
        (Examples("rear", 9, 0), "9 examples of rear in training, none in test: nothing can be "),
        (Examples("rear", 8, 8, True, 4), "8 examples of rear in all: too few to say."),
        (Examples("rear", 80, 80, True, 1), "all of 80 examples of rear are in one part: no model"),
        (Examples("rear", 10, 5), None),
        (Examples("rear", 15, 15, True, 5), None),
    ],
)
def test_what_is_said_of_few_examples(example: Examples, sentence: str | None) -> None:
    assert (example.doubt or "").startswith(sentence or "")
    assert (example.doubt is None) == (sentence is None)


def test_actions_that_overlap_another_class_are_counted() -> None:
    def count(*actions: tuple[float, float, str]) -> int:
        segments = as_segments([action[:2] for action in actions])
        return overlapped(VideoAnnotation(segments, tuple(label for *_, label in actions)))

    assert count((0, 10, "a"), (5, 15, "b"), (20, 30, "a")) == 2
    assert count((0, 10, "a"), (9.5, 15, "b")) == 0  # a slip of the hand
    assert count((0, 10, "a"), (5, 15, "a")) == 0
    assert count((0, 100, "a"), (5, 6, "b"), (7, 8, "b")) == 3
