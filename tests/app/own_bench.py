"""Videos with actions that one sees at a glance, and tables of them, for tests of `train own`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from attentad.video import write_video

FPS = 10
SECONDS = 12
COLOURS = {"jump": (220, 40, 40), "run": (40, 220, 40)}
Action = tuple[float, float, str]


def actions_of(seed: int) -> list[Action]:
    """Two or three actions of a video of `SECONDS`."""
    rng = np.random.default_rng(seed)
    starts = rng.uniform((0.5, 4.5, 8.5), (1.5, 5.5, 9.0))
    names = [*COLOURS, *rng.choice([*COLOURS], 1)]
    rng.shuffle(names)
    return [(round(s, 2), round(s + 2.5, 2), n) for s, n in zip(starts, names, strict=True)]


def draw_actions(path: Path, actions: Iterable[Action], seed: int) -> None:
    """A grey video of noise that takes the colour of the action."""
    rng = np.random.default_rng(seed)
    pictures = []
    for frame in range(SECONDS * FPS):
        colour = next(
            (COLOURS[name] for start, end, name in actions if start <= frame / FPS < end), (90,) * 3
        )
        noise = rng.integers(-20, 20, (32, 32, 3))
        pictures.append(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))
    write_video(path, pictures, FPS)


def make_videos(folder: Path, count: int) -> dict[str, list[Action]]:
    """So many of them in a folder; video → its actions."""
    videos = {f"mouse{i % 3}_{i:02d}": actions_of(i) for i in range(count)}
    for i, (video, actions) in enumerate(videos.items()):
        draw_actions(folder / f"{video}.mp4", actions, i)
    return videos


def write_table(
    path: Path, videos: Mapping[str, Iterable[Action]], extra: Mapping[str, Mapping[str, str]]
) -> Path:
    """Annotations as CSV; `extra` is column → video → cell."""
    lines = [",".join(("video", "start", "end", "label", *extra))]
    for video, actions in videos.items():
        cells = [column[video] for column in extra.values()]
        lines += [",".join((video, f"{s}", f"{e}", label, *cells)) for s, e, label in actions]
    path.write_text("\n".join(lines) + "\n")
    return path
