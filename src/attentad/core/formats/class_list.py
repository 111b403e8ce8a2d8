"""Class numbers and class names: the lists that tie them, and labels that are numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from attentad.core.errors import AttentadError
from attentad.core.files import read_text


def read_classes(path: str | Path) -> dict[int, str]:
    """Read a class list: number → name, in the order of the file.

    Lines read `number name`, as THUMOS14's `detclasslist.txt` (`7 BaseballPitch`), or `name`
    alone, which are numbered from 0 in the order of the lines, as detectors number their outputs.
    A name may hold blanks; empty lines are skipped.

    Raises:
        AttentadError: the file is missing or empty, has numbers on some of its lines only, or
            gives a number or a name twice.
    """
    path = Path(path)
    text = read_text(path)
    lines = [(place, line.strip()) for place, line in enumerate(text.splitlines(), start=1)]
    lines = [(place, line) for place, line in lines if line]
    if not lines:
        raise AttentadError(f"{path} is empty; a class list has a line `number name` per class.")
    split = [_numbered(line) for _, line in lines]
    without = [place for (place, _), entry in zip(lines, split, strict=True) if entry is None]
    if 0 < len(without) < len(lines):
        raise AttentadError(
            f"{path}, line {without[0]} has no number before the class name, while other lines "
            "have; number all of them or none."
        )
    names: dict[int, str] = {}
    seen: set[str] = set()
    for row, ((place, line), entry) in enumerate(zip(lines, split, strict=True)):
        number, name = entry or (row, line)
        if number in names:
            raise AttentadError(
                f"{path}, line {place}: the number {number} is {names[number]!r} already; give "
                f"{name!r} another."
            )
        if name in seen:
            raise AttentadError(f"{path}, line {place}: {name!r} is listed twice; remove one.")
        names[number] = name
        seen.add(name)
    return names


def named_labels(
    labels: list[str],
    classes: Collection[str],
    label_ids: Mapping[int, str],
    where: str,
    *,
    from_one: bool = False,
) -> list[str]:
    """Labels with names for numbers: a label that is no class name but a listed number.

    Args:
        labels: names, or numbers as text.
        classes: class names; a label among them stays.
        label_ids: number → name; a number that is not in it stays, for an evaluation to report.
        where: the file, for errors.
        from_one: the format numbers its classes from 1 (THUMOS14's text).

    Raises:
        AttentadError: the numbers of the file and of the list are shifted against each other.
    """
    if not label_ids:
        return labels
    unknown = set(labels).difference(classes)
    numbers = {text: number for text in unknown if (number := class_number(text)) is not None}
    if not numbers:
        return labels
    _check_not_shifted(frozenset(numbers.values()), label_ids, where, from_one)
    names = {text: label_ids.get(number, text) for text, number in numbers.items()}
    return [names.get(text, text) for text in labels]


def _check_not_shifted(
    numbers: Collection[int], label_ids: Mapping[int, str], where: str, from_one: bool
) -> None:
    """A list from 0 for a file from 1, or the reverse, gives each class its neighbour's name."""
    if from_one and 0 in label_ids:
        raise AttentadError(
            f"{where} is THUMOS14 detection text, which numbers its classes from 1, but the class "
            f"numbers given start at 0 ({label_ids[0]}); give a class list of lines `number name`."
        )
    if not from_one and 0 in numbers and 0 not in label_ids and max(label_ids) not in numbers:
        raise AttentadError(
            f"{where} numbers its classes from 0, but the class numbers given start at "
            f"{min(label_ids)} ({label_ids[min(label_ids)]}); give the list of the detector, which "
            "for ActionFormer is label_id in its annotations."
        )


def class_number(text: str) -> int | None:
    """The whole number that a label spells, or None; tables with gaps write 7 as 7.0."""
    digits = text.removesuffix(".0")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def _numbered(line: str) -> tuple[int, str] | None:
    text, _, name = line.replace("\t", " ").partition(" ")
    number = class_number(text)
    return None if number is None or not name.strip() else (number, name.strip())
