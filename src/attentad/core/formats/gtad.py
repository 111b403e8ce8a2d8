"""G-TAD's tables of THUMOS14, which AFSD and others use too."""

from __future__ import annotations

from attentad.core.errors import AttentadError
from attentad.core.formats.csv_rows import read_table
from attentad.core.formats.gathered import Contents, Gathered
from attentad.core.formats.source import Source

COLUMNS = ("video", "type")
# Names of start and end, in seconds first.
_SECONDS = (("start", "end"), ("t0", "t1"))
_FRAMES = ("startFrame", "endFrame")


def read_gtad(source: Source) -> Contents:
    """Columns video, type (the class), and start, end in seconds, or startFrame, endFrame.

    Seconds are taken where both are there. `val_video_info.csv` or `test_video_info.csv` beside
    `val_Annotation.csv` tells frame rates and numbers of frames. The subset is that of the name.

    Raises:
        AttentadError: a column is missing or a value is not what it must be.
    """
    source.table.require(COLUMNS)
    header = source.table.header
    times = next((pair for pair in _SECONDS if set(pair) <= set(header)), None)
    if times is None and not set(_FRAMES) <= set(header):
        raise AttentadError(
            f"{source.path} lacks the columns 'start' and 'end'; its first line must name video, "
            "type, start, end."
        )
    table = source.table.with_decimal_points(times or _FRAMES)
    facts = _video_info(source)
    gathered = Gathered(source.path)
    for where, row in table.records():
        video = row["video"].strip()
        told = facts.get(video, {})
        gathered.video(video, where, subset=source.subset, **told)
        start, end = row[(times or _FRAMES)[0]], row[(times or _FRAMES)[1]]
        if times is None:
            rate = told.get("fps")
            fps = source.frame_rate("startFrame") if rate is None else _positive(rate, video, where)
            start, end = (str(_number(text, where) / fps) for text in (start, end))
        gathered.instance(video, (start, end), row["type"], where)
    return Contents(gathered.annotations())


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise AttentadError(f"{where}: {text!r} is no number; correct it.") from None


def _positive(text: str, video: str, where: str) -> float:
    number = _number(text, where)
    if not 0 < number < float("inf"):
        raise AttentadError(f"{where}: the frame rate of {video} is {text!r}; correct it.")
    return number


def _video_info(source: Source) -> dict[str, dict[str, str]]:
    """Video id → fps and frames, of the table that stands beside."""
    info = source.path.with_name(f"{source.path.name.split('_')[0]}_video_info.csv")
    if info == source.path or not info.is_file():
        return {}
    table = read_table(info)
    if not {"video", "fps", "count"} <= set(table.header):
        return {}
    return {
        row["video"].strip(): {"fps": row["fps"], "frames": row["count"]}
        for _, row in table.records()
    }
