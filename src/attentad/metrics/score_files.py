"""Files of recognition scores: one row per clip or video, one column per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attentad.core import AttentadError
from attentad.core.arrays import Bools, Floats, Ints
from attentad.core.formats.csv_rows import read_csv_lines
from attentad.core.formats.npy import npz_names, read_npz_array
from attentad.core.wording import first_few

# Between the class names of a clip that has several.
LABEL_SEPARATOR = ";"

_KEYS = ("clip", "video")
_ARRAYS = ("scores", "labels", "classes", "clips", "split")


@dataclass(frozen=True)
class ScoreTable:
    """Scores and true labels of N clips and K classes.

    Args:
        clips: N ids; row numbers where the file has none.
        scores: (N, K) float64, larger is surer.
        labels: (N,) int64 class indices; or (N, K) bool where clips have several classes or none.
        classes: K names.
        splits: N names of the split that a row was tested in; None where the file has none.
    """

    clips: tuple[str, ...]
    scores: Floats
    labels: Ints | Bools
    classes: tuple[str, ...]
    splits: tuple[str, ...] | None

    @property
    def multi_label(self) -> bool:
        """Whether `labels` is (N, K)."""
        return self.labels.ndim == 2

    def multi_hot(self) -> Bools:
        """The labels as (N, K) bool in either case."""
        if self.multi_label:
            return self.labels.astype(bool)
        return self.labels[:, None] == np.arange(len(self.classes))


def read_scores(path: str | Path) -> ScoreTable:
    """Read scores: `.npz` when the name ends so, else CSV (also `.csv.gz`).

    CSV: a header `clip,label,CLASS,CLASS,…` (`video` for `clip`, and a column `split`, are
    understood), then a row per clip. A label is a class name or the index of a class column; in
    a file where any label holds a semicolon, as `a;b`, clips may have several classes or none.

    npz: `scores` (N, K); `labels`, (N,) indices or names or (N, K) of 0 and 1; and, if given,
    `classes` (K,), `split` (N,) and `clips` (N,). Nothing is unpickled.

    Raises:
        AttentadError: the file is missing, malformed or empty, a score is not a number, or a
            label is no class.
    """
    path = Path(path)
    return _read_npz(path) if path.suffix.lower() == ".npz" else _read_csv(path)


def _read_csv(path: Path) -> ScoreTable:
    stripped = [(line, [field.strip() for field in row]) for line, row in read_csv_lines(path)]
    filled = [(line, row) for line, row in stripped if any(row)]
    if not filled:
        raise AttentadError(f"{path} is empty; its first line must name clip, label and classes.")
    (_, header), *rows = filled
    key = next((name for name in _KEYS if name in header), None)
    if key is None or "label" not in header:
        raise AttentadError(
            f"{path} lacks the column {'label' if key else 'clip'!r}; its first line must read "
            "clip,label and then the names of the classes."
        )
    columns = [i for i, name in enumerate(header) if name not in (key, "label", "split")]
    classes = tuple(header[i] for i in columns)
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise AttentadError(f"{path} has the column {twice[0]!r} twice; name each class once.")
    if not classes or not rows:
        missing = "class columns after clip and label" if rows else "clips below its first line"
        raise AttentadError(f"{path} has no {missing}, so there is nothing to score.")
    for number, row in rows:
        if len(row) != len(header):
            raise AttentadError(
                f"{path}, line {number} has {len(row)} fields, but the first line names "
                f"{len(header)} columns."
            )
    scores = np.empty((len(rows), len(columns)))
    for place, (number, row) in enumerate(rows):
        try:
            scores[place] = [float(row[i]) for i in columns]
        except ValueError as error:
            raise AttentadError(f"{path}, line {number}: a score is no number ({error}).") from None
    # Column → its texts, one per row.
    texts = dict(zip(header, zip(*(row for _, row in rows), strict=True), strict=True))
    _check_numbers(path, scores, texts[key])
    places = [f"{path}, line {number}" for number, _ in rows]
    labels = _labels_of_texts(texts["label"], classes, places)
    return ScoreTable(texts[key], scores, labels, classes, texts.get("split"))


def _read_npz(path: Path) -> ScoreTable:
    arrays = _npz_arrays(path)
    scores = arrays["scores"]
    if scores.ndim != 2 or not scores.size or scores.dtype.kind not in "fiub":
        raise AttentadError(
            f"{path}: `scores` must be numbers with a row per clip and a column per class, not "
            f"{scores.dtype} of shape {scores.shape}."
        )
    rows, count = scores.shape
    classes = _npz_names(path, arrays, "classes", count) or tuple(map(str, range(count)))
    clips = _npz_names(path, arrays, "clips", rows) or tuple(map(str, range(rows)))
    splits = _npz_names(path, arrays, "split", rows)
    scores = scores.astype(np.float64)
    _check_numbers(path, scores, clips)
    return ScoreTable(
        clips, scores, _npz_labels(path, arrays["labels"], classes, rows), classes, splits
    )


def _npz_arrays(path: Path) -> dict[str, NDArray]:
    names = npz_names(path)
    for key in ("scores", "labels"):
        if key not in names:
            raise AttentadError(
                f"{path} lacks the array `{key}`; it holds {first_few(names, 8) or 'nothing'}."
            )
    return {key: read_npz_array(path, key) for key in names if key in _ARRAYS}


def _npz_names(
    path: Path, arrays: dict[str, NDArray], key: str, count: int
) -> tuple[str, ...] | None:
    if key not in arrays:
        return None
    if arrays[key].shape != (count,):
        raise AttentadError(
            f"{path}: `{key}` must have shape ({count},) to fit `scores`, not {arrays[key].shape}."
        )
    return tuple(map(str, arrays[key].tolist()))


def _npz_labels(path: Path, labels: NDArray, classes: tuple[str, ...], rows: int) -> Ints | Bools:
    if labels.shape == (rows, len(classes)) and labels.dtype.kind in "biuf":
        if not np.isin(labels, (0, 1)).all():
            raise AttentadError(f"{path}: `labels` with a column per class must be 0 or 1.")
        return labels.astype(bool)
    if labels.shape != (rows,) or labels.dtype.kind not in "iuU":
        raise AttentadError(
            f"{path}: `labels` must be a class index or name per row of `scores`, or a 0 or 1 "
            f"per row and class, not {labels.dtype} of shape {labels.shape}."
        )
    texts = list(map(str, labels.tolist()))
    places = [f"{path}, row {row}" for row in range(rows)]
    # Numbers are indices, even where classes have numbers for names.
    names = classes if labels.dtype.kind == "U" else tuple(map(str, range(len(classes))))
    return _labels_of_texts(texts, names, places)


def _labels_of_texts(
    texts: Sequence[str], classes: tuple[str, ...], places: Sequence[str]
) -> Ints | Bools:
    """(N,) indices, or (N, K) bool if any text names several; `places` begin the errors."""
    index = {str(row): row for row in range(len(classes))}
    index |= {name: row for row, name in enumerate(classes)}

    def look_up(text: str, place: str) -> int:
        if text not in index:
            raise AttentadError(
                f"{place}: the label {text!r} is none of the {len(classes)} classes "
                f"({first_few(classes, 8)})."
            )
        return index[text]

    if not any(LABEL_SEPARATOR in text for text in set(texts) - set(classes)):
        indices = [look_up(text, place) for text, place in zip(texts, places, strict=True)]
        return np.array(indices, dtype=np.int64)
    several = np.zeros((len(texts), len(classes)), dtype=bool)
    for row, (text, place) in enumerate(zip(texts, places, strict=True)):
        parts = [text] if text in index else text.split(LABEL_SEPARATOR)
        for part in parts:
            if part.strip():
                several[row, look_up(part.strip(), place)] = True
    return several


def _check_numbers(path: Path, scores: Floats, clips: tuple[str, ...]) -> None:
    broken = np.isnan(scores).any(axis=1)
    if broken.any():
        clip = clips[int(np.argmax(broken))]
        raise AttentadError(f"{path}: clip {clip} has a score that is NaN; correct it.")
