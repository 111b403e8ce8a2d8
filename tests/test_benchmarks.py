"""Every benchmark runs, at the smallest sizes, and what it compares agrees."""

from __future__ import annotations

import gzip
import importlib
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from benchmarks.direct.bmn import DirectBMN

from attentad.detection.bmn import BMN

FOLDER = Path(__file__).parents[1] / "benchmarks"
TASKS = ("training", "inference")


@pytest.fixture
def run(monkeypatch, capsys):
    """A script's output with these arguments; it runs in this process."""
    monkeypatch.syspath_prepend(str(FOLDER))
    threads, precision = torch.get_num_threads(), torch.backends.cudnn.allow_tf32

    def call(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        importlib.import_module(name).main()
        return capsys.readouterr().out

    yield call
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = precision


def test_all_scripts_are_here():
    tested = {
        *("attention", "boundary_matching", "decoding", "detectors"),
        *("evaluation", "extraction", "hamnet", "suppression"),
    }
    assert {file.stem for file in FOLDER.glob("*.py")} == tested


def rows(output):
    """The detectors' table: (detector, setting, batch, precision, task) → its other cells."""
    lines = [line.split() for line in output.splitlines() if re.match("(bmn|gtad|dbg) ", line)]
    return {tuple(line[:5]): [float(cell) for cell in line[5:] if cell != "x"] for line in lines}


def test_detectors(run, monkeypatch):
    # Fresh processes take seconds to start: one detector's memory is measured below.
    detectors = importlib.import_module("detectors")
    monkeypatch.setattr(detectors, "in_fresh_process", lambda *_: dict.fromkeys(TASKS, 10**9))
    small = ("--length", "8", "--rounds", "1", "--threads", "1")
    output = run("detectors", *small, "--batch", "1")
    table = rows(output)
    assert set(table) == {
        (detector, setting, "1", "fp32", task)
        for detector in ("bmn", "gtad", "dbg")
        for setting in ("activitynet13", "thumos14")
        for task in TASKS
    }
    check(table, output.splitlines()[-1])
    if not torch.cuda.is_available():
        assert "CPU against GPU: skipped" in output
    some = ("--detector", "gtad", "--setting", "thumos14", "--batch", "1", "2", "--amp")
    output = run("detectors", *small, *some)
    table = rows(output)
    assert {key[2:4] for key in table} == {("1", "fp32"), ("1", "amp"), ("2", "fp32"), ("2", "amp")}
    check(table, output.splitlines()[-1])


def check(table, verdict):
    """The cells and the verdict go together."""
    for key, (direct, ours, ratio, *_, difference) in table.items():
        assert ratio == pytest.approx(direct / ours, abs=0.06, rel=0.06)
        assert difference < (1e-5 if "fp32" in key else 0.1)
    slower = [" ".join((*key[:2], "batch", key[2])) for key in table if table[key][2] < 0.95]
    assert re.match("no slower than direct anywhere: (yes$|no, slower: )", verdict)
    assert all(name in verdict for name in slower)
    assert verdict.endswith("yes") or min(cells[2] for cells in table.values()) < 1.05


def test_memory_of_detectors_in_processes_of_their_own(run):
    arguments = ("--detector", "dbg", "--setting", "activitynet13", "--length", "40")
    table = rows(run("detectors", *arguments, "--batch", "1", "--rounds", "1", "--threads", "1"))
    for *_, direct, ours, share, _ in table.values():
        # 32 points of 128 channels on 40 × 40 cells are 26 MB, and the mask is 8 MB.
        assert direct > 0.03
        assert direct > ours
        assert share > 1


def test_a_setting_keeps_its_durations_within_its_length(run):
    detectors = importlib.import_module("detectors")
    setting = detectors.SETTINGS["thumos14"]["gtad"]
    assert detectors.with_length(setting, 8).options["max_duration"] == 8
    assert detectors.with_length(setting, 100).options["max_duration"] == 64
    assert setting.options["max_duration"] == 64


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_detectors_say_that_there_is_no_gpu(run, capsys):
    with pytest.raises(SystemExit):
        run("detectors", "--device", "cuda")
    assert "use --device cpu" in capsys.readouterr().err


def test_attention(run):
    arguments = ("--rounds", "2", "--threads", "1", "--length", "8", "--feature-dim", "16")
    output = run("attention", *arguments)
    for label in ("se", "cbam", "transformer", "csa, 1 conv", "csa, 2 convs"):
        assert re.search(rf"^  {label} +[\d,]+ ", output, re.MULTILINE)
    assert re.search(r"^  CSA adds -?[\d.]+ ms to [\d.]+ ", output, re.MULTILINE)


def test_boundary_matching(run):
    arguments = ("--length", "12", "--batch", "1", "--rounds", "1", "--threads", "1")
    output = run("boundary_matching", *arguments)
    assert "(meets 1e-05)" in output
    assert len(re.findall(r"peak memory +0\.\d\d GB", output)) == 2


def test_decoding(run):
    output = run("decoding", "--pictures", "30", "--rounds", "1", "--size-px", "48")
    assert "decoding: 30 pictures given (PyAV alone 30)" in output
    assert "48 px: 12 pictures given (PyAV alone 12)" in output
    for plain, ours, ratio in re.findall(
        r"PyAV alone +([\d,]+) .*\n  ours +([\d,]+) .*\n  ratio +([\d.]+) \(", output
    ):
        rates = [float(rate.replace(",", "")) for rate in (plain, ours)]
        assert float(ratio) == pytest.approx(rates[1] / rates[0], abs=0.01, rel=0.02)
    assert output.count("ratio") == 2


def test_extraction(run):
    small = ("--pictures", "20", "--rounds", "1", "--size-px", "32")
    output = run("extraction", *small)
    for stride, count in ((1, 20), (5, 4)):
        assert f"stride {stride}: {count} pictures looked at, 32 px" in output
    table = output[output.index("stride 5") :]
    walls = {
        name: float(wall)
        for name, wall in re.findall(r"(decoding|network|together) +([\d.]+) s ", table)
    }
    ratio = float(re.findall(r"slower / together ([\d.]+) ", table)[0])
    assert set(walls) == {"decoding", "network", "together"}
    assert ratio > 0
    assert output.count("same: yes") == 2
    assert "(meets 0.0001)" in output


def test_hamnet(run, monkeypatch):
    hamnet = importlib.import_module("hamnet")
    # Fresh processes take seconds to start: one number of them is measured below.
    monkeypatch.setattr(hamnet, "in_fresh_process", lambda function, *_: 10**6)
    small = ("--batch", "3", "--length", "24", "--feature-dim", "8", "--classes", "5")
    output = run("hamnet", *small, "--snippets", "96", "--rounds", "1", "--threads", "1")
    assert output.count("(meets 1e-05)") == 2
    for task in ("training step", "losses alone", "localisation", "after the network"):
        cells = re.search(rf"^{task} +([\d.]+) +([\d.]+) +([\d.]+) x ", output, re.MULTILINE)
        loops, ours, ratio = (float(cell) for cell in cells.groups())
        assert ratio == pytest.approx(loops / ours, rel=0.1, abs=0.1)
    assert re.search(r"training steps per second: loops [\d.]+, ours [\d.]+", output)
    assert re.search(r"384 snippets [\d.]+ ms \([\d.]+ x\)", output)
    assert re.search(r"linear in the length .*: (yes|no)$", output, re.MULTILINE)
    case = hamnet.Case(3, 24, 8, 5, 96, "cpu", 1)
    assert hamnet.measure_peak("losses alone", "loops", case) >= 0
    assert len(hamnet.prepare("localisation", "ours", case)()) > 20  # there is work to compare


def test_suppression(run):
    output = run("suppression", "--rounds", "1", "--classes", "2", "--candidates", "50")
    assert output.count("(meets 1e-12)") == 3
    assert "the same are kept: yes" in output
    few = output[output.index("2 classes of 50, all kept") :]
    loop, ours = re.findall(r"([\d.]+) ms of processor time", few)[:2]
    ratio = re.findall(r"([\d.]+) x$", few, re.MULTILINE)[0]
    assert float(ratio) == pytest.approx(float(loop) / float(ours), rel=0.1, abs=0.1)
    verdict = "meets" if float(ratio) >= 13 else "misses"
    assert re.search(rf"^ +{verdict} 13 x$", output, re.MULTILINE)


def test_evaluation(run, tmp_path):
    instance = {"label": "run", "segment": [1.0, 5.0]}
    video = {"duration": 10.0, "subset": "validation", "annotations": [instance]}
    database = {"database": {f"v{i:02d}": video for i in range(20)}}
    with gzip.open(tmp_path / "annotations.json.gz", "wt") as file:
        json.dump(database, file)
    output = run("evaluation", "--data", str(tmp_path), "--rounds", "1")
    assert "2,000 detections in 20 videos" in output
    assert "(meets 1e-12)" in output


@pytest.mark.parametrize("max_duration", [None, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_the_direct_form_of_bmn_is_bmn(max_duration, masked):
    torch.manual_seed(0)
    network = BMN(4, 7, max_duration=max_duration).double()
    direct = DirectBMN(4, 7, max_duration=max_duration)
    direct.load_state_dict(network.state_dict())
    features = torch.randn(2, 4, 7, dtype=torch.double)
    valid = torch.arange(7) < torch.tensor([[7], [4]]) if masked else None
    outputs = [model(features, valid) for model in (network, direct.double())]
    for one, other in zip(*outputs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
    weights = [torch.randn_like(part) for part in outputs[0]]
    grads = [
        torch.autograd.grad(
            sum((part * weight).sum() for part, weight in zip(parts, weights, strict=True)),
            list(model.parameters()),
        )
        for parts, model in zip(outputs, (network, direct), strict=True)
    ]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
