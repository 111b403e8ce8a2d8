"""Average recall of proposals: AR@AN, the AR-AN curve and the area under it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attentad.core import Annotations, AttentadError, Detections
from attentad.core.arrays import Floats, Ints
from attentad.core.names import check_choice
from attentad.core.segments import reversed_segments
from attentad.metrics.detected import flat_detections
from attentad.metrics.ground_truth import GroundTruth, collect_ground_truth
from attentad.metrics.matching import Instances, overlapping_pairs
from attentad.metrics.thresholds import parse_tiou, tiou_key


@dataclass(frozen=True)
class ProposalProtocol:
    """What a protocol fixes: its words, thresholds, largest number of proposals, and columns.

    Args:
        description: one line for help texts.
        tiou: thresholds that recall is averaged over.
        max_proposals: M, proposals per video on average at the end of the curve.
        reported: numbers of proposals per video that papers print AR at.
    """

    description: str
    tiou: tuple[float, ...]
    max_proposals: int
    reported: tuple[int, ...]


PROPOSAL_PROTOCOLS: Mapping[str, ProposalProtocol] = {
    "activitynet": ProposalProtocol(
        "AR at 1 to 100 proposals per video on average, tIoU 0.5 to 0.95, and AUC",
        parse_tiou("0.5:0.95:0.05"),
        100,
        (1, 5, 10, 100),
    ),
    "thumos14": ProposalProtocol(
        "the same retrieval up to 1,000 proposals per video, tIoU 0.5 to 1",
        parse_tiou("0.5:1:0.05"),
        1000,
        (50, 100, 200, 500, 1000),
    ),
}


@dataclass(frozen=True)
class ProposalResult:
    """Recall by tIoU threshold and number of proposals, and what went into it.

    Args:
        protocol: a key of `PROPOSAL_PROTOCOLS`.
        tiou: the J thresholds.
        proposals_per_video: (M,) how many were retrieved per video on average: 1, 2, … M.
        recall: (J, M) in 0..1: share of the instances that one of them covers.
        at: numbers of proposals per video → average recall there, 0..1.
        ground_truth: subset, counts, and what was dropped and why.
        detections: counts, and videos outside the ground truth by name.
    """

    protocol: str
    tiou: tuple[float, ...]
    proposals_per_video: Floats
    recall: Floats
    at: Mapping[int, float]
    ground_truth: Mapping[str, Any]
    detections: Mapping[str, Any]

    @property
    def average_recall(self) -> Floats:
        """AR@AN, (M,): the mean of recall over the thresholds."""
        return self.recall.mean(axis=0)

    @property
    def auc_percent(self) -> float:
        """Area under the AR-AN curve from 1 to M, over M, in percent.

        The width is M − 1, so a perfect detector scores 99 where M is 100.
        """
        height, x = self.average_recall, self.proposals_per_video
        area = float((np.diff(x) * (height[1:] + height[:-1]) / 2.0).sum())
        return 100.0 * area / float(x[-1])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: AR and recall are 0..1, AUC is percent as in the papers."""
        return {
            "protocol": self.protocol,
            "tiou": list(self.tiou),
            "AR": {str(number): value for number, value in self.at.items()},
            "AUC": self.auc_percent,
            "recall": {
                tiou_key(threshold): {str(number): float(row[number - 1]) for number in self.at}
                for threshold, row in zip(self.tiou, self.recall, strict=True)
            },
            "curve": {
                "proposals_per_video": self.proposals_per_video.tolist(),
                "average_recall": self.average_recall.tolist(),
            },
            "ground_truth": dict(self.ground_truth),
            "detections": dict(self.detections),
        }


