"""Class scores of whole videos by other people's classifiers, in the order of a model's classes.

What `suppression.label_by_video` takes (spec csa §6): from an archive of one's own, UntrimmedNet's
table for THUMOS14, and files laid out as CUHK's for ActivityNet.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attentad.core import AttentadError
from attentad.core.files import read_json
from attentad.core.formats.npy import read_only_array
from attentad.core.names import look_up
from attentad.data.features import open_features
from attentad.recipes.load import DetectionRecipe

# Video id → (K,) scores in the order of the model's classes; None for a video without any. An
# archive of one's own may name videos with their suffix, see `look_up`.
VideoScores = Callable[[str], NDArray[np.floating] | None]

# The 20 classes with temporal annotations among THUMOS14's 101, whose numbers begin at 1.
THUMOS14_NUMBERS: Final = {
    **{"BaseballPitch": 7, "BasketballDunk": 9, "Billiards": 12, "CleanAndJerk": 21},
    **{"CliffDiving": 22, "CricketBowling": 23, "CricketShot": 24, "Diving": 26},
    **{"FrisbeeCatch": 31, "GolfSwing": 33, "HammerThrow": 36, "HighJump": 40},
    **{"JavelinThrow": 45, "LongJump": 51, "PoleVault": 68, "Shotput": 79},
    **{"SoccerPenalty": 85, "TennisSwing": 92, "ThrowDiscus": 93, "VolleyballSpiking": 97},
}
_UNTRIMMEDNET_CLASSES = 101


def video_scores(recipe: DetectionRecipe, classes: tuple[str, ...]) -> VideoScores:
    """Open the file of class scores that the recipe's `labels` name, in the order of `classes`.

    The file lies below `data.root` unless absolute; that of a loaded model lies beside the model.
    Where labels come from R, no video has scores.

    Raises:
        AttentadError: the file is not named, missing or malformed, or its classes are not the
            model's.
    """
    labels = recipe.labels
    if labels.by_snippets:
        return lambda video: None
    if labels.file is None:
        raise AttentadError(
            f"labels.source is {labels.source}, but labels.file is not set; name the file of class "
            "scores."
        )
    path = recipe.data.root / labels.file
    if not (path.is_file() or path.is_dir() or "*" in path.name):
        raise AttentadError(
            f"{path} does not exist or is no plain file; put the class scores of whole videos "
            "there (labels.file, which a trained model looks for in its own folder)."
        )
    if labels.source == "cuhk":
        return partial(scores_of, read_cuhk_scores(path, classes))
    if labels.source == "untrimmednet":
        return _untrimmednet(path, classes)
    return look_up(_own_scores(path, len(classes)))


def no_class_scores(video: str) -> AttentadError:
    """What to say where `video_scores` has none of a video."""
    return AttentadError(
        f"the class-score file has no row for video {video}; add one or label by snippets."
    )


def _own_scores(path: Path, classes: int) -> dict[str, NDArray[np.float32]]:
    """An archive with one array of `classes` scores per video."""
    store = open_features(path)
    scores = {}
    for video in store.readers:
        scores[video] = store.numbers(video).reshape(-1)
        if len(scores[video]) != classes or not np.isfinite(scores[video]).all():
            raise AttentadError(
                f"{path}: video {video} needs {classes} finite class scores, one per class."
            )
    return scores


def read_untrimmednet(path: str | Path) -> NDArray[np.float64]:
    """Read UntrimmedNet's table of THUMOS14 test videos: `.npy`, or `.npz` with one array.

    Returns:
        (videos, 101): row = number of the video − 1, column = THUMOS14 class number − 1.

    Raises:
        AttentadError: the file is missing or damaged, holds no or several arrays, or has another
            shape.
    """
    return _checked_table(read_only_array(path), str(path))


def untrimmednet_scores(table: ArrayLike, video: str) -> NDArray[np.float64]:
    """UntrimmedNet's scores (20,) of one THUMOS14 video, in the order of `THUMOS14_NUMBERS`.

    Args:
        table: (videos, 101), see `read_untrimmednet`.
        video: an id that ends in the video's number, such as video_test_0000004.

    Raises:
        AttentadError: the id has no number of four digits, or the table no such row.
    """
    rows = _checked_table(table, "UntrimmedNet's table")
    number = video[-4:]
    if not (len(number) == 4 and number.isascii() and number.isdigit()):
        raise AttentadError(
            f"video {video!r} does not end in four digits; UntrimmedNet's scores are found by the "
            "number of a THUMOS14 video."
        )
    row = int(number) - 1
    if not 0 <= row < len(rows):
        raise AttentadError(
            f"UntrimmedNet's table has no row for video {video}: it ends at number {len(rows)}."
        )
    scores: NDArray[np.float64] = rows[row, np.array([*THUMOS14_NUMBERS.values()]) - 1]
    return scores


def read_cuhk_scores(path: str | Path, classes: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Read video-level scores laid out as CUHK's for ActivityNet, video id → (K,).

    A JSON object: `results`, video id → one score per class (or a list of one such list), and
    `class` (or `classes`), the class names in that order. Ids lose a leading `v_`.

    Args:
        path: `.json` or `.json.gz`.
        classes: the K classes wanted, in the order wanted. A file that names no classes must have
            K scores per video, and is taken to have them in this order.

    Raises:
        AttentadError: the file is missing or malformed, lacks a class, or a video's scores are
            not one finite number per class.
    """
    content = read_json(path)
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise AttentadError(
            f'{path} is not a file of video scores: it needs a "results" object of video id → '
            "list of scores."
        )
    names = content.get("class", content.get("classes"))
    columns = np.arange(len(classes)) if names is None else _columns(names, classes, path)
    width = len(classes) if names is None else len(names)
    return {
        video.removeprefix("v_"): _row(values, width, video, path)[columns]
        for video, values in results.items()
    }


