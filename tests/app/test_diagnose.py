"""A diagnosis from files: JSON, figures, page and tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from attentad.app.diagnose import diagnose_files, notes, print_diagnosis
from attentad.core import AttentadError

TRUTH = {
    "v": {
        "subset": "test",
        "duration": 100.0,
        "annotations": [
            {"label": "jump", "segment": [10, 20]},
            {"label": "run", "segment": [30, 40]},
            {"label": "run", "segment": [50, 50]},
            {"label": "Ambiguous", "segment": [70, 80]},
        ],
    },
    "w": {
        "subset": "training",
        "duration": 50.0,
        "annotations": [{"label": "run", "segment": [0, 5]}],
    },
}
FOUND = {
    "v": [
        {"label": "jump", "segment": [10, 20], "score": 0.9},
        {"label": "jump", "segment": [15, 25], "score": 0.8},
        {"label": "hop", "segment": [15, 25], "score": 0.8},
    ],
    "w": [{"label": "run", "segment": [0, 5], "score": 0.7}],
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    detections, annotations = tmp_path / "found.json", tmp_path / "truth.json"
    detections.write_text(json.dumps({"results": FOUND}))
    annotations.write_text(json.dumps({"database": TRUTH}))
    return detections, annotations


def test_everything_is_written(files: tuple[Path, Path], tmp_path: Path) -> None:
    out, folder, page = tmp_path / "d.json", tmp_path / "figures", tmp_path / "page.html"
    diagnosis = diagnose_files(*files, subset="test", out_json=out, figures=folder, page=page)
    assert diagnosis.map_n == 0.5
    plain = json.loads(out.read_text())
    assert plain["ground_truth"]["file"] == str(files[1])
    assert plain["detections"]["file"] == str(files[0])
    assert plain["false_positives"]["slots"][1]["localization"] == 1
    assert plain["ground_truth"]["dropped"]["ambiguous"] == 1
    names = ("false_negatives", "false_positives", "sensitivity")
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{name}{suffix}" for name in names for suffix in (".png", ".svg")
    ]
    text = page.read_text()
    assert text.count("data:image/svg+xml;base64,") == 3
    assert '"id":"v"' in text
    assert '"id":"w"' not in text  # not evaluated
    assert "Ambiguous" not in text


def test_a_blocked_video_is_not_on_the_page(files: tuple[Path, Path], tmp_path: Path) -> None:
    diagnose_files(*files, blocked=["w"], page=tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert '"id":"v"' in text
    assert '"id":"w"' not in text


def test_the_tables(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    diagnosis = diagnose_files(*files, subset="test", tiou="0.3,0.5")
    assert capsys.readouterr() == ("", "")
    print_diagnosis(diagnosis)
    out, err = capsys.readouterr()
    lines = {line.split("│")[1].strip(): line for line in out.splitlines() if line.startswith("│")}
    # The first of each class: a hit of jump, and of run one in a video that is not evaluated.
    assert [cell.strip() for cell in lines["true positive"].split("│")[2:4]] == ["50.0", "0.0"]
    assert [cell.strip() for cell in lines["background"].split("│")[2:4]] == ["50.0", "0.0"]
    # At 0.3 the second detection is a double, at 0.5 it lies too far off.
    assert [cell.strip() for cell in lines["localization"].split("│")[2:4]] == ["0.0", "50.0"]
    assert [cell.strip() for cell in lines["all"].split("│")[3:6]] == ["2", "50.00", "50.00"]
    row = next(line for line in out.splitlines() if "6–12 s" in line)
    assert [cell.strip() for cell in row.split("│")[3:7]] == ["2", "50.00", "50.00", "1.00"]
    assert "DETAD at tIoU 0.3, 0.5: 2 instances of 2 classes in 1 videos" in out
    assert "1 detections were left out, as the ground truth evaluated has no class hop." in err
    assert "1 detections in 1 videos without ground truth (w) count as false positives." in err
    assert "Ground truth dropped (ambiguous): 1." in err
    assert "Ground truth dropped (empty): 1." in err


def test_detections_elsewhere_can_be_left_out(files: tuple[Path, Path]) -> None:
    diagnosis = diagnose_files(*files, subset="test", restrict_to_gt_videos=True)
    said = "1 detections in 1 videos without ground truth (w) were left out."
    assert said in notes(diagnosis)


def test_errors_name_both_files(files: tuple[Path, Path]) -> None:
    with pytest.raises(AttentadError, match=r"found\.json against .*truth\.json: .*subset nowhere"):
        diagnose_files(*files, subset="nowhere")


def test_it_never_loads_torch(files: tuple[Path, Path]) -> None:
    code = f"""
import sys
from attentad.app.diagnose import diagnose_files
diagnosis = diagnose_files({str(files[0])!r}, {str(files[1])!r})
import attentad.report.figures
print({{"torch", "matplotlib"}} & set(sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("set()\n", "")
