"""What the fuzzer changes: small whole files of every kind that is read, and their readers."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from safetensors.torch import save as safetensors_bytes
from tests.core.test_formats_page import EXAMPLE, SECTIONS

from attentad.core import AttentadError, Timeline, read_annotations, read_classes, read_detections
from attentad.core.formats.safe_pickle import read_npy
from attentad.core.formats.video_labels import read_video_labels
from attentad.data.features import open_features, read_sidecar
from attentad.metrics.score_files import read_scores
from attentad.models.build import build_detector, build_views, check_detector
from attentad.models.detect import detect_features
from attentad.models.file import load_backbone, load_detector, load_model, save_detector
from attentad.models.labels import SnippetScores
from attentad.models.model import DetectorModel
from attentad.models.video_scores import read_cuhk_scores, read_untrimmednet, video_scores
from attentad.recipes.load import DetectionRecipe, load_recipe


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Args:
        weight: its share of the inputs.
        file: the name that it is written under, below a folder.
        seeds: whole files as bytes, or as plain values to change before `write`.
        read: the reader.
        write: plain values → bytes.
    """

    weight: int
    file: str
    seeds: list[Any]
    read: Callable[[Path], object]
    write: Callable[[Any], bytes] = lambda value: json.dumps(value).encode()


LAYOUT_EXAMPLES = {name: EXAMPLE.findall(text)[0] for name, text in SECTIONS}
FEATURES = np.arange(12, dtype=np.float32).reshape(4, 3)
CLASSES = ("jump", "run")
SIDECAR = {
    **{"fps": 25.0, "stride_frames": 8, "window_frames": 16, "offset_frames": 0},
    **{"duration_sec": 1.9, "encoder": {"name": "i3d", "sha256": "x"}, "source": "v.mp4"},
    **{"score_columns": [1, 3], "score_classes": ["jump", "run"]},
}
DATABASE = {
    "database": {
        "v1": {
            "subset": "test",
            "duration": 40.0,
            "fps": 25,
            "annotations": [{"label": "run", "segment": [1, 2.5], "label_id": 1}],
        },
        "v2": {"subset": "train", "annotations": []},
    }
}
WITH_NAN = DATABASE | {"note": float("nan")}  # read by another parser
RESULTS = {
    "results": {"v1": [{"label": "run", "segment": [0.5, 2], "score": 0.9}], "v2": []},
    "external_data": {"classes": ["run", "jump"], "model": "m"},
}
RECIPE = """task: detection
data: {features: f, annotations: a.json, train: [training], test: [test]}
view: {name: rescaled, length: 4}
detector: {name: bmn, network: {groups: 1, hidden_dim: 4, sampled_dim: 4, map_dim: 4, bins: 2}}
labels: {source: snippets}
training: {epochs: 1, optimizer: {name: adamw, lr: 0.001}}
"""
OVERRIDES = (
    *(b"training.epochs=3", b"data.test=[2024-05-01]", b"view={name: windows, length: 8}"),
    *(b"detector.network.hidden_dim=8", b"attention.encoder={name: se}", b"about='a b'"),
    *(b"labels.file=/dev/zero", b"training.optimizer.betas=[0.9, 0.99]", b"data.clock.fps=1e2"),
)
SETTINGS: list[Any] = [
    *(
        ["training.epochs", 3],
        ["data.test", ["a", "b"]],
        ["view", {"name": "windows", "length": 8}],
    ),
    *(["detector.network", {"hidden_dim": 8}], ["attention", {"encoder": {"name": "se"}}]),
    *(["training.optimizer", {"betas": [0.9, 0.99]}], ["labels.classifier", {"smoothing": 3}]),
    *(["suppression", {"t1": 0.5, "keep": 3}], ["data.scores", {"first": 1, "background": 0}]),
]
CSV = b"video,start,end,label,score\nv1,0,1.5,run,0.5\nv2,2,3,jump,0.25\n"


def _saved(save: Callable[..., Any], *values: Any, **named: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, *values, **named)
    return stream.getvalue()


def _pt(value: Any, **named: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **named)
    return stream.getvalue()


