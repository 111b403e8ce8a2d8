"""Annotations, whatever their layout: which reader or writer a path needs, and what all share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from attentad.core.annotations import AMBIGUOUS, Annotations, VideoAnnotation, marker_among
from attentad.core.errors import AttentadError
from attentad.core.formats import boris_tables, calms21, charades, epic_kitchens, gtad
from attentad.core.formats.activitynet import read_activitynet, write_activitynet
from attentad.core.formats.bmn import holds_bmn, read_bmn
from attentad.core.formats.boris import holds_boris, read_boris
from attentad.core.formats.csv_table import (
    COLUMNS,
    read_csv_annotations,
    write_csv_annotations,
)
from attentad.core.formats.cvat import holds_cvat, read_cvat
from attentad.core.formats.elan import holds_elan, read_elan
from attentad.core.formats.elan_table import holds_elan_table, read_elan_table
from attentad.core.formats.exports import export_of, write_export
from attentad.core.formats.frame_labels import holds_frame_labels, read_frame_labels
from attentad.core.formats.frame_table import holds_frame_table, read_frame_table
from attentad.core.formats.gathered import Contents
from attentad.core.formats.label_studio import holds_label_studio, read_label_studio
from attentad.core.formats.marks import of_annotations
from attentad.core.formats.source import Source
from attentad.core.formats.thumos14 import holds_thumos14, read_thumos14
from attentad.core.formats.via import holds_via, read_via
from attentad.core.names import check_choice
from attentad.core.wording import first_few

_DOCS = "docs/formats.md shows every layout that is read"


class Format(NamedTuple):
    """A layout of annotation files.

    Args:
        kind: `json`, `xml` or `text`.
        holds: whether a file of that kind is laid out so.
        read: reads it, or says why it cannot be.
    """

    kind: str
    holds: Callable[[Source], bool]
    read: Callable[[Source], Contents]


def _names(*names: str) -> Callable[[Source], bool]:
    """Whether the first line of a table has these names."""
    return lambda source: set(names) <= set(source.words)


def _key(name: str) -> Callable[[Source], bool]:
    """Whether JSON is an object with that key."""
    return lambda source: isinstance(source.json, dict) and name in source.json


def _refuse_detections(source: Source) -> Contents:
    raise AttentadError(
        f'{source.path} holds detections ("results"), not annotations; give the ground truth.'
    )


def _holds_points(source: Source) -> bool:
    items = source.json.get("annotations") if isinstance(source.json, dict) else None
    first = items[0] if isinstance(items, list) and items else None
    return isinstance(first, dict) and "gameTime" in first


def _refuse_points(source: Source) -> Contents:
    raise AttentadError(
        f"{source.path} is SoccerNet's, which marks moments (gameTime): they have no duration, so "
        "there is nothing to localise. Give each a start and an end in a table of video,start,end,"
        "label."
    )


# Name → format, looked through in this order; the first of its kind that holds is read.
FORMATS: Final[dict[str, Format]] = {
    "activitynet": Format("json", _key("database"), read_activitynet),
    "detections": Format("json", _key("results"), _refuse_detections),
    "boris": Format("json", holds_boris, read_boris),
    "via": Format("json", holds_via, read_via),
    "label-studio": Format("json", holds_label_studio, read_label_studio),
    "soccernet": Format("json", _holds_points, _refuse_points),
    "calms21": Format("json", calms21.holds_calms21, calms21.read_calms21),
    "bmn": Format("json", holds_bmn, read_bmn),
    "elan": Format("xml", holds_elan, read_elan),
    "cvat": Format("xml", holds_cvat, read_cvat),
    "csv": Format("text", _names(*COLUMNS), read_csv_annotations),
    "boris-import": Format("text", boris_tables.holds_imported, boris_tables.read_imported),
    "boris-aggregated": Format("text", boris_tables.holds_aggregated, boris_tables.read_aggregated),
    "boris-events": Format("text", boris_tables.holds_tabular, boris_tables.read_tabular),
    "epic-kitchens": Format(
        "text", _names(*epic_kitchens.COLUMNS), epic_kitchens.read_epic_kitchens
    ),
    "charades": Format("text", _names(*charades.COLUMNS), charades.read_charades),
    "gtad": Format("text", _names(*gtad.COLUMNS), gtad.read_gtad),
    "elan-text": Format("text", holds_elan_table, read_elan_table),
    "annot": Format("text", calms21.holds_annot, calms21.read_annot),
    "frame-table": Format("text", holds_frame_table, read_frame_table),
    "frame-labels": Format("text", holds_frame_labels, read_frame_labels),
}
# What a folder of files, each of one video or more, may hold.
_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".boris", ".eaf", ".xml", ".annot")


def read_annotations(
    path: str | Path,
    *,
    classes: Sequence[str] | None = None,
    keep_ambiguous: bool = False,
    fps: float | None = None,
    layout: str | None = None,
) -> Annotations:
    """Read annotations, whatever their layout, which is found by what the file holds.

    A folder is read as the official THUMOS14 text files (`Class_subset.txt`, lines of
    `video start end`), or else file by file. `docs/formats.md` shows all layouts; a table has the
    columns video, start, end, label (and subset, duration, fps when present; one row without
    start, end and label declares a video without instances). Notes, as `core.notes.Note`, say
    what was assumed and what was left out.

    Args:
        path: file, `.gz` too, or folder.
        classes: class names in their order; by default the sorted labels that occur.
        keep_ambiguous: keep THUMOS14's mark `Ambiguous`, which is otherwise left out; in other
            data that is a class.
        fps: frames per second, for files that count frames and do not say.
        layout: a name of `FORMATS` (`thumos14` for a folder) that the file must have.

    Raises:
        AttentadError: the file is missing, malformed, empty or of no known layout; a segment ends
            before it starts; a label is not among `classes`.
    """
    path = Path(path)
    contents = _read_folder(path, fps, layout) if path.is_dir() else _read_file(path, fps, layout)
    if not contents.videos:
        raise AttentadError(f"{path} holds no annotated videos; give a file with at least one.")
    videos = dict(contents.videos)
    occurring = {label for item in videos.values() for label in item.labels}
    marker = AMBIGUOUS if contents.marks_ambiguous else marker_among(occurring)
    if marker is not None and not keep_ambiguous:
        videos = {video: item.without(marker) for video, item in videos.items()}
        occurring.discard(marker)
    names = tuple(sorted(occurring) if classes is None else classes)
    for video, item in videos.items():
        unknown = sorted(set(item.labels) - set(names))
        if unknown:
            raise AttentadError(
                f"{path}: video {video} has the label {unknown[0]!r}, which is not in the class "
                f"list ({first_few(names, 8)})."
            )
    return Annotations(videos, names, contents.class_ids, marker)


def write_annotations(path: str | Path, annotations: Annotations) -> None:
    """Write by the end of the name, whole or not at all: a table (`.csv`, `.tsv`), a file for
    another program (`exports.EXPORTS`), or else ActivityNet JSON."""
    path = Path(path)
    suffix = export_of(path)
    if suffix is not None:
        write_export(path, suffix, of_annotations(annotations))
    elif path.suffix.lower() in (".csv", ".tsv"):
        separator = "," if path.suffix.lower() == ".csv" else "\t"
        write_csv_annotations(path, annotations, separator)
    else:
        write_activitynet(path, annotations)


def _read_file(path: Path, fps: float | None, layout: str | None) -> Contents:
    source = Source(path, fps)
    kind = source.kind
    if layout not in (None, *FORMATS):
        check_choice(layout or "", ("thumos14", *FORMATS), "layout")
    for name, known in FORMATS.items():
        if layout in (None, name) and known.kind == kind and known.holds(source):
            return known.read(source)
    if layout is not None:
        raise AttentadError(f"{path} is not laid out as {layout}; {_DOCS}.")
    if kind == "json":
        return read_activitynet(source)
    if kind == "text" and (source.suffix in (".csv", ".tsv") or len(source.words) > 1):
        # What is missing of our own table is what there is to say.
        return read_csv_annotations(source)
    raise AttentadError(
        f"{path} is laid out as no annotations that are known here; give JSON, a table of "
        f"video,start,end,label or a folder of THUMOS14 text ({_DOCS})."
    )


def _read_folder(folder: Path, fps: float | None, layout: str | None) -> Contents:
    """THUMOS14's folder, or the files of another in turn."""
    files = sorted(
        file
        for file in folder.iterdir()
        if file.name.lower().removesuffix(".gz").endswith(_SUFFIXES)
        and not file.name.startswith(".")
        and file.is_file()
    )
    if layout in (None, "thumos14") and (holds_thumos14(folder) or not files):
        return read_thumos14(folder)
    videos: dict[str, VideoAnnotation] = {}
    owner: dict[str, Path] = {}
    for file in files:
        for video, item in _read_file(file, fps, layout).videos.items():
            if video in owner:
                raise AttentadError(
                    f"video {video} is annotated in {owner[video]} and in {file}; keep one."
                )
            owner[video], videos[video] = file, item
    return Contents(videos)
