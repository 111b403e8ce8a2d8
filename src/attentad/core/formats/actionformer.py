"""Result files of peers that are neither JSON nor a table of text: ActionFormer's pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from attentad.core.arrays import Floats
from attentad.core.errors import AttentadError
from attentad.core.files import read_bytes
from attentad.core.formats.detection_tables import (
    COLUMNS,
    DetectionTable,
    name_of_column,
    table_by_video,
)
from attentad.core.formats.safe_pickle import Column, columns_of_pickle
from attentad.core.segments import as_segments


def read_actionformer_table(path: Path) -> DetectionTable:
    """ActionFormer's `eval_results.pkl`, which TriDet and other heirs write too.

    A pickled dict of columns of N values: video-id (text), t-start and t-end (seconds), label
    (numbers as label_id in its annotations counts them, from 0, or names), score; the names of our
    CSV columns serve as well. It is read without running any of it (`safe_pickle`).

    Raises:
        AttentadError: the file is missing, holds more than such columns, or they do not fit.
    """
    columns = columns_of_pickle(read_bytes(path), path)
    advice = "ActionFormer's results are a dict of video-id, t-start, t-end, label and score"
    chosen = {column: columns[name_of_column(column, columns, path, advice)] for column in COLUMNS}
    sizes = {column: len(values) for column, values in chosen.items()}
    if len(set(sizes.values())) > 1:
        counts = ", ".join(f"{column} {size}" for column, size in sizes.items())
        raise AttentadError(f"{path} has columns that differ in length ({counts}); write it again.")
    start, end, scores = (
        _numbers(chosen[column], f"{path}: {column}") for column in ("start", "end", "score")
    )
    return table_by_video(
        _texts(chosen["video"], f"{path}: video"),
        as_segments(np.column_stack([start, end])),
        scores,
        _texts(chosen["label"], f"{path}: label"),
    )


def _numbers(values: Column, where: str) -> Floats:
    try:
        if isinstance(values, np.ndarray):
            if values.dtype.kind not in "iuf":
                raise TypeError
            return values.astype(np.float64)
        if not all(type(value) in (int, float) for value in values):
            raise TypeError
        return np.array(values, dtype=np.float64)
    except (TypeError, OverflowError):
        raise AttentadError(
            f"{where} must hold numbers and nothing else; write it again."
        ) from None


def _texts(values: Column, where: str) -> list[str]:
    try:
        # Text of code points that do not exist fails here.
        items = values.tolist() if isinstance(values, np.ndarray) else values
        # One video id, or class, stands for many detections.
        return [text if type(text) is str else _text(text) for text in items]
    except ValueError:
        raise AttentadError(f"{where} must hold text or whole numbers; write it again.") from None


def _text(value: Any) -> str:
    if type(value) is bytes:
        return value.decode()
    if type(value) is int or (type(value) is float and value.is_integer()):
        return str(int(value))
    raise ValueError(value)
