"""Projects of BORIS, a program in which behaviour is annotated: read and written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attentad.core.errors import AttentadError
from attentad.core.files import write_json
from attentad.core.formats.boris_events import Event, Left, add_events, tell_subjects
from attentad.core.formats.boris_tables import state_events
from attentad.core.formats.clock_times import seconds_of
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.marks import Marks
from attentad.core.formats.source import Source, video_of
from attentad.core.notes import note
from attentad.core.wording import first_few


def holds_boris(source: Source) -> bool:
    """Observations and an ethogram."""
    whole = source.json
    return isinstance(whole, dict) and {"observations", "behaviors_conf"} <= set(whole)


def read_boris(source: Source) -> Contents:
    """The state events of all observations, paired per video, subject, behaviour and modifiers.

    An observation counts time through the files of its first player, one after the other, from
    its time offset on; here each file has its own.

    Raises:
        AttentadError: the project is laid out otherwise, or does not say how long a file is that
            another follows.
    """
    gathered, left, events = Gathered(source.path), Left(), []
    kinds = _kinds(source)
    observations = source.json["observations"]
    if not isinstance(observations, dict):
        raise AttentadError(f'{source.path}: "observations" must be an object.')
    for name, observation in observations.items():
        where = f"{source.path}: observation {name!r}"
        try:
            media = list(_media(observation, where))
            if not media:
                left.other += [str(event[2]) for event in observation["events"]]
                continue
            for video, _, facts in media:
                if video in gathered:
                    note(f"{where}: video {video} is in another observation too; both were read.")
                gathered.video(video, where, **facts)
            events += _events(observation, media, kinds, where, left)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            raise AttentadError(
                f"{where} is not laid out as BORIS does; save the project again."
            ) from None
    add_events(gathered, events, left)
    left.tell(source.path)
    tell_subjects(source.path, (event.subject for event in events), (e.modifiers for e in events))
    unknown = sorted({event.behaviour for event in events} - set(kinds))
    if unknown:
        note(f"{source.path}: not in the ethogram, and read as states: {first_few(unknown)}.")
    return Contents(gathered.annotations())


def write_boris(path: Path, videos: Mapping[str, Marks]) -> None:
    """Write a project with an observation for each video, named like it, and an ethogram.

    BORIS opens it, or imports its observations into another project. Instances of a class that
    overlap belong to subjects of their own; a score is the comment.
    """
    observations = {video: _observation(video, marks) for video, marks in videos.items()}
    behaviours = sorted({label for marks in videos.values() for label in marks.labels})
    subjects = sorted({event[1] for o in observations.values() for event in o["events"]} - {""})
    write_json(
        path,
        {
            "time_format": "hh:mm:ss",
            "project_date": "2000-01-01T00:00:00",
            "project_name": path.name.partition(".")[0],
            "project_description": "written by attentad",
            "project_format_version": "7.0",
            "subjects_conf": {
                str(row): {
                    **{"key": "", "name": subject, "description": ""},
                    "independent_variables": {},
                }
                for row, subject in enumerate(subjects)
            },
            "behaviors_conf": {
                str(row): {
                    **{"type": "State event", "key": "", "code": label, "description": ""},
                    **{"category": "", "modifiers": "", "excluded": "", "coding map": ""},
                }
                for row, label in enumerate(behaviours)
            },
            "observations": observations,
            **{"behavioral_categories": [], "independent_variables": {}, "coding_map": {}},
            **{"behaviors_coding_map": [], "converters": {}},
        },
    )


def _observation(video: str, marks: Marks) -> dict[str, Any]:
    known = {"length": marks.duration_sec, "fps": marks.fps}
    players = {str(number): [video] if number == 1 else [] for number in range(1, 9)}
    return {
        "file": players,
        "type": "MEDIA",
        "date": "2000-01-01T00:00:00",
        "description": "",
        "time offset": 0.0,
        "events": [list(event) for event in state_events(marks)],
        "observation time interval": [0, 0],
        "independent_variables": {},
        "media_info": {
            **{name: {video: value} for name, value in known.items() if value is not None},
            **{"hasVideo": {video: True}, "hasAudio": {video: False}},
        },
        "close_behaviors_between_videos": False,
        "visualize_spectrogram": False,
        "visualize_waveform": False,
    }


def _kinds(source: Source) -> dict[str, str]:
    """Code of each behaviour of the ethogram → STATE or POINT."""
    try:
        return {
            str(item["code"]): "POINT" if "point" in str(item["type"]).lower() else "STATE"
            for item in source.json["behaviors_conf"].values()
        }
    except (KeyError, TypeError, AttributeError):
        raise AttentadError(f'{source.path}: "behaviors_conf" must list behaviours.') from None


def _media(
    observation: Mapping[str, Any], where: str
) -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Of each file of the first player: video id, where it starts (s), duration and frame rate."""
    if str(observation.get("type", "MEDIA")).upper() != "MEDIA":
        return
    info = observation.get("media_info") or {}
    files = (observation.get("file") or {}).get("1", [])
    start = 0.0
    for row, file in enumerate(files):
        length = (info.get("length") or {}).get(file)
        fps = (info.get("fps") or {}).get(file)
        if length is None and row + 1 < len(files):
            raise AttentadError(
                f"{where} does not say how long {file!r} is, which another file follows; open it "
                "in BORIS and save it again."
            )
        yield video_of(str(file)), start, {"duration": length, "fps": fps or None}
        start += 0.0 if length is None else float(length)


def _events(
    observation: Mapping[str, Any],
    media: list[tuple[str, float, dict[str, Any]]],
    kinds: Mapping[str, str],
    where: str,
    left: Left,
) -> list[Event]:
    offset = float(observation.get("time offset") or 0.0)
    events = []
    for time, subject, code, modifiers, *_ in observation["events"]:
        behaviour = str(code)
        since = math.nan if time is None else seconds_of(str(time), where) - offset
        if not math.isfinite(since):
            left.other.append(behaviour)
            continue
        video, start, _ = next((item for item in reversed(media) if item[1] <= since), media[0])
        kind = kinds.get(behaviour, "STATE")
        place = f"{where}: {behaviour} at {time}"
        events.append(
            Event(video, since - start, kind, str(subject), behaviour, str(modifiers), place)
        )
    return events
