"""R: what a recogniser says of each snippet of a video, in one pass over its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attentad.backbones.pictures import normalised, resized
from attentad.core import AttentadError, Sampling, Timeline
from attentad.core.progress import Progress
from attentad.data.tracks import Track
from attentad.models.model import RecogniserModel, inferring
from attentad.video import frames, probe

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class VideoSource:
    """Video files as tracks of R.

    Args:
        model: the recogniser that reads them.
        files: video id → file.
    """

    model: RecogniserModel
    files: Mapping[str, Path]

    @property
    def videos(self) -> Sequence[str]:
        """Ids of the videos."""
        return tuple(self.files)

    def read(self, video: str, progress: Progress | None = None) -> Track:
        """R of one video (T, C); the file is streamed.

        Args:
            video: its id.
            progress: called with (snippets done, snippets expected from the duration).

        Raises:
            AttentadError: the file is missing, is not a video, or holds no pictures.
        """
        path, sampling = self.files[video], self.model.sampling
        pictures = frames(path, sampling.fps, size_px=sampling.size_px)
        features, timeline = snippet_features(
            self.model.network,
            pictures,
            probe(path).duration_sec,
            sampling,
            mean=self.model.recipe.mean,
            std=self.model.recipe.std,
            progress=progress,
        )
        # The length was an estimate until the pictures had been read.
        duration_sec = pictures.duration_sec or timeline.duration_sec
        return Track(features, replace(timeline, duration_sec=duration_sec), duration_sec)


def snippet_features(
    network: nn.Module,
    frames: Iterable[Picture],
    duration_sec: float,
    sampling: Sampling,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    batch_size: int = 32,
    progress: Progress | None = None,
) -> tuple[NDArray[np.float32], Timeline]:
    """R = [pooled feature ; softmax of the class scores] of every snippet.

    A snippet's window is centred on its stride; first and last frame are repeated beyond the
    ends (`Sampling.frame_indices`). The frames are streamed: no more of them are held than a
    batch of windows covers.

    Args:
        network: a recogniser; used in evaluation mode, on the device where it is.
        frames: the video's pictures at `sampling.fps`, (H, W, 3) RGB, square; another size than
            `sampling.size_px` is rescaled.
        duration_sec: length of the video.
        sampling: window and stride in frames.
        mean, std: of RGB in 0..1, as in training.
        batch_size: snippets at a time; changes nothing but speed and memory.
        progress: called with (snippets done, snippets expected from the duration).

    Returns:
        (T, C_feat + K) float32 and the timeline of the T snippets.

    Raises:
        AttentadError: there are no frames.
    """
    expected = sampling.timeline(round(duration_sec * sampling.fps), duration_sec).length
    rows: list[NDArray[np.float32]] = []
    done = frame_count = 0
    with inferring(network) as device:
        for pictures, indices, read in _window_batches(frames, sampling, batch_size):
            stream = normalised(torch.from_numpy(pictures).to(device), mean, std)
            output = network(_gather(resized(stream, sampling.size_px), indices))
            row = torch.cat([output.feature, output.logits.softmax(dim=1)], dim=1)
            rows.append(row.float().cpu().numpy())
            done, frame_count = done + len(row), read
            if progress is not None:
                progress(done, max(done, expected))
    if not rows:
        raise AttentadError("the video holds no frames; check that it plays.")
    return np.concatenate(rows), sampling.timeline(frame_count, duration_sec)


def _gather(stream: Tensor, indices: NDArray[np.int64]) -> Tensor:
    """Frames (3, F, H, W) and indices (n, L) → clips (n, 3, L, H, W)."""
    flat = torch.from_numpy(indices.reshape(-1)).to(stream.device)
    clips = stream.index_select(1, flat).unflatten(1, indices.shape)
    return clips.transpose(0, 1)


def _window_batches(
    frames: Iterable[Picture], sampling: Sampling, batch_size: int
) -> Iterator[tuple[Picture, NDArray[np.int64], int]]:
    """Batches of windows: pictures (F, H, W, 3), indices (n, L) into them, frames read so far."""
    first, stride, length = sampling.first_frame, sampling.stride_frames, sampling.window_frames
    held: list[Picture] = []
    base = 0  # number of the frame held[0]
    row = 0  # next snippet

    def batch(last_row: int) -> tuple[Picture, NDArray[np.int64], int]:
        count = base + len(held)
        starts = first + stride * np.arange(row, last_row)[:, None]
        numbers = np.clip(starts + np.arange(length), 0, count - 1)
        low, high = int(numbers.min()), int(numbers.max())
        return np.stack(held[low - base : high - base + 1]), numbers - low, count

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
