"""Hard and Soft-NMS, merging of windows, class labels for proposals. numpy only."""

from attentad.suppression.labels import FUSIONS, label_by_snippets, label_by_video
from attentad.suppression.methods import METHODS, merge_windows, suppress, vote_segments
from attentad.suppression.nms import TIES, nms
from attentad.suppression.outer_inner import outer_inner, runs_above
from attentad.suppression.soft import SOFT_RULES, soft_nms

__all__ = [
    "FUSIONS",
    "METHODS",
    "SOFT_RULES",
    "TIES",
    "label_by_snippets",
    "label_by_video",
    "merge_windows",
    "nms",
    "outer_inner",
    "runs_above",
    "soft_nms",
    "suppress",
    "vote_segments",
]
