"""Evaluation of files: thresholds as typed, the result as written, no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.core import AttentadError
from attentad.metrics.evaluate import evaluate_files
from attentad.metrics.thresholds import parse_tiou, tiou_key
from attentad.report.result_tables import class_table, notes, print_result, result_table

# numpy.linspace(.5, .95, 10), as ActivityNet's evaluation has it.
OFFICIAL = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.8999999999999999, 0.95)
DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.3:0.7:0.1", (0.3, 0.39999999999999997, 0.5, 0.6, 0.7)),
        ("0.1:0.7:0.1", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
        ("0.5:0.95:0.05", OFFICIAL),
        ("0.3:0.75:0.1", (0.3, 0.39999999999999997, 0.5, 0.6, 0.7)),
        (".3 : .7 : .25", (0.3, 0.55)),
        ("0.5:0.5:0.1", (0.5,)),
        ("0.5", (0.5,)),
        ("0.5, 0.75,0.95", (0.5, 0.75, 0.95)),
        ([0.2, 1], (0.2, 1.0)),
    ],
)
def test_thresholds_as_typed(text: str | list[float], expected: tuple[float, ...]) -> None:
    assert parse_tiou(text) == expected  # equal to the last bit


@given(st.integers(1, 100), st.integers(0, 99), st.integers(1, 30))
@settings(deadline=None, max_examples=100)
def test_ranges_have_both_ends_and_the_spacing_asked_for(start: int, more: int, step: int) -> None:
    stop = min(100, start + more)
    text = f"{start / 100}:{stop / 100}:{step / 100}"
    decimals = tuple(n / 100 for n in range(start, stop + 1, step))
    assert parse_tiou(text, "decimal") == decimals  # no dust
    linspace = np.linspace(decimals[0], decimals[-1], len(decimals))
    assert parse_tiou(text) == tuple(linspace.tolist())
    assert [tiou_key(value) for value in linspace] == [f"{value:.10g}" for value in decimals]


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "0.5:0.05:0.95", "0.3:0.7", "0.3:0.7:0", "0.3:0.7:-0.1", "0:0.5:0.1"),
        *("0.5:1.5:0.5", "0.3:0.7:1e-9", "0.5,,0.7", "nan", "0.1:nan:0.1", "0.1:0.7:0.1:0.1"),
        *("1.1", "inf", ":::"),
    ],
)
def test_other_thresholds_are_one_sentence(text: str) -> None:
    with pytest.raises(AttentadError, match=r"write start:stop:step such as 0\.3:0\.7:0\.1"):
        parse_tiou(text)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    database = {
        "v": {"subset": "test", "annotations": [{"label": "run", "segment": [0, 10]}]},
        "w": {"subset": "test", "annotations": [{"label": "jump", "segment": [5, 6]}]},
        "x": {"subset": "training", "annotations": [{"label": "run", "segment": [0, 1]}]},
        "y": {"subset": "blank", "annotations": []},
    }
    results = {
        "v": [
            {"label": "run", "segment": [0, 6], "score": 0.9},
            {"label": "fly", "segment": [0, 6], "score": 0.9},
        ],
        "nowhere": [{"label": "jump", "segment": [0, 6], "score": 0.9}],
    }
    truth, found = tmp_path / "truth.json", tmp_path / "found.json"
    truth.write_text(json.dumps({"database": database}))
    found.write_text(json.dumps({"results": results}))
    return found, truth


def test_files_to_result(files: tuple[Path, Path], tmp_path: Path) -> None:
    found, truth = files
    out = tmp_path / "out" / "result.json"
    result = evaluate_files(found, truth, tiou="0.3:0.7:0.1", subset="test", out_json=out)
    np.testing.assert_allclose(result.mean_ap, [0.5, 0.5, 0.5, 0.5, 0.0])
    written = json.loads(out.read_text())
    assert written == result.to_dict()
    assert written["mAP"] == {"0.3": 0.5, "0.4": 0.5, "0.5": 0.5, "0.6": 0.5, "0.7": 0.0}
    assert written["average_mAP"] == pytest.approx(0.4)
    assert written["ground_truth"]["file"] == str(truth)
    assert written["ground_truth"]["subset"] == "test"
    assert written["ground_truth"]["instances"] == 2
    assert written["detections"]["file"] == str(found)
    assert written["detections"]["unknown_labels"] == {"fly": 1}
    assert written["detections"]["videos_outside_ground_truth"] == {"nowhere": 1}
    assert evaluate_files(found, truth, tiou=[0.5], subset=["test"]).average_map == 0.5


def test_table_and_notes_say_what_a_reader_needs(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found, truth = files
    result = evaluate_files(found, truth, tiou="0.3:0.7:0.1", subset="test", blocked=["w"])
    table = result_table(result)
    assert table.columns == ("tIoU", "mAP %")
    assert [row[0] for row in table.rows] == ["0.3", "0.4", "0.5", "0.6", "0.7", "average"]
    assert [row[1] for row in table.rows] == [*["100.00"] * 4, "0.00", "80.00"]
    classes = class_table({"found": result})
    assert classes.columns == ("AP %", "instances", "0.3", "0.4", "0.5", "0.6", "0.7", "average")
    assert classes.rows == (("run", "1", *["100.00"] * 4, "0.00", "80.00"),)
    said = notes(result)
    assert "no class fly, jump" in said[0]
    assert said[-1] == "Ground truth dropped (blocked videos): 1."
    print_result(result)
    shown = capsys.readouterr()
    assert "100.00" in shown.out
    assert "80.00" in shown.out
    assert "1 instances of 1 classes in 1 videos" in shown.out
    assert "class fly, jump" in " ".join(shown.err.split())
    clean = evaluate_files(found, truth, subset="test")
    assert "1 detections in 1 videos without ground truth (nowhere) count as" in notes(clean)[1]


def test_errors_name_the_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    found, truth = files
    with pytest.raises(AttentadError, match=r"truth\.json.*subset val; the subsets are: blank"):
        evaluate_files(found, truth, subset="val")
    with pytest.raises(AttentadError, match=r"truth\.json: the annotations of subset blank hold"):
        evaluate_files(found, truth, subset="blank")
    with pytest.raises(AttentadError, match="no evaluation protocol 'voc'; choose one of activity"):
        evaluate_files(found, truth, protocol="voc")
    with pytest.raises(AttentadError, match="lacks 1 of the detected videos"):
        evaluate_files(found, truth, subset="test", strict=True)
    with pytest.raises(AttentadError, match=r"none\.json does not exist"):
        evaluate_files(tmp_path / "none.json", truth)
    with pytest.raises(AttentadError, match=r"none\.json does not exist"):
        evaluate_files(found, tmp_path / "none.json")
    with pytest.raises(AttentadError, match="is not a detection file"):
        evaluate_files(truth, truth)
    with pytest.raises(AttentadError, match="could not be written"):
        evaluate_files(found, truth, out_json=truth / "below.json")
    empty = tmp_path / "empty.json"
    empty.write_text('{"database": {}}')
    with pytest.raises(AttentadError, match=r"empty\.json holds no annotated videos"):
        evaluate_files(found, empty)


@pytest.mark.skipif(not (DATA / "thumos14").is_dir(), reason="no THUMOS14 annotations here")
def test_the_official_text_folder_evaluated_against_itself(tmp_path: Path) -> None:
    folder = DATA / "thumos14" / "official" / "annotation_test"
    rows = ["video,start,end,label,score"]
    for file in sorted(folder.glob("*_test.txt")):
        label = file.stem.removesuffix("_test")
        if label != "Ambiguous":
            for line in file.read_text().splitlines():
                rows.append(",".join([*line.split(), label, "1"]))
    (tmp_path / "d.csv").write_text("\n".join(rows))
    result = evaluate_files(tmp_path / "d.csv", folder, tiou="0.3:0.7:0.1")
    assert result.ground_truth["instances"] == 3358
    assert result.ground_truth["videos_with_instances"] == 212
    assert result.average_map == 1.0


def test_evaluation_never_loads_torch(files: tuple[Path, Path]) -> None:
    code = (
        "import sys; from attentad.metrics.evaluate import evaluate_files\n"
        "from attentad.report.result_tables import print_result\n"
        "print_result(evaluate_files(sys.argv[1], sys.argv[2], subset='test'))\n"
        "import attentad.suppression, attentad.metrics\n"
        "heavy = {'torch', 'lightning_fabric', 'av', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    command = [sys.executable, "-c", code, *map(str, files)]
    ended = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
