"""Hard and Soft-NMS, merging of windows, class labels for proposals. numpy only."""

from attentad.suppression.labels import FUSIONS as FUSIONS
from attentad.suppression.labels import label_by_snippets as label_by_snippets
from attentad.suppression.labels import label_by_video as label_by_video
from attentad.suppression.methods import METHODS as METHODS
from attentad.suppression.methods import VOTING_WEIGHTS as VOTING_WEIGHTS
from attentad.suppression.methods import merge_windows as merge_windows
from attentad.suppression.methods import suppress as suppress
from attentad.suppression.methods import suppress_each as suppress_each
from attentad.suppression.methods import vote_segments as vote_segments
from attentad.suppression.nms import TIES as TIES
from attentad.suppression.nms import nms as nms
from attentad.suppression.outer_inner import outer_inner as outer_inner
from attentad.suppression.outer_inner import runs_above as runs_above
from attentad.suppression.soft import SOFT_RULES as SOFT_RULES
from attentad.suppression.soft import soft_nms as soft_nms
