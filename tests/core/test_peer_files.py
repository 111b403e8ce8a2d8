"""ActionFormer's result files, as its code writes them, in each protocol."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import align_videos, read_annotations, read_detections

rows_of_results = st.lists(
    st.tuples(
        st.sampled_from(["video_test_0000004", "v_abc", "ü"]),
        st.floats(0, 100, width=32),
        st.floats(0, 10, width=32),
        st.integers(0, 3),
        st.floats(0, 1, width=32),
    ),
    max_size=8,
)


def results(rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Columns of the types that ActionFormer's evaluation leaves: float32 times, int64 labels."""
    videos, starts, lengths, labels, scores = zip(*rows, strict=True) if rows else ((),) * 5
    start = np.array(starts, dtype=np.float32)
    return {
        "video-id": list(videos),
        "t-start": start,
        "t-end": start + np.array(lengths, dtype=np.float32),
        "label": np.array(labels, dtype=np.int64),
        "score": np.array(scores, dtype=np.float32),
    }


@given(rows_of_results, st.integers(0, 5), st.sampled_from(["pkl", "pickle", "pkl.gz"]))
@settings(deadline=None, max_examples=60)
def test_reads_every_row(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[Any, ...]],
    protocol: int,
    suffix: str,
) -> None:
    columns = results(rows)
    content = pickle.dumps(columns, protocol)
    path = tmp_path_factory.mktemp("pickle") / f"eval_results.{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    ids = {0: "Diving", 1: "CliffDiving", 2: "HighJump"}
    found = read_detections(path, ["HighJump"], label_ids=ids)
    expected: dict[str, list[tuple[float, float, float, str]]] = {}
    for video, start, end, label, score in zip(*columns.values(), strict=True):
        name = ids.get(int(label), str(label))
        expected.setdefault(video, []).append((float(start), float(end), float(score), name))
    assert list(found.videos) == list(expected)
    for video, wanted in expected.items():
        items = found.videos[video]
        names = [found.classes[label] for label in items.labels]
        mine = zip(*items.segments.T.tolist(), items.scores.tolist(), names, strict=True)
        assert list(mine) == wanted


@pytest.mark.parametrize("as_lists", [True, False])
def test_columns_of_other_kinds(tmp_path: Path, as_lists: bool) -> None:
    columns: dict[str, Any] = {
        "video": np.array(["b", "a", "b"]),
        "start": np.array([0, 1, 2]),
        "end": np.array([1, 2.5, 3]),
        "label": np.array(["run", "jump", "run"]),
        "score": np.array([0.5, 1, 0.25], dtype=np.float16),
        "epoch": 3,
    }
    if as_lists:
        columns = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in columns.items()}
    path = tmp_path / "d.pkl"
    path.write_bytes(pickle.dumps(columns))
    found = read_detections(path)
    assert list(found.videos) == ["b", "a"]
    assert found.classes == ("jump", "run")
    np.testing.assert_array_equal(found.videos["b"].segments, [[0, 1], [2, 3]])
    np.testing.assert_array_equal(found.videos["b"].scores, [0.5, 0.25])
    np.testing.assert_array_equal(found.videos["b"].labels, [1, 1])


def test_from_result_file_to_annotated_names(tmp_path: Path) -> None:
    """ActionFormer on ActivityNet: its ids carry `v_`, its labels are label_id."""
    rows = [("Making tea", 0), ("Long jump", 1)]
    entry = {
        "subset": "validation",
        "annotations": [{"label": n, "label_id": i, "segment": [1, 2]} for n, i in rows],
    }
    (tmp_path / "a.json").write_text(json.dumps({"database": {"abc": entry}}))
    found = results([("v_abc", 1.0, 1.0, 1, 0.5), ("v_xyz", 0.0, 1.0, 7, 0.25)])
    (tmp_path / "eval_results.pkl").write_bytes(pickle.dumps(found))
    annotations = read_annotations(tmp_path / "a.json")
    detections = read_detections(
        tmp_path / "eval_results.pkl", annotations.classes, label_ids=annotations.class_ids
    )
    detections, renamed = align_videos(detections, annotations.videos)
    assert renamed == {"v_abc": "abc"}
    assert detections.classes == ("Long jump", "Making tea", "7")
    assert detections.videos["abc"].labels.tolist() == [0]
    assert detections.videos["v_xyz"].labels.tolist() == [2]


@pytest.mark.parametrize("protocol", [2, 4])
def test_video_ids_may_be_byte_strings(tmp_path: Path, protocol: int) -> None:
    columns = results([("v", 0.0, 1.0, 2, 0.5)]) | {"video-id": [b"caf\xc3\xa9"]}
    (tmp_path / "d.pkl").write_bytes(pickle.dumps(columns, protocol))
    assert list(read_detections(tmp_path / "d.pkl").videos) == ["café"]
