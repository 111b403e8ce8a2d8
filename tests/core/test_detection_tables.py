"""Tables of detections: CSV under peers' column names, THUMOS14 text, JSON beyond the standard."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError, as_segments, read_annotations, read_detections
from attentad.core.formats.detection_tables import read_csv_table, table_by_video
from attentad.core.notes import Note


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_grouping_agrees_with_a_loop(videos: list[str]) -> None:
    numbers = np.arange(len(videos), dtype=np.float64)
    segments = as_segments(np.stack([numbers, numbers + 1], axis=1))
    table = table_by_video(videos, segments, -numbers, [f"l{i}" for i in range(len(videos))])
    rows: dict[str, list[int]] = {}
    for row, video in enumerate(videos):
        rows.setdefault(video, []).append(row)
    assert list(table.sizes.items()) == [(video, len(items)) for video, items in rows.items()]
    order = [row for items in rows.values() for row in items]
    assert table.segments[:, 0].tolist() == order
    assert (-table.scores).tolist() == order
    assert table.labels == [f"l{row}" for row in order]


HEADERS = [
    "video,start,end,label,score",
    "video-id,t-start,t-end,label,score",
    " video_id, t_start, t_end, label, score",
]


@pytest.mark.parametrize("header", HEADERS)
def test_csv_under_each_name_of_its_columns(tmp_path: Path, header: str) -> None:
    path = tmp_path / "d.csv"
    path.write_text(header + '\nb,0,1.5,run,0.25\n\n"a, b",1,2,,3e-1\nb,4,5,7.0,1\n')
    found = read_detections(path, label_ids={7: "jump"})
    assert list(found.videos) == ["b", "a, b"]
    assert found.classes == ("action", "jump", "run")
    np.testing.assert_array_equal(found.videos["b"].segments, [[0, 1.5], [4, 5]])
    np.testing.assert_array_equal(found.videos["b"].scores, [0.25, 1])
    np.testing.assert_array_equal(found.videos["b"].labels, [2, 1])
    np.testing.assert_array_equal(found.videos["a, b"].labels, [0])


def test_a_pandas_table_with_its_index(tmp_path: Path) -> None:
    path = tmp_path / "d.csv.gz"
    path.write_bytes(gzip.compress(b",score,label,t-end,t-start,video-id\n0,0.5,3,2,1,v\n"))
    found = read_detections(path)
    assert found.classes == ("3",)
    np.testing.assert_array_equal(found.videos["v"].segments, [[1, 2]])


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "video": st.sampled_from(["v", "w,", 'q"', "ü"]),
                "start": st.floats(0, 10),
                "end": st.floats(10, 20),
                "label": st.sampled_from(["run", "long jump", ""]),
                "score": st.floats(allow_nan=False, allow_infinity=False),
                "other": st.sampled_from(["", "x", "a\nb"]),
            }
        ),
        max_size=6,
    )
)
@settings(deadline=None, max_examples=60)
def test_csv_agrees_with_row_by_row_reading(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["other", "score", "label", "end", "start", "video"])
    writer.writeheader()
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("csv") / "d.csv"
    path.write_bytes(text.getvalue().encode())
    table = read_csv_table(path)
    first = {row["video"]: i for i, row in reversed(list(enumerate(rows)))}
    ordered = sorted(rows, key=lambda row: first[row["video"]])
    assert [tuple(pair) for pair in table.segments] == [(r["start"], r["end"]) for r in ordered]
    assert table.scores.tolist() == [row["score"] for row in ordered]
    assert table.labels == [row["label"] or "action" for row in ordered]


def test_the_official_thumos14_text(tmp_path: Path) -> None:
    path = tmp_path / "det.txt"
    path.write_text(
        "% video start end class score\n"
        "video_test_0000004 12.3 15.6 7 0.87\n"
        "video_test_0000006\t0.0  33.4\t9 1.2e-05 \r\n"
        "\n"
        "video_test_0000004 1 2 07 .5\n"
    )
    found = read_detections(path, ["Run", "Jump"], label_ids={7: "Jump", 8: "Run"})
    assert list(found.videos) == ["video_test_0000004", "video_test_0000006"]
    assert found.classes == ("Run", "Jump", "9")
    items = found.videos["video_test_0000004"]
    np.testing.assert_array_equal(items.segments, [[12.3, 15.6], [1, 2]])
    np.testing.assert_array_equal(items.scores, [0.87, 0.5])
    np.testing.assert_array_equal(items.labels, [1, 1])
    np.testing.assert_array_equal(found.videos["video_test_0000006"].labels, [2])
    assert read_detections(path).classes == ("7", "9")
    with pytest.raises(AttentadError, match=r"det\.txt is THUMOS14 detection text"):
        read_detections(path, label_ids={0: "Run", 7: "Jump"})


def test_thumos14_text_backwards_is_taken_as_the_toolkit_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "det.txt"
    path.write_text("v 1 2 7 0.5\n# v 1 2 7 1\nv 29.5 15 7 0.4\nv 3 3 7 0.2\nw 9 8 7 0.1\n")
    with pytest.warns(Note, match="2 of 4 detections end before they start, the first in line 3;"):
        found = read_detections(path)
    assert found.videos["v"].segments.tolist() == [[1, 2], [15, 29.5], [3, 3]]
    assert found.videos["w"].segments.tolist() == [[8, 9]]
    path.write_text("v inf 15 7 0.4\n")
    with pytest.raises(AttentadError, match="line 1: video v: start inf and end 15"):
        read_detections(path)


@pytest.mark.parametrize("kept", [False, True])
def test_detections_backwards_are_kept_for_an_evaluation_only(tmp_path: Path, kept: bool) -> None:
    text, table = tmp_path / "d.txt", tmp_path / "d.csv"
    submission = tmp_path / "d.json"
    text.write_text("v 5 2 7 0.5\nw 1 4 7 0.4\nv 0 9 7 0.3\n")
    table.write_text("video,start,end,label,score\nw,1,4,run,.4\n\nv,5,2,run,.5\nv,0,9,run,.3\n")
    segments = {"w": [[1, 4]], "v": [[5, 2], [0, 9]]}
    items = {
        video: [{"segment": pair, "score": 1, "label": "run"} for pair in pairs]
        for video, pairs in segments.items()
    }
    submission.write_text(_results(**items))
    places = {text: "line 1", table: "line 4", submission: "video v"}
    for path, place in places.items():
        if kept:
            with pytest.warns(Note, match=f"1 of 3 detections end before they start.*in {place}"):
                found = read_detections(path, keep_reversed=True)
            assert found.videos["v"].segments.tolist() == [[5, 2], [0, 9]]
        elif path == text:
            with pytest.warns(Note, match="taken from the earlier to the later time"):
                assert read_detections(path).videos["v"].segments.tolist() == [[2, 5], [0, 9]]
        else:
            with pytest.raises(AttentadError, match=f"{place}.* ends at 2 s, before it starts at"):
                read_detections(path)
    table.write_text("video,start,end,label,score\nv,5,nan,run,.5\n")
    with pytest.raises(AttentadError, match=r"line 2: video v: start 5\.0 and end nan must be"):
        read_detections(table, keep_reversed=kept)


def _results(**videos: list[object]) -> str:
    return json.dumps({"results": videos})


def test_a_video_listed_twice_is_not_half_read(tmp_path: Path) -> None:
    item = '{"segment": [0, 1], "score": 1, "label": "run"}'
    path = tmp_path / "d.json"
    path.write_text(f'{{"results": {{"v": [{item}], "w": [], "v": [{item}, {item}]}}}}')
    with pytest.raises(AttentadError, match=r"d\.json has 'v' twice"):
        read_detections(path)
    path.write_text(f'{{"results": {{"v": [{item}]}}, "results": {{}}}}')
    with pytest.raises(AttentadError, match=r"d\.json has 'results' twice"):
        read_detections(path)
    path = tmp_path / "a.json"
    instance = '{"label": "run", "segment": [0, 1]}'
    entry = f'{{"annotations": [{instance}]}}'
    path.write_text(f'{{"database": {{"v": {entry}, "v": {entry}}}}}')
    with pytest.raises(AttentadError, match=r"a\.json has 'v' twice"):
        read_annotations(path)


def test_other_segments_in_the_file_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    item = {"segment": [0, 1], "score": 1, "label": "run", "segment(frames)": [0, 25]}
    meta = {"units": {"segment": "seconds"}}
    path.write_text(json.dumps({"results": {"v": [item]}, "external_data": meta}))
    assert len(read_detections(path).videos["v"]) == 1


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_python_writes_for_no_number_is_found(tmp_path: Path, value: str) -> None:
    path = tmp_path / "d.json"
    item = f'{{"segment": [0, 1], "score": {value}, "label": "run"}}'
    path.write_text(f'{{"results": {{"fine": [], "v": [{item}]}}}}')
    with pytest.raises(AttentadError, match="video v has a score that is not finite"):
        read_detections(path)
    path.write_text(f'{{"results": {{"NaN": {value}}}')
    with pytest.raises(AttentadError, match=r"d\.json is not valid JSON"):
        read_detections(path)
    path = tmp_path / "a.json"
    path.write_text(
        f'{{"database": {{"v": {{"annotations": [{{"label": "run", "segment": [0, {value}]}}]}}}}}}'
    )
    with pytest.raises(AttentadError, match=r"video v: start 0\.0 and end"):
        read_annotations(path)


def test_names_that_tell_no_format(tmp_path: Path) -> None:
    for name in ("d.mat", "d", "d.npz", "d.gz", "pkl"):
        (tmp_path / name).write_text("{}")
        with pytest.raises(AttentadError, match=r"tells no detection format; let it end in .json"):
            read_detections(tmp_path / name)
    path = tmp_path / "D.JSON"
    path.write_text(_results(v=[]))
    assert list(read_detections(path).videos) == ["v"]
