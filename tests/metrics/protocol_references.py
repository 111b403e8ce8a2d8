"""The protocols as loops, one prediction or instance after the other, straight from the specs."""

from __future__ import annotations

import numpy as np

from attentad.core import Annotations, Detections, VideoAnnotation, VideoDetections, as_segments

Truth = list[tuple[str, str, float, float]]  # video, label, start, end
Found = list[tuple[str, str, float, float, float]]  # the same and a score


def annotations(truth: Truth, videos: list[str]) -> Annotations:
    """Ground truth of the named videos, in the order of the rows."""
    items = {}
    for video in videos:
        own = [row for row in truth if row[0] == video]
        items[video] = VideoAnnotation(
            as_segments([row[2:] for row in own]), tuple(row[1] for row in own)
        )
    return Annotations(items, tuple(sorted({row[1] for row in truth})))


def detections(found: Found, classes: tuple[str, ...]) -> Detections:
    """Detections with the videos in the order in which the rows first name them."""
    videos: dict[str, VideoDetections] = {}
    for video in dict.fromkeys(row[0] for row in found):
        own = [row for row in found if row[0] == video]
        videos[video] = VideoDetections(
            as_segments([row[2:4] for row in own]),
            np.array([row[4] for row in own]),
            np.array([classes.index(row[1]) for row in own]),
        )
    return Detections(videos, classes)


def by_video(found: Found) -> Found:
    """The order in which entries are counted: video after video."""
    order = list(dict.fromkeys(row[0] for row in found))
    return sorted(found, key=lambda row: order.index(row[0]))


def overlap(a: tuple[float, float], b: tuple[float, float]) -> float:
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - inter
    return inter / union if union > 0 else 0.0


def activitynet_ap(truth: Truth, found: Found, label: str, threshold: float) -> tuple[float, float]:
    """Average precision and recall of one class, spec csa §7.1."""
    instances = [row for row in truth if row[1] == label]
    ranked = sorted((row for row in found if row[1] == label), key=lambda row: row[4])[::-1]
    locked: set[int] = set()
    precision, recall, hits = [], [], 0
    for place, (video, _, start, end, _) in enumerate(ranked):
        own = [i for i, row in enumerate(instances) if row[0] == video]
        tious = {i: overlap((start, end), instances[i][2:]) for i in own}
        for i in sorted(own, key=tious.__getitem__)[::-1]:
            if tious[i] < threshold:
                break
            if i not in locked:
                locked.add(i)
                hits += 1
                break
        precision.append(hits / (place + 1))
        recall.append(hits / len(instances))
    precision, recall = [0.0, *precision, 0.0], [0.0, *recall, 1.0]
    for k in range(len(precision) - 2, -1, -1):
        precision[k] = max(precision[k], precision[k + 1])
    area = sum(
        (recall[k] - recall[k - 1]) * precision[k]
        for k in range(1, len(recall))
        if recall[k] != recall[k - 1]
    )
    return area, hits / len(instances)


def official_ap(truth: Truth, found: Found, label: str, threshold: float) -> tuple[float, float]:
    """The same by the THUMOS14 toolkit, spec hamnet §6.B."""
    judged = []
    for video in sorted({row[0] for row in [*truth, *found]}):
        own = [row for row in found if row[:2] == (video, label)]
        own.sort(key=lambda row: -row[4])
        taken: list[int] = []
        for instance in truth:
            if instance[:2] != (video, label):
                continue
            best, best_overlap = -1, threshold
            for i, row in enumerate(own):
                value = overlap(row[2:4], instance[2:])
                if i not in taken and value > best_overlap:
                    best, best_overlap = i, value
            if best >= 0:
                taken.append(best)
        for i, row in enumerate(own):
            ambiguous = any(
                other[:2] == (video, "Ambiguous") and overlap(row[2:4], other[2:]) > 0
                for other in truth
            )
            if i in taken or not ambiguous:
                judged.append((row[4], i in taken))
    judged.sort(key=lambda row: -row[0])
    return plain_ap([hit for _, hit in judged], sum(row[1] == label for row in truth))


def wtalc_ap(truth: Truth, found: Found, label: str, threshold: float) -> tuple[float, float]:
    """The same by W-TALC's evaluation, spec hamnet §6.C, on sets of snippets."""

    def snippets(start: float, end: float) -> set[int]:
        return set(range(round(start * 25 / 16), round(end * 25 / 16)))

    ambiguous = [row for row in truth if row[1] == "Ambiguous"]
    left = [row for row in truth if row[1] == label]
    count = len(left)
    hits = []
    for video, _, start, end, _ in sorted(
        (row for row in found if row[1] == label), key=lambda row: -row[4]
    ):
        own = snippets(start, end)
        if any(row[0] == video and own & snippets(*row[2:]) for row in ambiguous):
            continue
        hits.append(False)
        for row in left:
            other = snippets(*row[2:])
            either = own | other
            if row[0] == video and either and len(own & other) / len(either) >= threshold:
                left.remove(row)
                hits[-1] = True
                break
    return plain_ap(hits, count)


def plain_ap(hits: list[bool], count: int) -> tuple[float, float]:
    """Precision summed where a true positive stands, over the instances; and recall."""
    total, found = 0.0, 0
    for place, hit in enumerate(hits):
        if hit:
            found += 1
            total += found / (place + 1)
    return total / count, found / count


REFERENCES = {
    "activitynet": activitynet_ap,
    "thumos14": activitynet_ap,
    "thumos14-official": official_ap,
    "wtalc": wtalc_ap,
}
