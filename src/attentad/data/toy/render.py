"""Drawing toy scenes with numpy: a plan in, frames out, nothing random that is not in the plan."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from attentad.data.toy.motions import FloatArray
from attentad.data.toy.scene import SIZE_PX, Look, ScenePlan, Track

Picture = NDArray[np.uint8]

_CHUNK = 32  # frames drawn together: numpy's cost per call is shared, the arrays stay in cache
_FINE = 4  # texels per pixel of the background, so that it drifts by quarters of a pixel
_TILE_PX = 64  # the background repeats after this
_TEXELS = 64  # texels across a sprite
_NOISE_STD = 5.0


def render(plan: ScenePlan) -> Iterator[Picture]:
    """The frames of a scene, each (SIZE_PX, SIZE_PX, 3) uint8 RGB."""
    rng = np.random.default_rng(plan.texture_seed)
    texture = _background(rng, plan)
    side = 2 * SIZE_PX
    noise = rng.normal(0.0, _NOISE_STD, size=(side, side, 3)).astype(np.float32)
    shifts = rng.integers(0, side - SIZE_PX, size=(plan.frames, 2))
    sprites = {id(track.look): _sprite(track.look) for track in plan.tracks}
    tile = _TILE_PX * _FINE
    corner = np.floor(plan.camera_px * _FINE).astype(np.int64) % tile
    for first in range(0, plan.frames, _CHUNK):
        last = min(first + _CHUNK, plan.frames)
        canvas = np.empty((last - first, SIZE_PX, SIZE_PX, 3), dtype=np.float32)
        span = SIZE_PX * _FINE
        for i in range(first, last):
            left, top = corner[i]
            canvas[i - first] = texture[top : top + span : _FINE, left : left + span : _FINE]
        for track in plan.tracks:
            _draw(canvas, first, track, sprites[id(track.look)])
        for i in range(first, last):
            down, right = shifts[i]
            canvas[i - first] += noise[down : down + SIZE_PX, right : right + SIZE_PX]
        np.clip(canvas, 0.0, 255.0, out=canvas)
        yield from canvas.astype(np.uint8)


def _background(rng: np.random.Generator, plan: ScenePlan) -> NDArray[np.float32]:
    """A cloudy texture that repeats, (2·tile, 2·tile, 3): any view fits without wrapping."""
    tile = _TILE_PX * _FINE
    texture = np.zeros((tile, tile, 3), dtype=np.float32)
    for cells, weight in ((4, 1.0), (8, 0.8), (16, 0.5)):
        grid = rng.normal(0.0, weight, size=(cells, cells, 3)).astype(np.float32)
        texture += _enlarge(_enlarge(grid, tile, 0), tile, 1)
    texture *= np.float32(plan.contrast) / texture.std()
    texture += plan.background.astype(np.float32)
    span = (_TILE_PX + SIZE_PX) * _FINE
    repeats = -(-span // tile)
    return np.tile(np.clip(texture, 0.0, 255.0), (repeats, repeats, 1))[:span, :span]


def _enlarge(grid: NDArray[np.float32], length: int, axis: int) -> NDArray[np.float32]:
    """Linear interpolation to `length` along an axis whose end joins its beginning."""
    at = np.arange(length, dtype=np.float32) * np.float32(grid.shape[axis] / length)
    low = np.floor(at).astype(np.int64)
    shape = [1, 1, 1]
    shape[axis] = length
    part = (at - low).reshape(shape).astype(np.float32)
    a = np.take(grid, low, axis=axis)
    b = np.take(grid, (low + 1) % grid.shape[axis], axis=axis)
    return a + part * (b - a)


def _sprite(look: Look) -> NDArray[np.float32]:
    """((_TEXELS + 2)², 4) red, green, blue, opacity 0..1; the outer ring of texels is clear."""
    at = (np.arange(_TEXELS) + 0.5) * (2.0 / _TEXELS) - 1.0
    u, v = np.meshgrid(at, at)
    inside = _inside(look.shape, u, v)
    sprite = np.zeros((_TEXELS + 2, _TEXELS + 2, 4), dtype=np.float32)
    body = sprite[1:-1, 1:-1]
    body[..., :3] = np.where((v > 0.0)[..., None], look.colours[0], look.colours[1])
    body[..., 3] = np.clip(0.5 + inside * (_TEXELS / 6.0), 0.0, 1.0)
    return sprite.reshape(-1, 4)


def _inside(shape: str, u: FloatArray, v: FloatArray) -> FloatArray:
    """About the distance to the outline, positive inside; u and v run over -1..1."""
    radius = np.hypot(u, v)
    abs_u, abs_v = np.abs(u), np.abs(v)
    heart = 0.47 - np.hypot(abs_u - 0.42, v + 0.35), 0.62 - 0.7 * abs_u - 0.7 * np.abs(v - 0.02)
    return {
        "disc": 0.9 - radius,
        "square": 0.75 - np.maximum(abs_u, abs_v),
        "triangle": np.minimum(0.45 - v, 0.45 + 0.5 * v - 0.87 * abs_u),
        "cross": np.minimum(0.32 - np.minimum(abs_u, abs_v), 0.9 - np.maximum(abs_u, abs_v)),
        "bar": np.minimum(0.42 - abs_v, 0.92 - abs_u),
        "ring": 0.27 - np.abs(radius - 0.65),
        "crescent": np.minimum(0.9 - radius, np.hypot(u - 0.5, v) - 0.55),
        "heart": np.maximum(*heart),
    }[shape]


def _draw(
    canvas: NDArray[np.float32], first: int, track: Track, sprite: NDArray[np.float32]
) -> None:
    """Blend a track into the frames `first`, `first + 1`, … of `canvas` (N, H, W, 3)."""
    begin = max(track.first_frame, first)
    end = min(track.first_frame + len(track.x_px), first + len(canvas))
    if end <= begin:
        return
    part = slice(begin - track.first_frame, end - track.first_frame)
    radius = track.scale[part] * (track.look.size_px / 2.0)
    patch = min(SIZE_PX, int(np.ceil(2.0 * radius.max())) + 2)
    # A window moved back into the picture still holds all that can be seen of the sprite.
    left = _window(track.x_px[part], patch)
    top = _window(track.y_px[part], patch)
    pixel = np.arange(patch) + 0.5
    right_px = (left[:, None] + pixel - track.x_px[part, None])[:, None, :]
    down_px = (top[:, None] + pixel - track.y_px[part, None])[:, :, None]
    cosine = (np.cos(track.angle_rad[part]) / radius)[:, None, None]
    sine = (np.sin(track.angle_rad[part]) / radius)[:, None, None]
    column = _texel(cosine * right_px + sine * down_px)
    row = _texel(cosine * down_px - sine * right_px)
    texels = np.take(sprite, row * (_TEXELS + 2) + column, axis=0)
    texels[..., 3] *= track.opacity[part, None, None]
    for i, (x, y) in enumerate(zip(left.tolist(), top.tolist(), strict=True)):
        view = canvas[begin - first + i, y : y + patch, x : x + patch]
        view += texels[i, :, :, 3:] * (texels[i, :, :, :3] - view)


def _window(centre_px: FloatArray, patch: int) -> NDArray[np.int64]:
    corner = np.floor(centre_px - patch / 2.0).astype(np.int64)
    return np.clip(corner, 0, SIZE_PX - patch)


def _texel(unit: FloatArray) -> NDArray[np.int64]:
    """Sprite coordinate -1..1 → texel 1.._TEXELS; beyond it the clear ring."""
    return np.clip((unit + 1.0) * (_TEXELS / 2.0) + 1.0, 0.0, _TEXELS + 1.0).astype(np.int64)
