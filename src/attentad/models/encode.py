"""R: what a backbone says of each snippet of a video, in one pass over its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attentad.backbones import Backbone
from attentad.core import Sampling, Timeline
from attentad.core.errors import UnreadableError
from attentad.core.progress import Progress
from attentad.data.tracks import Track
from attentad.models.model import inferring
from attentad.video import frames, probe
from attentad.video.ahead import ahead

Picture = NDArray[np.uint8]
# At a time through `Backbone.summarise`. A CPU gains nothing by more, and begins the sooner.
SNIPPETS = {"cpu": 8, "cuda": 32}
PICTURES = 32  # at a time through `Backbone.prepare`
AHEAD = 32  # snippets whose pictures may be decoded before they are needed


@dataclass(frozen=True)
class VideoSource:
    """Video files as tracks of R.

    Args:
        backbone: reads them.
        files: video id → file.
    """

    backbone: Backbone
    files: Mapping[str, Path]

    @property
    def videos(self) -> Sequence[str]:
        """Ids of the videos."""
        return tuple(self.files)

    def read(self, video: str, progress: Progress | None = None) -> Track:
        """R of one video (T, C); the file is streamed, and decoded while the backbone is busy.

        Args:
            video: its id.
            progress: called with (snippets done, snippets expected from the duration).

        Raises:
            AttentadError: the file is missing, is not a video, or holds no pictures.
        """
        path, sampling = self.files[video], self.backbone.sampling
        pictures = frames(
            path,
            sampling.fps,
            size_px=sampling.size_px,
            whole=sampling.crops > 1,
            threads=torch.get_num_threads(),
        )
        duration_sec = probe(path).duration_sec
        with ahead(pictures, AHEAD * sampling.stride_frames) as decoded:
            features, timeline = snippet_features(
                self.backbone, decoded, duration_sec, progress=progress
            )
        # The length was an estimate until the pictures had been read.
        duration_sec = pictures.duration_sec or timeline.duration_sec
        return Track(features, replace(timeline, duration_sec=duration_sec), duration_sec)


def snippet_features(
    backbone: Backbone,
    frames: Iterable[Picture],
    duration_sec: float,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> tuple[NDArray[np.float32], Timeline]:
    """R = [feature ; softmax of the class scores, if there are any] of every snippet.

    A snippet's window is centred on its stride; first and last frame are repeated beyond the
    ends (`Sampling.frame_indices`). The frames are streamed: no more of them are held than a
    batch of windows covers, and each is prepared once, if a window sees it.

    Args:
        backbone: used in evaluation mode, on the device where it is.
        frames: the video's pictures at `sampling.fps`, (H, W, 3) RGB; square where there is one
            crop. Where their short side is not `sampling.size_px`, they are rescaled.
        duration_sec: length of the video.
        batch_size: snippets at a time; changes nothing but speed and memory. None is 8 on a CPU
            and 32 on a GPU.
        progress: called with (snippets done, snippets expected from the duration).

    Returns:
        (T, C_feat + K) float32 and the timeline of the T snippets.

    Raises:
        UnreadableError: there are no frames.
    """
    sampling = backbone.sampling
    expected = sampling.timeline(round(duration_sec * sampling.fps), duration_sec).length
    rows: list[NDArray[np.float32]] = []
    prepared: dict[int, Tensor] = {}
    done = frame_count = 0
    with inferring(backbone.network) as device:
        at_once = batch_size or SNIPPETS.get(device.type, max(SNIPPETS.values()))
        for batch in _window_batches(frames, sampling, at_once):
            seen = np.unique(batch.numbers)
            prepared = {number: row for number, row in prepared.items() if number >= seen[0]}
            new = [number for number in seen.tolist() if number not in prepared]
            for first in range(0, len(new), PICTURES):
                some = new[first : first + PICTURES]
                pictures = _cropped([batch.held[k - batch.base] for k in some], sampling.crops)
                looked_at = backbone.prepare(backbone.network, pictures.to(device))
                prepared |= zip(some, looked_at.chunk(len(some)), strict=True)
            stream = torch.stack([prepared[number] for number in seen.tolist()], dim=1)
            indices = torch.from_numpy(np.searchsorted(seen, batch.numbers))
            row = _summarised(backbone, stream[:, indices.to(device)])
            rows.append(row.float().cpu().numpy())
            done, frame_count = done + len(row), batch.read
            if progress is not None:
                progress(done, max(done, expected))
    if not rows:
        raise UnreadableError("the video holds no frames; check that it plays.")
    return np.concatenate(rows), sampling.timeline(frame_count, duration_sec)


def _cropped(pictures: Sequence[Picture], crops: int) -> Tensor:
    """F pictures (H, W, 3) → (F · crops, S, S, 3), those of a picture one after the other."""
    stacked = torch.from_numpy(np.stack(pictures))
    if crops == 1:
        return stacked
    height, width = stacked.shape[1:3]
    side = min(height, width)
    places = [
        ((height - side) * i // (crops - 1), (width - side) * i // (crops - 1))
        for i in range(crops)
    ]
    squares = [stacked[:, top : top + side, left : left + side] for top, left in places]
    return torch.stack(squares, dim=1).flatten(0, 1)


def _summarised(backbone: Backbone, snippets: Tensor) -> Tensor:
    """R of snippets (crops, B, L, …), the mean over their crops: (B, C_feat + K)."""
    output = backbone.summarise(backbone.network, snippets.flatten(0, 1))
    row = output.feature
    if output.logits is not None:
        row = torch.cat([row, output.logits.softmax(dim=1)], dim=1)
    return row.unflatten(0, snippets.shape[:2]).mean(dim=0)


class _Windows(NamedTuple):
    """A batch of windows.

    Args:
        numbers: (n, L) of their frames in the video.
        held: pictures of the video from number `base` on.
        read: frames of the video so far.
    """

    numbers: NDArray[np.int64]
    held: Sequence[Picture]
    base: int
    read: int


def _window_batches(
    frames: Iterable[Picture], sampling: Sampling, batch_size: int
) -> Iterator[_Windows]:
    """All windows, as soon as the frames of a batch of them are there."""
    first, stride, length = sampling.first_frame, sampling.stride_frames, sampling.window_frames
    held: list[Picture] = []
    base = 0  # number of the frame held[0]
    row = 0  # next snippet

    def batch(last_row: int) -> _Windows:
        count = base + len(held)
        starts = first + stride * np.arange(row, last_row)[:, None]
        numbers = np.clip(starts + np.arange(length), 0, count - 1)
        return _Windows(numbers, held, base, count)

    for frame in frames:
        held.append(frame)
        # Frames up to the last one of the batch's last window are there.
        if base + len(held) == first + stride * (row + batch_size - 1) + length:
            yield batch(row + batch_size)
            row += batch_size
            # The last frame is kept in any case: windows beyond the end repeat it.
            unused = min(first + stride * row - base, len(held) - 1)
            if unused > 0:
                del held[:unused]
                base += unused
    count = base + len(held)
    total = sampling.timeline(count, 1.0).length if count else 0
    while row < total:
        yield batch(min(row + batch_size, total))
        row += batch_size
