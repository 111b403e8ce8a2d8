"""What the readers of other programs' files make of them, assume, leave out and refuse."""

from __future__ import annotations

import json
import random
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.test_formats_page import EXAMPLE, SECTIONS

from attentad.core import Annotations, AttentadError, read_annotations
from attentad.core.formats.video_labels import from_annotations
from attentad.core.notes import Note

EXAMPLES = {name: EXAMPLE.findall(text)[0] for name, text in SECTIONS}


def write(folder: Path, name: str, content: Any) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text)
    return folder / name


def rows(annotations: Annotations) -> dict[str, list[tuple[float, float, str]]]:
    return {
        video: [
            (round(start, 6), round(end, 6), label)
            for (start, end), label in zip(item.segments.tolist(), item.labels, strict=True)
        ]
        for video, item in annotations.videos.items()
    }


def silent(path: Path, **options: Any) -> Annotations:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_annotations(path, **options)


def example(folder: Path, name: str, **changes: str) -> Path:
    file, _, content = EXAMPLES[name]
    for old, new in changes.items():
        content = content.replace(old, new)
    return write(folder, file, content)


# ActivityNet's kin


def test_opentad_says_how_many_frames_there_are(tmp_path: Path) -> None:
    item = silent(example(tmp_path, "activitynet")).videos["v1"]
    assert (item.frames, item.duration_sec) == (750, 30.0)


def test_bmn_takes_the_subset_of_the_file_or_of_the_table_beside(tmp_path: Path) -> None:
    path = example(tmp_path, "bmn")
    item = silent(path).videos["abc"]
    assert (item.subset, item.duration_sec, item.frames) == ("training", 26.24, 656)
    write(tmp_path, "video_info_new.csv", "video,subset\nv_abc,testing\n")
    assert silent(path).videos["abc"].subset == "testing"


def test_bmn_without_a_subset_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.json", EXAMPLES["bmn"][2])
    with pytest.warns(Note, match="says of no video which subset it is in"):
        assert read_annotations(path).videos["abc"].subset == ""


def test_multithumos_names_classes_by_files_and_subsets_by_ids(tmp_path: Path) -> None:
    write(tmp_path, "BasketballBlock.txt", "video_validation_0000051 67.5 75.9\n")
    write(tmp_path, "Run_Up.txt", "video_test_0000004 1.0 2.0\n")
    found = silent(tmp_path)
    assert found.classes == ("BasketballBlock", "Run_Up")
    assert {v: item.subset for v, item in found.videos.items()} == {
        "video_test_0000004": "test",
        "video_validation_0000051": "validation",
    }


def test_a_text_folder_without_subsets_is_said_and_two_subsets_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "Run.txt", "v1 1 2\n")
    with pytest.warns(Note, match="say which subset a video is in"):
        assert read_annotations(tmp_path).videos["v1"].labels == ("Run",)
    write(tmp_path, "Run_val.txt", "v1 1 2\n")
    write(tmp_path, "Run_test.txt", "v1 3 4\n")
    with pytest.raises(AttentadError, match=r"video v1 has subset .* here and .* in .*Run_test"):
        read_annotations(tmp_path)


@pytest.mark.parametrize(("other", "kept"), [("chase", True), ("LongJump", False)])
def test_ambiguous_is_a_class_outside_of_thumos14(tmp_path: Path, other: str, kept: bool) -> None:
    text = f"video,start,end,label\nv1,1,4,Ambiguous\nv1,5,9,{other}\n"
    path = write(tmp_path, "a.csv", text)
    found = silent(path)
    assert ("Ambiguous" in found.classes) == kept
    whole = silent(path, keep_ambiguous=True)
    assert whole.marker == (None if kept else "Ambiguous")
    assert ("Ambiguous" in from_annotations(whole).classes) == kept


def test_gtad_reads_seconds_or_frames(tmp_path: Path) -> None:
    path = example(tmp_path, "gtad")
    wanted = {"video_validation_0000051": [(67.5, 75.9, "BasketballDunk")]}
    assert rows(silent(path)) == wanted
    frames = "video,type,startFrame,endFrame\nvideo_validation_0000051,BasketballDunk,2025,2277\n"
    path = write(tmp_path, "val_Annotation.csv", frames)
    with pytest.raises(AttentadError, match=r"counts frames .startFrame. .* --fps 25"):
        read_annotations(path)
    info = "video,fps,sample_fps,count\nvideo_validation_0000051,30,10,6000\n"
    write(tmp_path, "val_video_info.csv", info)
    found = silent(path)
    assert rows(found) == wanted
    assert found.videos["video_validation_0000051"].frames == 6000


