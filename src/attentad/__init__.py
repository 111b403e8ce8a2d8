"""attentad: finds when actions happen in long, untrimmed videos.

`attentad.load(model).detect(videos)` finds them, `attentad.evaluate(detections, annotations)`
scores them; `attentad.attention` has modules for networks of one's own. See docs/python.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attentad.core import AttentadError, read_annotations, write_detections
    from attentad.metrics.evaluate import evaluate
    from attentad.models.run import load

__version__ = "0.1.0"
__all__ = [
    "AttentadError",
    "__version__",
    "evaluate",
    "load",
    "read_annotations",
    "write_detections",
]
_ROOMS = {"evaluate": "metrics.evaluate", "load": "models.run"}


def __getattr__(name: str) -> Any:
    # Imported on first use: the command line starts without numpy.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"attentad.{_ROOMS.get(name, 'core')}"), name)