def _h5(**named: Any) -> bytes:
    # Of the newest layout, which has checksums: in about one of 10,000 damaged files of the older
    # ones, whose index then points to itself, libhdf5 never comes back, and nobody can stop it.
    stream = io.BytesIO()
    with h5py.File(stream, "w", libver="latest") as file:
        file.create_dataset("v1", data=FEATURES, **named)
        file.create_group("more")["v2"] = FEATURES
    return stream.getvalue()


def _load_all(path: Path) -> None:
    store = open_features(path)
    failed = None
    for video in store.readers:
        try:
            store.load(video)
        except Exception as error:
            failed = error
    if failed is not None:
        raise failed


def _recipe(*changes: str) -> DetectionRecipe:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "r.yaml").write_text(RECIPE)
        recipe = load_recipe(Path(folder) / "r.yaml", changes)
    assert isinstance(recipe, DetectionRecipe)
    return recipe


def _check_recipe(path: Path, *overrides: str) -> None:
    recipe = load_recipe(path, overrides)
    if isinstance(recipe, DetectionRecipe):
        check_detector(recipe)
        build_views(recipe)


def _override(path: Path) -> None:
    text = path.read_bytes().decode(errors="surrogateescape")
    recipe = path.with_name("r.yaml")
    if not recipe.exists():
        recipe.write_text(RECIPE)
    _check_recipe(recipe, text)


def _setting(value: Any) -> bytes:
    parts = value if isinstance(value, list) else [value]
    return "=".join(p if isinstance(p, str) else json.dumps(p) for p in parts).encode(
        "utf-8", "replace"
    )