def scores_of(scores: Mapping[str, NDArray[np.float64]], video: str) -> NDArray[np.float64]:
    """The scores of one video, whose id may have a leading `v_` that the scores' ids lack.

    Raises:
        AttentadError: there are none.
    """
    for name in (video, video.removeprefix("v_")):
        if name in scores:
            return scores[name]
    raise AttentadError(f"the file of video scores has none for video {video}; add them.")


def _untrimmednet(path: Path, classes: tuple[str, ...]) -> VideoScores:
    foreign = [name for name in classes if name not in THUMOS14_NUMBERS]
    if foreign:
        raise AttentadError(
            "labels.source is untrimmednet, which scores THUMOS14's 20 classes, and "
            f"{foreign[0]!r} is none of them; label by snippets or by a file of your own."
        )
    table = read_untrimmednet(path)
    columns = [[*THUMOS14_NUMBERS].index(name) for name in classes]
    return lambda video: untrimmednet_scores(table, video)[columns]


def _checked_table(table: ArrayLike, what: str) -> NDArray[np.float64]:
    rows = np.asarray(table)
    if rows.ndim != 2 or rows.shape[1] != _UNTRIMMEDNET_CLASSES or rows.dtype.kind not in "fiu":
        raise AttentadError(
            f"{what} must be numbers of shape (videos, {_UNTRIMMEDNET_CLASSES}), not {rows.dtype} "
            f"of shape {rows.shape}."
        )
    return rows.astype(np.float64, copy=False)


def _columns(names: Any, classes: Sequence[str], path: str | Path) -> NDArray[np.int64]:
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise AttentadError(f'{path}: "class" must be a list of names.')
    index = {name: column for column, name in enumerate(names)}
    if missing := [name for name in classes if name not in index]:
        raise AttentadError(f"{path} has no scores for class {missing[0]!r}; correct the name.")
    return np.array([index[name] for name in classes], dtype=np.int64)


def _row(values: Any, width: int, video: str, path: str | Path) -> NDArray[np.float64]:
    row = np.zeros(0)
    with contextlib.suppress(TypeError, ValueError):
        row = np.asarray(values, dtype=np.float64)
    if row.ndim == 2 and len(row) == 1:
        row = row[0]
    if row.shape != (width,) or not np.isfinite(row).all():
        raise AttentadError(f"{path}: video {video} needs {width} finite scores, one per class.")
    return row
