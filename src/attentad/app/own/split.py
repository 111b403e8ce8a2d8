"""Which of the user's videos train and which test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attentad.app.own.material import Material
from attentad.core import Annotations, AttentadError
from attentad.core.formats.csv_rows import read_csv_rows
from attentad.core.wording import first_few, number_of
from attentad.data.splits import group_names, parts_of_videos

PARTS: Final = 5
SPLIT_FROM: Final = 20  # groups; of fewer, a test part would be too small to say anything
TEST_NAMES: Final = ("test", "testing")
TRAINING, TEST = "training", "test"


@dataclass(frozen=True)
class Split:
    """Who trains and who tests.

    Args:
        subsets: video → its part of the data.
        test: subsets that are scored by the model that does not train on them; none where `folds`
            take turns, or there is nothing to test on.
        folds: subsets that each test a model trained on the others; the model that is kept trains
            on all.
        told: it in a sentence.
    """

    subsets: Mapping[str, str]
    test: tuple[str, ...]
    folds: tuple[str, ...]
    told: str

    @property
    def train(self) -> tuple[str, ...]:
        """Subsets that the model trains on that is kept."""
        return tuple(sorted(set(self.subsets.values()) - set(self.test)))


def split(material: Material, groups: Mapping[str, str], test: str | None) -> Split:
    """By the annotations' subsets where they say it; else by whole groups of videos.

    Args:
        material: of the videos.
        groups: video → its group, see `video_groups`.
        test: the subsets to test on, comma-separated; None for those that are named so, if any.

    Raises:
        AttentadError: there is no such subset, or nothing is left to train on.
    """
    own = {video: item.subset for video, item in material.annotations.videos.items()}
    named = _test_subsets(material.annotations, test)
    if named:
        return _by_subsets(own, named, groups)
    ignored = sorted(set(own.values()) - {""})
    hint = f" (the subsets {', '.join(ignored)} are ignored; --test names one)" if ignored else ""
    counts = material.counts(own)
    busy = {groups[video] for video in own if counts[video].any()}
    kind = "group" if len(set(groups.values())) < len(groups) else "video"
    if len(busy) < 2:
        told = (
            f"There are actions in one {kind} only: it trains, and nothing is left to test on, so "
            "that nobody knows how good the model is. Annotate another."
        )
        return Split(dict.fromkeys(own, TRAINING), (), (), told)
    number = len(group_names(groups, own))
    if number < SPLIT_FROM:
        parts = min(PARTS, len(busy))
        names = [f"part{i + 1}" for i in range(parts)]
        told = (
            f"{number} {kind}s are few: they are split in {parts}, and each part tests a model "
            f"that trained on the others; the model that is kept trains on all{hint}."
        )
        chosen = parts_of_videos(counts, groups, parts)
        return Split({video: names[part] for video, part in chosen.items()}, (), tuple(names), told)
    chosen = parts_of_videos(counts, groups, PARTS)
    subsets = {video: TRAINING if part else TEST for video, part in chosen.items()}
    sizes = Counter(subsets.values())
    told = f"A fifth of the {number} {kind}s test: {_sizes(sizes[TRAINING], sizes[TEST])}{hint}."
    return Split(subsets, (TEST,), (), told)


def video_groups(material: Material, annotations: Path, group: str | None) -> dict[str, str]:
    """Video → name of the group that must not be split, such as an animal or a session.

    Args:
        material: of the videos.
        annotations: their file.
        group: `subset`, a column of the annotations' table, or a regular expression, whose first
            group in parentheses, or else all that it matches of a video's name, names the group.
            None for each video by itself.

    Raises:
        AttentadError: it is neither column nor regular expression, a video has two groups, or none.
    """
    videos = material.annotations.videos
    if group is None:
        return {video: video for video in videos}
    if group == "subset":
        found = {video: item.subset for video, item in videos.items()}
    else:
        column = _column(annotations, group)
        found = (
            {video: column.get(material.annotated_as[video], "") for video in videos}
            if column is not None
            else _matched(list(videos), group)
        )
    without = [video for video, name in found.items() if not name]
    if without:
        raise AttentadError(
            f"--group {group} gives no group to {number_of(without, 'video')}: "
            f"{first_few(without)}; name a column of {annotations.name} that has one for each, or "
            "a regular expression that each video's name matches."
        )
    return found


def _test_subsets(annotations: Annotations, test: str | None) -> tuple[str, ...]:
    if test is not None:
        annotations.subset(test)  # says which there are
        return tuple(name.strip() for name in test.split(","))
    subsets = {item.subset for item in annotations.videos.values()}
    usual = [name for name in subsets if name.lower() in TEST_NAMES]
    return tuple(usual) if len(subsets) > 1 else ()


def _by_subsets(own: Mapping[str, str], named: tuple[str, ...], groups: Mapping[str, str]) -> Split:
    train = [video for video in own if own[video] not in named]
    if not train:
        raise AttentadError(
            f"all videos are in {', '.join(named)}, which tests; name another subset with --test."
        )
    torn = {groups[video] for video in train} & {groups[v] for v in own if own[v] in named}
    if torn:
        raise AttentadError(
            f"--group and --test contradict each other: of {first_few(sorted(torn))} some videos "
            "train and some test; leave one of the two out."
        )
    told = (
        f"As the annotations say, subset {', '.join(named)} tests: "
        f"{_sizes(len(train), len(own) - len(train))}."
    )
    return Split(dict(own), named, (), told)


def _sizes(train: int, test: int) -> str:
    return f"{train} videos train, {test} test"


def _column(annotations: Path, name: str) -> dict[str, str] | None:
    """Annotated id → what a table has in that column; None without such a table or column."""
    suffix = annotations.name.lower().removesuffix(".gz")
    if annotations.is_dir() or not suffix.endswith((".csv", ".tsv")):
        return None
    rows = read_csv_rows(annotations, ("video",))
    if not rows or name not in rows[0][1]:
        return None
    told: dict[str, str] = {}
    for where, row in rows:
        video, value = row["video"].strip(), row[name].strip()
        if value and told.setdefault(video, value) != value:
            raise AttentadError(
                f"{where}: video {video} has {name} {value} here and {told[video]} above; give one."
            )
    return told


def _matched(videos: Sequence[str], pattern: str) -> dict[str, str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise AttentadError(
            f"--group {pattern} is neither a column of the annotations nor a regular expression "
            f"({error})."
        ) from None
    found = {video: compiled.search(video) for video in videos}
    return {
        video: "" if match is None else match[1 if compiled.groups else 0] or ""
        for video, match in found.items()
    }
