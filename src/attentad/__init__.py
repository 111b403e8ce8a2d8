"""attentad: finds when actions happen in long, untrimmed videos.

`attentad.evaluate(detections, annotations)` scores detections that a program holds in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attentad.metrics.evaluate import evaluate

__version__ = "0.1.0"
__all__ = ["__version__", "evaluate"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the command line starts without numpy.
    if name == "evaluate":
        from attentad.metrics.evaluate import evaluate

        return evaluate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
