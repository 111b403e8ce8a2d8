"""Files for other programs: what the end of a name says, of detections and annotations alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from attentad.core.formats.boris import write_boris
from attentad.core.formats.boris_tables import write_imported
from attentad.core.formats.elan import write_elan
from attentad.core.formats.frame_table import write_frame_table
from attentad.core.formats.label_studio import write_label_studio
from attentad.core.formats.marks import Marks

Write = Callable[[Path, Mapping[str, Marks]], None]

# The end of a name → what is written. The longer ends come first.
EXPORTS: Final[Mapping[str, Write]] = {
    ".boris.csv": write_imported,
    ".frames.csv": write_frame_table,
    ".label-studio.json": write_label_studio,
    ".boris": write_boris,
    ".eaf": write_elan,
}


def export_of(path: Path) -> Write | None:
    """What writes a file of that name for another program; None for our own files."""
    name = path.name.lower()
    return next((write for suffix, write in EXPORTS.items() if name.endswith(suffix)), None)