# BORIS


EVENTS = """Observation id,Subject,Behavior,Behavior type,Time,Media file name,FPS
obs1,mouse1,groom,START,5.355,videos/v1.mp4,25
obs1,mouse2,groom,START,6.0,videos/v1.mp4,25
obs1,mouse1,groom,STOP,9.2,videos/v1.mp4,25
obs1,mouse2,groom,STOP,8.1,videos/v1.mp4,25
obs1,mouse1,click,POINT,11.0,videos/v1.mp4,25
obs1,mouse1,groom,START,14.0,videos/v1.mp4,25
"""


def test_boris_events_are_paired_by_subject_and_the_rest_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "events.csv", EVENTS)
    with pytest.warns(Note) as told:
        found = read_annotations(path)
    assert rows(found) == {"v1": [(5.355, 9.2, "groom"), (6.0, 8.1, "groom")]}
    assert found.videos["v1"].fps == 25
    said = " ".join(str(item.message) for item in told)
    assert "1 point event has no duration and was left out: click at 11 s in v1." in said
    assert "1 event has no START or no STOP and was left out: groom at 14 s in v1." in said
    assert "whose they are (mouse1, mouse2) is not kept" in said


def test_boris_7_has_its_facts_above_the_header(tmp_path: Path) -> None:
    above = "Observation id\tobs1\n\nMedia file(s)\n\tvideos/v1.mp4\n\n"
    header = "Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tComment\tStatus\n"
    events = (
        "1.5\tvideos/v1.mp4\t60\t25\t\trun\t\tSTART\n2.5\tvideos/v1.mp4\t60\t25\t\trun\t\tSTOP\n"
    )
    assert rows(silent(write(tmp_path, "e.tsv", above + header + events))) == {
        "v1": [(1.5, 2.5, "run")]
    }


def test_boris_tables_of_several_files_read_the_first(tmp_path: Path) -> None:
    text = EXAMPLES["boris-aggregated"][2]
    text += text.splitlines()[1].replace("v1", "v2").replace("5.355", "70.0") + "\n"
    path = write(tmp_path, "aggregated.tsv", text.replace("9.2", "79.2"))
    with pytest.warns(Note, match=r"'obs1' goes on over .* events in videos/v2\.mp4"):
        assert list(read_annotations(path).videos) == ["v1"]


PROJECT = {
    "behaviors_conf": {
        "0": {"code": "groom", "type": "State event"},
        "1": {"code": "click", "type": "Point event"},
    },
    "observations": {
        "obs1": {
            "type": "MEDIA",
            "file": {"1": ["a.mp4", "b.mp4"]},
            "time offset": 100.0,
            "media_info": {"length": {"a.mp4": 60.0, "b.mp4": 30.0}, "fps": {"a.mp4": 25.0}},
            "events": [
                [101.0, "", "groom", "", ""],
                [102.5, "", "groom", "", ""],
                [103.0, "", "click", "", ""],
                ["0:02:41.500", "", "groom", "", ""],
                [163.0, "", "groom", "", ""],
                [170.0, "", "groom", "", ""],
            ],
        }
    },
}


def test_a_boris_project_gives_each_file_its_own_time(tmp_path: Path) -> None:
    path = write(tmp_path, "p.boris", PROJECT)
    with pytest.warns(Note) as told:
        found = read_annotations(path)
    assert rows(found) == {"a": [(1.0, 2.5, "groom")], "b": [(1.5, 3.0, "groom")]}
    assert (found.videos["a"].duration_sec, found.videos["a"].fps) == (60.0, 25.0)
    said = " ".join(str(item.message) for item in told)
    assert "click at 3 s in a" in said
    assert "groom at 10 s in b" in said


def test_a_boris_project_must_say_how_long_a_file_is_that_another_follows(tmp_path: Path) -> None:
    text = json.dumps(PROJECT).replace('"a.mp4": 60.0, ', "")
    with pytest.raises(AttentadError, match=r"'obs1' does not say how long 'a\.mp4' is"):
        read_annotations(write(tmp_path, "p.boris", text))


# ELAN, Label Studio, VIA, CVAT


