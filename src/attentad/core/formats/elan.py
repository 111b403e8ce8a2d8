"""ELAN: annotation files (`.eaf`), read and written."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import quote, unquote

from attentad.core.errors import AttentadError
from attentad.core.files import write_bytes
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.marks import Marks
from attentad.core.formats.source import Source, video_of
from attentad.core.notes import note
from attentad.core.wording import first_few, number_of

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\r]")


def holds_elan(source: Source) -> bool:
    """The root element is `ANNOTATION_DOCUMENT`."""
    return source.xml is not None and source.xml.tag == "ANNOTATION_DOCUMENT"


def read_elan(source: Source) -> Contents:
    """The annotations with times of all tiers; the label is their text, or else their tier's name.

    The video is that of the file's media, or the one that the file is named like. Annotations that
    only refer to others are left out.

    Raises:
        AttentadError: a time is missing or is no number, or the document is laid out otherwise.
    """
    root = source.xml
    assert root is not None
    video, origin_sec = _media(source, root)
    gathered = Gathered(source.path)
    gathered.video(video, str(source.path))
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    without: list[str] = []
    for tier in root.iter("TIER"):
        name = tier.get("TIER_ID", "")
        where = f"{source.path}: tier {name!r}"
        without += [name for _ in tier.iter("REF_ANNOTATION")]
        for item in tier.iter("ALIGNABLE_ANNOTATION"):
            label = (item.findtext("ANNOTATION_VALUE") or "").strip() or name
            ends = [times.get(item.get(f"TIME_SLOT_REF{number}")) for number in (1, 2)]
            if None in ends:
                without.append(label)
                continue
            segment = [_seconds(text, where) + origin_sec for text in ends]
            gathered.instance(video, segment, label, where)
    if without:
        told = number_of(without, "annotation")
        note(f"{source.path}: {told} without times of their own left out: {first_few(without)}.")
    return Contents(gathered.annotations())


def write_elan(path: Path, video: str, marks: Marks) -> None:
    """Write a document of one video, a tier for each label.

    Annotations of a tier may not overlap, so those that do stand in tiers `label (2)` and so on;
    the text of each is its label. Times are whole milliseconds.

    Raises:
        AttentadError: a label or an id has a character that XML cannot hold.
    """
    for text in (video, *marks.labels):
        if _NOT_XML.search(text):
            raise AttentadError(f"{path}: XML cannot hold the text {text!r}; rename it.")
    content = ET.tostring(_document(video, marks), encoding="UTF-8", xml_declaration=True)
    write_bytes(path, content)


def _document(video: str, marks: Marks) -> ET.Element:
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "attentad",
            "DATE": "2000-01-01T00:00:00+00:00",
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    head = ET.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    named = quote(Path(video).name, safe="")
    ET.SubElement(
        head,
        "MEDIA_DESCRIPTOR",
        {"MEDIA_URL": f"file:///{named}", "RELATIVE_MEDIA_URL": named, "MIME_TYPE": "video/mp4"},
    )
    order = ET.SubElement(root, "TIME_ORDER")
    tiers: set[str] = set()
    slots = annotations = 0
    for label, number, rows in marks.lanes():
        name = label if number == 1 else f"{label} ({number})"
        while name in tiers:
            name += "'"
        tiers.add(name)
        tier = ET.SubElement(root, "TIER", {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": name})
        for row in rows:
            for time in marks.segments[row].tolist():
                slots += 1
                slot = {"TIME_SLOT_ID": f"ts{slots}", "TIME_VALUE": str(round(time * 1000))}
                ET.SubElement(order, "TIME_SLOT", slot)
            annotations += 1
            item = ET.SubElement(
                ET.SubElement(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                {
                    "ANNOTATION_ID": f"a{annotations}",
                    "TIME_SLOT_REF1": f"ts{slots - 1}",
                    "TIME_SLOT_REF2": f"ts{slots}",
                },
            )
            ET.SubElement(item, "ANNOTATION_VALUE").text = label
    kind = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt"}
    ET.SubElement(root, "LINGUISTIC_TYPE", kind | {"TIME_ALIGNABLE": "true"})
    return root


def _media(source: Source, root: ET.Element) -> tuple[str, float]:
    """Id of the video, and the second of it at which the annotations' time begins."""
    media = root.find("./HEADER/MEDIA_DESCRIPTOR")
    if media is None:
        return source.video, 0.0
    url = media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or ""
    origin_sec = _seconds(media.get("TIME_ORIGIN", "0"), f"{source.path}: TIME_ORIGIN")
    return unquote(video_of(url)) or source.video, origin_sec


def _seconds(milliseconds: str | None, where: str) -> float:
    try:
        return int(milliseconds or "") / 1000
    except ValueError:
        raise AttentadError(f"{where}: {milliseconds!r} is no number of milliseconds.") from None
