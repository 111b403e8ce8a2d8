"""Hard and Soft-NMS, merging of windows, class labels for proposals. numpy only."""

from attentad.suppression.labels import FUSIONS, label_by_snippets, label_by_video
from attentad.suppression.nms import (
    METHODS,
    SOFT_RULES,
    TIES,
    SuppressionOptions,
    concatenate,
    nms,
    soft_nms,
    suppress,
)
from attentad.suppression.windows import merge_windows

__all__ = [
    "FUSIONS",
    "METHODS",
    "SOFT_RULES",
    "TIES",
    "SuppressionOptions",
    "concatenate",
    "label_by_snippets",
    "label_by_video",
    "merge_windows",
    "nms",
    "soft_nms",
    "suppress",
]