def test_elan_reads_what_has_times_and_moves_it_by_the_origin_of_the_video(tmp_path: Path) -> None:
    text = EXAMPLES["elan"][2].replace('MIME_TYPE="video/mp4"', 'TIME_ORIGIN="500"')
    ref = '<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a2" ANNOTATION_REF="a1"/></ANNOTATION>'
    path = write(tmp_path, "v.eaf", text.replace("</TIER>", f"{ref}</TIER>"))
    with pytest.warns(Note, match="1 annotation without times of their own left out"):
        assert rows(read_annotations(path)) == {"v1": [(1.7, 5.3, "point")]}
    bare = text.replace("<ANNOTATION_VALUE>point</ANNOTATION_VALUE>", "<ANNOTATION_VALUE/>")
    assert silent(write(tmp_path, "v.eaf", bare)).classes == ("gestures",)


def test_xml_that_declares_entities_is_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><annotations>&b;</annotations>'
    with pytest.raises(AttentadError, match=r"a\.xml declares a document type"):
        read_annotations(write(tmp_path, "a.xml", bomb))


def test_elan_text_without_a_header(tmp_path: Path) -> None:
    line = "gestures\tAnna\t00:00:01.200\t00:00:04.800\t00:00:03.600\tpoint\n"
    assert rows(silent(write(tmp_path, "v1.txt", line))) == {"v1": [(1.2, 4.8, "point")]}


def test_label_studio_counts_frames_from_1_at_the_rate_of_the_task(tmp_path: Path) -> None:
    path = example(tmp_path, "label-studio")
    assert rows(silent(path)) == {"v1": [(1.0, 4.0, "run")]}
    assert rows(silent(path, fps=50)) == {"v1": [(0.5, 2.0, "run")]}
    text = EXAMPLES["label-studio"][2].replace(', "fps": 25', "")
    with pytest.warns(Note, match="24 were taken, Label Studio's default, for v1"):
        found = read_annotations(write(tmp_path, "export.json", text))
    assert rows(found) == {"v1": [(round(25 / 24, 6), round(100 / 24, 6), "run")]}


def test_label_studio_says_what_it_leaves_out(tmp_path: Path) -> None:
    task = json.loads(EXAMPLES["label-studio"][2])[0]
    task["annotations"] *= 2
    task["annotations"][0]["result"].append({"type": "choices", "value": {"choices": ["good"]}})
    with pytest.warns(Note) as told:
        read_annotations(write(tmp_path, "e.json", [task]))
    said = " ".join(str(item.message) for item in told)
    assert "has 2 annotations; the first was read" in said
    assert "1 results mark no time and were left out: choices" in said


def test_via_leaves_out_marks_of_a_moment(tmp_path: Path) -> None:
    project = json.loads(EXAMPLES["via"][2])
    assert rows(silent(write(tmp_path, "v.json", project))) == {"v1": [(1.0, 4.0, "run")]}
    project["metadata"]["1_b"] = {"vid": "1", "z": [2.0], "xy": [2, 1, 1, 9, 9], "av": {}}
    with pytest.warns(Note, match="1 mark without a duration, left out: 1_b"):
        read_annotations(write(tmp_path, "v.json", project))


def test_cvat_reads_presence_and_steps_of_the_task(tmp_path: Path) -> None:
    path = example(tmp_path, "cvat")
    with pytest.raises(AttentadError, match="does not say how many there are a second"):
        read_annotations(path)
    assert rows(silent(path, fps=25)) == {"v1": [(1.0, 4.0, "run")]}
    text = EXAMPLES["cvat"][2].replace(
        "<size>100</size>", "<start_frame>10</start_frame><frame_filter>step=2</frame_filter>"
    )
    assert rows(silent(write(tmp_path, "c.xml", text), fps=10)) == {"v1": [(6.0, 21.0, "run")]}


# Data sets


def test_epic_kitchens_and_charades(tmp_path: Path) -> None:
    found = silent(example(tmp_path, "epic-kitchens"))
    assert rows(found) == {"P01_11": [(1.56, 2.45, "take plate")]}
    assert found.videos["P01_11"].subset == "training"
    path = example(tmp_path, "charades")
    assert silent(path).classes == ("c092", "c147")
    assert silent(path).videos["46GP8"].duration_sec == 24.83
    write(
        tmp_path, "Charades_v1_classes.txt", "c092 Smiling at a mirror\nc147 Turning on a light\n"
    )
    assert silent(path).classes == ("Smiling at a mirror", "Turning on a light")


