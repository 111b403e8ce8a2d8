"""Annotations, features, detections, recipes and models of real users: each case ends right."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.cases.running import attentad, check_all_run, shell

from attentad.core import AttentadError, read_annotations, read_detections
from attentad.core.notes import Note
from attentad.data.features import open_features

CHECK = ("check", "--features", "features", "--annotations")
CLOCK = ("--fps", "25", "--stride-frames", "8")
MODEL = "model.safetensors"


def test_that_every_case_is_run() -> None:
    own = {test_that_every_case_is_run.__name__}
    check_all_run("data", set(globals()) - own)


def test_all_videos_test(case: Path) -> None:
    checked = attentad("check", "mine.yaml", code=2)
    assert "no video is left to train on: all 8 are in subsets that test (test)" in checked.out
    trained = attentad("train", "mine.yaml", "--out", "OUT", "--overwrite", code=2)
    assert "no video is left to train on" in trained.err
    by_hand = attentad(*CHECK, "annotations.json", *CLOCK, "--test", "test", code=2)
    assert "no video is left to train on" in by_hand.out


def test_bmn_flat_json(case: Path) -> None:
    checked = attentad(*CHECK, "annotations.json", "--rescaled")
    assert re.search(r"says of no video which subset it is in; put video_info_new.csv", checked.err)
    with pytest.warns(Note):
        annotations = read_annotations("annotations.json")
    assert len(annotations.videos) == 8
    assert sum(len(item.labels) for item in annotations.videos.values()) == 30
    Path("annotations.json").rename("anet_anno_val.json")
    read = read_annotations("anet_anno_val.json")
    assert {item.subset for item in read.videos.values()} == {"validation"}


def test_boris_aggregated_tsv(case: Path) -> None:
    checked = attentad(*CHECK, "aggregated.tsv", *CLOCK, code=2)  # its features are another's
    assert "features lacks 1 of 1 video: video_test_25fps_180s" in checked.out
    assert "3 point events have no duration and were left out" in checked.err
    assert "JSON" not in checked.out + checked.err


def test_boris_csv_cannot_go_into_boris(case: Path) -> None:
    attentad("detect", MODEL, "v.npy", "--out", "found.boris.csv")
    first, *rows = Path("found.boris.csv").read_text().splitlines()
    assert first == "time,subject,code,modifier,comment"
    assert len(rows) == 2 * 136  # a state's start and its stop


def test_boris_tabular_events(case: Path) -> None:
    checked = attentad(*CHECK, "events.csv", *CLOCK)
    assert "1 point event has no duration and was left out: click at 11 s in v1" in checked.err
    assert "1 event has no START or no STOP and was left out: groom at 14 s in v1" in checked.err
    with pytest.warns(Note):
        video = read_annotations("events.csv").videos["v1"]
    instances = {label: tuple(row) for label, row in zip(video.labels, video.segments, strict=True)}
    assert instances == {"groom": (5.355, 9.2), "rear": (6.0, 8.1)}


def test_class_named_ambiguous(case: Path) -> None:
    checked = attentad(*CHECK, "ann.csv", *CLOCK, "--test", "test")
    assert "2 classes; 2 instances in training" in checked.out
    assert "2 instances in test" in checked.out
    assert read_annotations("ann.csv").classes == ("Ambiguous", "chase")


def test_csv_decimal_comma(case: Path) -> None:
    with pytest.raises(AttentadError, match=r"ann\.csv, line 2 has 6 fields, .* names 4: '2' is"):
        read_annotations("ann.csv")


def test_csv_label_with_comma(case: Path) -> None:
    with pytest.raises(AttentadError, match=r"line 2 has 7 fields.*'_or_meat' is one too many"):
        read_annotations("ann.csv")


def test_csv_video_in_two_subsets(case: Path) -> None:
    with pytest.raises(AttentadError, match="line 3: video v1 has subset test here and training"):
        read_annotations("ann.csv")
    path = Path("ann.csv")
    path.write_text(path.read_text().replace("test", "training"))
    with pytest.raises(AttentadError, match="line 3: video v1 has duration 60 s here and 30 s in"):
        read_annotations("ann.csv")


def test_csv_windows_1252(case: Path) -> None:
    with pytest.warns(Note, match=r"ann\.csv is not UTF-8; it was read as Windows-1252"):
        annotations = read_annotations("ann.csv")
    assert annotations.classes == ("Gerät", "Gerüt")
    assert {name: item.subset for name, item in annotations.videos.items()} == {
        "Käfig": "training",
        "Küfig": "test",
    }


def test_elan_tab_text(case: Path) -> None:
    checked = attentad(*CHECK, "elan.txt", *CLOCK, code=2)  # its features are another's
    assert "features lacks 1 of 1 video: elan" in checked.out
    assert "1 class; 1 instances" in checked.out
    assert read_annotations("elan.txt").videos["elan"].segments.tolist() == [[1.2, 4.8]]


def test_epic_kitchens_csv(case: Path) -> None:
    checked = attentad(
        *CHECK, "EPIC_100_validation.csv", "--fps", 30, "--stride-frames", 16, code=2
    )
    assert "features lacks 1 of 1 video: P01_11" in checked.out  # its features are another's
    video = read_annotations("EPIC_100_validation.csv").videos["P01_11"]
    assert len(video.labels) == 59
    assert video.segments[1].tolist() == [1.56, 2.45]
    assert video.labels[1] == "put-down plate"


def test_eval_annotated_video_without_detections(case: Path) -> None:
    scored = attentad("eval", "half.json", "gt.json", "--tiou", "0.5")
    assert "1 of 2 annotated videos (v2) have no detection" in scored.err
    assert "1 annotated class has no detection: jump" in scored.err
    assert "50.00" in scored.out
    strict = attentad("eval", "half.json", "gt.json", "--tiou", "0.5", "--strict", code=2)
    assert "1 of 2 annotated videos with an instance have no detection: v2" in strict.err


def test_feature_csv_with_numbered_header(case: Path) -> None:
    attentad("check", "mine.yaml")
    trained = attentad("train", "mine.yaml", "--out", "OUT", "--overwrite")
    assert re.search(r"average\D*86\.76", trained.out)  # as with the same numbers in .npy
    store = open_features("features")
    lines = len(Path("features/v00.csv").read_text().splitlines())
    assert len(store.load("v00")) == lines - 1


def test_features_transposed(case: Path) -> None:
    checked = attentad("check", "mine.yaml", code=2)
    assert re.search(
        r"all 8 videos have 8 rows, .*rows and columns are probably swapped", checked.out
    )


def test_file_name_not_utf8(case: Path) -> None:
    shell(f"python make.py; attentad detect {MODEL} features --out found.json")
    assert set(read_detections("found.json").videos) == {"K\ufffdfig_01", "ok"}


def test_ids_with_suffix(case: Path) -> None:
    checked = attentad("check", "mine.yaml")
    assert "8 video ids were matched to annotated ones" in checked.out
    assert "v00 is v00.mp4 and 7 more" in checked.out
    attentad("train", "mine.yaml", "--out", "OUT", "--overwrite")


def test_json_null_label_and_odd_segments(case: Path) -> None:
    whole = json.loads(Path("ann.json").read_text())
    instances = whole["database"]["v1"]["annotations"]
    says = ["the label None is no class name", "label", r"label.*\['a', 'b'\]"]
    good = {"label": "run", "segment": [1, 2]}
    odd = [(instance, pattern) for instance, pattern in zip(instances, says, strict=True)]
    odd += [(good | {"segment": "12"}, "segment"), (good | {"segment": [True, 3]}, "start True")]
    for instance, pattern in odd:
        whole["database"]["v1"]["annotations"] = [instance]
        Path("one.json").write_text(json.dumps(whole))
        with pytest.raises(AttentadError, match=f"video v1.*{pattern}"):
            read_annotations("one.json")
    with pytest.raises(AttentadError, match="video v1"):
        read_annotations("ann.json")


def test_json_with_bom(case: Path) -> None:
    scored = attentad("eval", "d.json", "gt.json", "--tiou", "0.5")
    assert "3 instances of 2 classes in 2 videos" in scored.out


def test_killed_while_writing(case: Path) -> None:
    attentad("detect", MODEL, "features", "--out", "found.json")
    assert set(read_detections("found.json").videos) == {"v1"}


def test_label_studio_timeline(case: Path) -> None:
    checked = attentad(*CHECK, "export.json", *CLOCK)
    assert (
        "counts frames and does not say how many there are a second: 24 were taken" in checked.err
    )
    converted = attentad("convert", "label-studio", "export.json", "ours.json", "--fps", 25)
    assert "frames" not in converted.err
    video = read_annotations("ours.json").videos["v1"]
    np.testing.assert_allclose(video.segments, [[0.16, 4.6]])  # pictures 5 to 115, from 1


def test_model_names_a_local_file(case: Path) -> None:
    run = f"(ulimit -v 6000000; timeout 30 attentad detect {MODEL} v.npy --out found.json)"
    said = shell(run, code=2)
    assert "zero does not exist or is no plain file" in said.err
    assert "/dev/zero" not in said.err
    assert not Path("found.json").exists()


def test_model_without_a_key(case: Path) -> None:
    said = attentad("detect", MODEL, "v.npy", "--out", "found.json", code=2)
    assert f"{MODEL} is no model of this version of attentad" in said.err
    assert "detector.classes" in said.err


def test_multithumos_folder(case: Path) -> None:
    annotations = read_annotations("annotations")
    assert annotations.classes == ("BasketballBlock", "Run")
    assert {name: item.subset for name, item in annotations.videos.items()} == {
        "video_test_0000004": "test",
        "video_validation_0000051": "validation",
    }


@pytest.mark.parametrize("command", ["check", "train"])
def test_npy_header_cut(case: Path, command: str) -> None:
    assert "features/v03.npy could not be read" in refused(command)


@pytest.mark.parametrize("command", ["check", "train"])
def test_npy_structured(case: Path, command: str) -> None:
    assert "features/v03.npy could not be read (it is a table of columns named rgb" in refused(
        command
    )


@pytest.mark.parametrize("command", ["check", "train"])
def test_npz_damaged(case: Path, command: str) -> None:
    assert "features/v03.npz, array features, could not be read (Bad CRC-32" in refused(command)


def refused(command: str) -> str:
    """What a command says that cannot do with the recipe's features."""
    out = ["--out", "OUT", "--overwrite"] if command == "train" else []
    said = attentad(command, "mine.yaml", *out, code=2)
    return said.out if command == "check" else said.err