def average_recall(
    annotations: Annotations,
    proposals: Detections,
    *,
    protocol: str = "activitynet",
    subset: str | Iterable[str] | None = None,
    ground_truth_set: str = "all",
    tiou: str | Sequence[float] | None = None,
    max_proposals: int | None = None,
    strict: bool = False,
    blocked: Collection[str] = (),
    merge_classes: bool = False,
) -> ProposalResult:
    """Average recall at an average number of proposals (ActivityNet evaluation; spec csa §7.2).

    Classes play no part. A video gives the more proposals the more it has: with V videos that
    hold instances, `ratio` = M·V / all proposals of the file, video v enters its best
    ⌊m_v·ratio⌋ of m_v, and column j of the curve uses that list's first j/M part, scaled so
    that the average is j. An instance is recalled when any of them has tIoU ≥ threshold; one
    proposal may cover several instances. Products are cut to integers in the order of
    operations of the public evaluator, so that with 100 proposals in each video columns 29, 57
    and 58 use 28, 56 and 57 of them, as there. On a tie in score the later entry comes first.
    Where a file holds fewer than M per video on average, the curve is flat from there on.

    `thumos14` is the same retrieval up to M = 1000 in steps of one, with thresholds 0.5 to 1.
    The script that THUMOS14 papers share takes percentages of each video's list instead,
    interpolates between 200 points of the curve and measures overlap in whole frames; it thus
    extrapolates beyond the number of proposals given, and differs a little below it.

    Args:
        annotations: ground truth. The class `Ambiguous` is left out; a video without an
            instance is not among the V, but its proposals count in the file's total.
        proposals: labels are ignored. One that ends before it starts covers nothing.
        protocol: a key of `PROPOSAL_PROTOCOLS`.
        subset, ground_truth_set, blocked: as in `detection_map`, the set by default all.
        tiou: thresholds in (0, 1], as `parse_tiou`; None for the protocol's.
        max_proposals: M; None for the protocol's.
        strict: make it an error when a proposal's video is not among those annotated, or a video
            with instances has no proposal. Otherwise the former counts in the file's total, the
            latter as missed, and the result names them.
        merge_classes: take a segment that a file of detections repeats for several classes
            once, with its best score. Otherwise each repetition uses up a proposal.

    Raises:
        AttentadError: the protocol, subset or set is unknown, a threshold or `max_proposals` is
            out of range, no instance is left to find, a score or time is not finite, or `strict`
            finds a video.
    """
    check_choice(protocol, PROPOSAL_PROTOCOLS, "proposal protocol")
    rules = PROPOSAL_PROTOCOLS[protocol]
    thresholds = parse_tiou(rules.tiou if tiou is None else tiou)
    most = rules.max_proposals if max_proposals is None else int(max_proposals)
    if most < 1:
        raise AttentadError(f"the number of proposals per video must be at least 1, not {most}.")
    ground_truth = collect_ground_truth(
        annotations, subset=subset, ground_truth_set=ground_truth_set, blocked=blocked
    )
    # Without classes, and with the videos that hold any instance numbered from 0.
    holding, video = np.unique(ground_truth.instances.video, return_inverse=True)
    truth = replace(ground_truth.instances.classless(), video=video.astype(np.int64))
    videos = {ground_truth.videos[row]: number for number, row in enumerate(holding)}
    ranked, facts = _ranked(proposals, videos, ground_truth, strict, merge_classes)
    inside = ranked[ranked.video < len(videos)]
    sizes = np.bincount(inside.video, minlength=len(videos))
    # Of each video's list so many enter: together at most M·V, in proportion.
    ratio = most * float(len(videos)) / max(1, len(ranked))
    kept = np.minimum((sizes * ratio).astype(np.int64), sizes)
    retrieved = int(kept.sum())
    # The share of each list that column j = 1..M uses; above 1 means all.
    stretch = most * float(len(videos)) / max(1, retrieved)
    fractions = np.arange(1, most + 1) / float(most) * stretch
    used = np.minimum((kept[:, None] * fractions).astype(np.int64), kept[:, None])
    place = np.arange(len(inside)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # No column uses more than have entered: this only spares comparing the others.
    entered = place < kept[inside.video]
    recall = _recall(inside[entered], place[entered], truth, used, thresholds)
    means = recall.mean(axis=0)
    per_video = fractions * (retrieved / len(videos)) if retrieved else np.arange(1.0, most + 1)
    return ProposalResult(
        protocol=protocol,
        tiou=thresholds,
        proposals_per_video=per_video,
        recall=recall,
        at={number: float(means[number - 1]) for number in rules.reported if number <= most},
        ground_truth=ground_truth.facts,
        detections={
            **facts,
            "retrieved": retrieved,
            "videos_without_proposals": int((sizes == 0).sum()),
        },
    )


def _ranked(
    proposals: Detections,
    videos: Mapping[str, int],
    truth: GroundTruth,
    strict: bool,
    merge_classes: bool,
) -> tuple[Instances, dict[str, Any]]:
    """All proposals by video and falling score, ties later entry first; and the facts.

    Videos without instances are numbered behind those of `videos`.
    """
    flat = flat_detections(proposals, truth, strict=strict)
    video = flat.video(
        {name: videos.get(name, len(videos) + i) for i, name in enumerate(flat.sizes)}
    )
    order = np.lexsort((-np.arange(len(video)), -flat.scores, video))
    ranked = Instances(flat.segments[order], video[order], np.zeros(len(order), dtype=np.int64))
    if merge_classes:
        kinds = np.column_stack([ranked.video.astype(np.float64), ranked.segments])
        _, best = np.unique(kinds, axis=0, return_index=True)
        ranked = ranked[np.sort(best)]
    facts = {
        "total": sum(map(len, proposals.videos.values())),
        "evaluated": len(ranked),
        "videos": len(proposals.videos),
        "blocked_videos": len(proposals.videos) - len(flat.sizes),
        "videos_outside_ground_truth": dict(flat.outside),
        "undetected_videos": list(flat.undetected),
        "reversed": int(reversed_segments(ranked.segments).sum()),
        "reversed_count_as": "proposals that cover nothing",
    }
    return ranked, facts


def _recall(
    ranked: Instances, place: Ints, truth: Instances, used: Ints, thresholds: tuple[float, ...]
) -> Floats:
    """(J, M) share of the instances covered by the first `used[v]` proposals of their video."""
    pairs = overlapping_pairs(ranked, truth, min(thresholds))
    columns = used.shape[1]
    recall = np.zeros((len(thresholds), columns))
    nowhere = np.iinfo(np.int64).max
    for row, threshold in enumerate(thresholds):
        enough = pairs.tiou >= threshold
        # The place of the first proposal that covers an instance decides all columns at once.
        first = np.full(len(truth), nowhere)
        np.minimum.at(first, pairs.truth[enough], place[pairs.detection[enough]])
        hit = np.flatnonzero(first < nowhere)
        missed_columns = (used[truth.video[hit]] <= first[hit, None]).sum(axis=1)
        gained = np.bincount(missed_columns, minlength=columns + 1)[:columns]
        recall[row] = np.cumsum(gained) / len(truth)
    return recall