def test_labels_of_frames_need_a_rate_that_names_may_tell(tmp_path: Path) -> None:
    with pytest.warns(Note) as told:
        found = read_annotations(example(tmp_path, "frame-labels"))
    assert rows(found) == {"rgb-01-1": [(round(1 / 30, 6), round(5 / 30, 6), "cut_tomato")]}
    said = " ".join(str(item.message) for item in told)
    assert "named like 50 Salads, so 30 frames a second were taken" in said
    assert "action_end, action_start was taken for background" in said
    path = write(tmp_path, "mine.txt", "run\n" * 10)
    with pytest.raises(AttentadError, match="does not say how many there are a second"):
        read_annotations(path)
    assert rows(silent(path, fps=10)) == {"mine": [(0.0, 1.0, "run")]}
    assert silent(path, fps=10).videos["mine"].duration_sec == 1.0
    spans = write(tmp_path, "spans.txt", "1-30 SIL\n31-60 take_bowl\n")
    with pytest.warns(Note, match="SIL was taken for background"):
        assert rows(read_annotations(spans, fps=15)) == {"spans": [(2.0, 4.0, "take_bowl")]}


def test_a_folder_of_labels_of_frames(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, f"{name}.txt", "run\n" * 10)
    assert list(silent(tmp_path, fps=10).videos) == ["a", "b"]
    write(tmp_path, "b.csv", "frame,run\n0,1\n1,1\n")
    with pytest.raises(AttentadError, match=r"video b is annotated in .*b\.csv and in .*b\.txt"):
        read_annotations(tmp_path, fps=10)


def test_a_column_a_behaviour(tmp_path: Path) -> None:
    path = example(tmp_path, "frame-table")
    with pytest.warns(Note, match="background was taken for background"):
        found = read_annotations(path, fps=10)
    assert rows(found) == {"v1": [(0.1, 0.3, "groom"), (0.2, 0.3, "rear")]}
    simba = ",Nose_x,Nose_p,speed,Attack\n0,10.5,1,3.5,0\n1,11.5,1,2.5,1\n2,12.5,1,1.5,1\n"
    with pytest.warns(Note, match=r"taken for behaviours .Attack., and the others were left out"):
        found = read_annotations(write(tmp_path, "s.csv", simba), fps=10)
    assert rows(found) == {"s": [(0.1, 0.3, "Attack")]}


def test_calms21_and_bento(tmp_path: Path) -> None:
    with pytest.warns(Note, match="30 were taken, as CalMS21 has"):
        found = read_annotations(example(tmp_path, "calms21"))
    assert rows(found) == {
        "mouse001_task1_train": [
            (round(1 / 30, 6), round(4 / 30, 6), "attack"),
            (round(5 / 30, 6), round(7 / 30, 6), "investigation"),
        ]
    }
    assert found.videos["mouse001_task1_train"].subset == "training"
    assert rows(silent(example(tmp_path, "annot"))) == {"v1": [(1.2, 4.8, "attack")]}
    frames = EXAMPLES["annot"][2].replace("1.2\t4.8\t3.6", "31\t60\t30")
    assert rows(silent(write(tmp_path, "v1.annot", frames))) == {"v1": [(1.0, 2.0, "attack")]}


# What is none


def test_points_are_refused_with_a_reason(tmp_path: Path) -> None:
    labels = {"annotations": [{"gameTime": "1 - 00:05", "label": "Goal", "position": "5000"}]}
    with pytest.raises(AttentadError, match=r"marks moments .gameTime.: they have no duration"):
        read_annotations(write(tmp_path, "Labels-v2.json", labels))


@pytest.mark.parametrize("name", ["a.txt", "a.xml", "notes.md"])
def test_what_is_unknown_is_said_to_be(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, "some words that\nare nothing of ours\n")
    with pytest.raises(AttentadError, match=r"laid out as no annotations .*docs/formats\.md"):
        read_annotations(path)
    with pytest.raises(AttentadError, match="is not laid out as elan"):
        read_annotations(path, layout="elan")


@given(st.sampled_from(sorted(EXAMPLES)), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=300)
def test_damaged_files_end_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, rng: random.Random
) -> None:
    file, _, content = EXAMPLES[name]
    text = list(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(text) or 1)
        if rng.random() < 0.5:
            del text[place : place + rng.randint(1, 30)]
        else:
            text[place:place] = rng.choice(["null", '"', "\0", "-1e999", "[]", "{}", ",", "é", "9"])
    path = tmp_path_factory.mktemp("damaged") / Path(file).name
    path.write_text("".join(text))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(AttentadError):
            read_annotations(path, fps=25)


def test_a_class_of_calms21_with_an_endless_number(tmp_path: Path) -> None:
    file, _, content = EXAMPLES["calms21"]
    numbered = re.sub(r'("vocab":\s*\{\s*"[^"]+":\s*)\d+', r"\g<1>Infinity", content)
    assert numbered != content
    path = write(tmp_path, file, numbered)
    with pytest.raises(AttentadError, match="a vocab in metadata"):
        read_annotations(path)