def test_opentad_frame_key(case: Path) -> None:
    attentad("check", "mine.yaml")
    assert all(item.frames for item in read_annotations("annotations.json").videos.values())


def test_override_that_looks_like_a_date(case: Path) -> None:
    for day in ("2024-02-30", "2024-05-01"):
        said = attentad("check", "mine.yaml", f"data.test=[{day}]", code=2)
        assert f"no video is in subset '{day}'; there are: test, training" in said.out


def test_pt_bfloat16(case: Path) -> None:
    attentad("check", "mine.yaml")
    assert open_features("features").load("v00").dtype == np.float32


def test_pt_dict_of_lists(case: Path) -> None:
    said = attentad("check", "mine.yaml", code=2)
    assert "features/v00.pt, key 'features', could not be read (it is a list" in said.out


def test_rc3d_detections_backwards(case: Path) -> None:
    said = attentad("eval", "tmp_run.txt", "gt", "--protocol", "thumos14-official")
    assert re.search(r"42 of 94 detections end before they start, the first in line 5", said.err)
    assert "42 of the detections end before they start; as in the tool" in said.err
    assert "count as segments from the earlier to the later time." in said.err
    assert re.search(r"0\.5\D*83\.33", said.out)


def test_recipe_alias_bomb(case: Path) -> None:
    said = shell("timeout 20 attentad check bomb.yaml", code=2)
    assert "bomb.yaml has more than 20000 values, most of them by aliases" in said.err
    assert len(said.err) < 500


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_dim", -8), ("bins", 0), ("samples", 0)],
    ids=lambda value: str(value),
)
def test_recipe_hidden_dim_below_1(case: Path, key: str, value: int) -> None:
    change = f"detector.network.{key}={value}"
    said = attentad("train", "mine.yaml", change, "--out", "OUT", "--overwrite", code=2)
    assert f"detector.network.{key} cannot be {value}; use a whole number of at least 1" in said.err
    assert not Path("OUT", MODEL).exists()


