"""The display matrix: how a phone's picture has to be turned to stand upright."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray


@dataclass(frozen=True)
class Orientation:
    """A turn by a multiple of 90 degrees, maybe mirrored: swap the axes first, then flip."""

    swap_axes: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def upright(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Stored picture (H, W, C) → shown picture, a view."""
        if self.swap_axes:
            picture = picture.transpose(1, 0, 2)
        picture = picture[::-1] if self.flip_rows else picture
        return picture[:, ::-1] if self.flip_columns else picture

    def shown(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Stored (width, height) → shown (width, height)."""
        return (height_px, width_px) if self.swap_axes else (width_px, height_px)

    @property
    def rotation_deg(self) -> int:
        """Clockwise turn, 0, 90, 180 or 270; for a mirrored picture that of its horizontal axis."""
        if self.swap_axes:
            return 270 if self.flip_rows else 90
        return 180 if self.flip_columns else 0


def orientation(frame: VideoFrame) -> Orientation:
    """How to show a decoded frame; angles between the right ones go to the nearest."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation()
    # Rows (a, b, u), (c, d, v), (x, y, w): a stored point (p, q) is shown at
    # (a·p + c·q + x, b·p + d·q + y), q counted downwards.
    a, b, _, c, d = np.frombuffer(data, dtype=np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(flip_rows=d < 0, flip_columns=a < 0)
    return Orientation(swap_axes=True, flip_rows=b < 0, flip_columns=c < 0)