def _models() -> tuple[list[bytes], list[Any], Callable[[Any], bytes]]:
    """Whole model files; contracts; and what writes a contract with the tensors of the first."""
    torch.manual_seed(0)
    recipe = _recipe()
    network = build_detector(recipe, 6, 2)
    model = DetectorModel(recipe, CLASSES, 6, network, None, SnippetScores((0, 1)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        save_detector(path, model)
        whole = path.read_bytes()
        tensors, contract = load_model(path)
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    crc = json.loads(header["__metadata__"]["attentad"])["crc32"]
    part = contract["parts"]["detector"]
    old = {
        **{"format": 1, "kind": "detector", "recipe": part["options"], "classes": list(CLASSES)},
        **{"feature_dim": 6, "clock": {"stride_frames": 1, "window_frames": 1}, "encoder": None},
        "scores": {"columns": [0, 1], "activation": "softmax", "background": 2},
    }
    contract["clock"] = {"fps": 25, "stride_frames": 1, "window_frames": 1}

    def write(value: Any) -> bytes:
        told = {"crc32": crc} | value if isinstance(value, dict) else value
        return safetensors_bytes(tensors, metadata={"attentad": json.dumps(told)})

    return [whole], [contract, old], write


def _detect_with(path: Path) -> None:
    try:
        load_backbone(path)
    except AttentadError:
        model = load_detector(path)
        features = np.ones((9, model.feature_dim), np.float32)
        scores = video_scores(model.recipe, model.classes)("v")
        detect_features(model, features, Timeline(9, 1, 1, 1, 9), video="v", class_scores=scores)


_WHOLE, _CONTRACTS, _write_contract = _models()
_SCORES = {
    "scores": np.eye(4)[:, :2],
    "labels": [0, 1, 1, 0],
    "classes": CLASSES,
    "split": list("abab"),
}
_BY_FILE = _recipe("labels={source: file, file: scores.npz}")
_COLUMNS = {
    "video-id": ["v", "w"],
    "t-start": np.array([0.0, 1.0]),
    "t-end": [1.0, 2.0],
    "label": np.array([0, 1]),
    "score": np.array([0.5, 0.25]),
}
_RAGGED = np.array([[1, 2], [3]], dtype=object)
_LIST: list[Any] = [b"7 BaseballPitch\n9 BasketballDunk\n", b"run\njump\n"]


def _own_scores(path: Path) -> None:
    data = _BY_FILE.data.model_copy(update={"root": path.parent})
    video_scores(_BY_FILE.model_copy(update={"data": data}), CLASSES)


def _layout(file: str, content: str) -> Kind:
    """The example of a page in docs/formats.md, as bytes and, if it is JSON, as values too."""
    seeds: list[Any] = [content.encode()]
    if file.endswith(".json"):
        seeds.append(json.loads(content))
    return Kind(2, f"x/{file}", seeds, partial(read_annotations, fps=25.0))


KINDS: dict[str, Kind] = {
    "npy": Kind(30, "f/v.npy", [_saved(np.save, FEATURES), _saved(np.save, FEATURES.T)], _load_all),
    "npz": Kind(
        25,
        "f/a.npz",
        [
            _saved(np.savez, v1=FEATURES, v2=FEATURES),
            _saved(np.savez_compressed, features=FEATURES),
        ],
        _load_all,
    ),
    "pt": Kind(
        15,
        "f/v.pt",
        [
            _pt({"features": torch.zeros(4, 3, dtype=torch.bfloat16)}),
            _pt(torch.zeros(4, 3), _use_new_zipfile_serialization=False),
            _pt({"v1": [1.0], "v2": torch.eye(2)}),
        ],
        _load_all,
    ),
    "h5": Kind(8, "f/a.h5", [_h5(), _h5(compression="gzip", chunks=(2, 3))], _load_all),
    "feature_csv": Kind(4, "f/v.csv", [b"x,y\n1,2\n3,4\n", b"1.5,2\n-3,4e5\n"], _load_all),
    "sidecar": Kind(30, "f/v.json", [SIDECAR], lambda p: read_sidecar(p).timeline(3)),
    "contract": Kind(20, "m/m.safetensors", _CONTRACTS, _detect_with, _write_contract),
    "model": Kind(5, "m/m.safetensors", _WHOLE, _detect_with),
    "scores": Kind(20, "s/s.npz", [_saved(np.savez, **_SCORES)], read_scores),
    "score_csv": Kind(4, "s/s.csv", [b"clip,label,run,jump\nc,run,0.5,1\nd,1,2,3\n"], read_scores),
    "own_scores": Kind(8, "s/scores.npz", [_saved(np.savez, v=[0.1, 0.9], w=[1, 0])], _own_scores),
    "cuhk": Kind(
        4,
        "s/c.json",
        [{"class": list(CLASSES), "results": {"v_a": [0.1, 0.9], "b": [[1, 0]]}}],
        partial(read_cuhk_scores, classes=CLASSES),
    ),
    "untrimmednet": Kind(3, "s/u.npy", [_saved(np.save, np.ones((2, 101)))], read_untrimmednet),
    "annotations": Kind(12, "a/a.json", [DATABASE, WITH_NAN], read_annotations),
    "annotations_gz": Kind(
        2,
        "a/a.json.gz",
        [DATABASE],
        read_annotations,
        lambda v: gzip.compress(json.dumps(v).encode()),
    ),
    "annotation_csv": Kind(5, "a/a.csv", [CSV], read_annotations),
    "thumos14": Kind(
        4,
        "t/Run_test.txt",
        [b"v_0001 1.5 3\nv_0002 7 9.25\n"],
        lambda p: read_annotations(p.parent),
    ),
    "video_labels": Kind(4, "l/l.json", [{"v": ["run"], "w": []}], read_video_labels),
    "video_label_csv": Kind(
        2, "l/l.csv", [b"video,label,subset\nv,run,a\nw,,b\n"], read_video_labels
    ),
    "classes": Kind(3, "l/c.txt", _LIST, read_classes),
    "detections": Kind(
        12, "d/d.json", [RESULTS, RESULTS | {"note": float("nan")}], read_detections
    ),
    "detection_csv": Kind(4, "d/d.csv", [CSV], read_detections),
    "detection_text": Kind(3, "d/d.txt", [b"v_0004 12.3 15.6 7 0.87\n"], read_detections),
    "detection_pickle": Kind(
        4, "d/d.pkl", [pickle.dumps(_COLUMNS, protocol=p) for p in (0, 2, 4)], read_detections
    ),
    "object_npy": Kind(4, "o/o.npy", [_saved(np.save, _RAGGED, allow_pickle=True)], read_npy),
    "override": Kind(15, "r/override", [*OVERRIDES, *SETTINGS], _override, _setting),
    "recipe": Kind(8, "r/recipe.yaml", [RECIPE.encode()], _check_recipe),
    **{
        f"layout_{name}": _layout(file, content)
        for name, (file, _, content) in LAYOUT_EXAMPLES.items()
        if "/" not in file  # a folder of THUMOS14 is above
    },
}