def test_semicolon_csv(case: Path) -> None:
    said = attentad(*CHECK, "ann.csv", *CLOCK)
    assert "decimal commas were read as such, 1,0 for one" in said.err
    assert read_annotations_quietly("ann.csv") == [[1.0, 4.0]]


def read_annotations_quietly(path: str) -> list[list[float]]:
    """The segments of v1, whatever is noted."""
    with pytest.warns(Note):
        segments: list[list[float]] = read_annotations(path).videos["v1"].segments.tolist()
    return segments


def test_sidecar_of_another_kind(case: Path) -> None:
    said = attentad(*CHECK, "ann.csv", code=2)
    assert "features/v1.json: encoder: Input should be a valid dictionary (got 'i3d')" in said.out


def test_twenty_thousand_instances(case: Path) -> None:
    check = "attentad check --features features --annotations ann.json --rescaled"
    said = shell(f"python make.py; (ulimit -v 6000000; {check})")
    assert "20000 instances in training" in said.out


def test_vtt_two_videos_of_one_name(case: Path) -> None:
    said = attentad("detect", MODEL, "feats.h5", "--out", "out/found.vtt")
    assert "and 1 more: 272 detections in 2 videos" in said.out
    names = sorted(path.name for path in Path("out").iterdir())
    assert names == ["found.camera1_mouse.vtt", "found.camera2_mouse.vtt"]
