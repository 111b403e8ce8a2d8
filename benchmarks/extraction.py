"""Extraction of features: decoding alone, the network alone, and both at once.

Decoder and network have one thread each, so that two cores are busy where both run at once. The
network is EfficientNet-Lite0, the backbone `image`, of random weights unless the package with the
real ones is here; what it costs does not depend on them. At stride s it looks at every s-th picture
of a video of 25 a second; all are decoded.

- decoding: `frames(path, fps, size_px=224)`, which scales and crops the pictures looked at.
- network: `snippet_features` on those pictures, decoded before.
- together: `VideoSource.read`, which is what `attentad extract` does with a video. The ratio is the
  time of the slower one of the two to that of both together, and 1 would be perfect.
- folded: the network with its batch norms inside its convolutions, against without.

Other work on the machine only ever adds time: the sides take turns, and the best round of each
counts. On a machine that is busy the wall clock says little of `together`, which needs two cores;
processor time is printed beside it.

    python benchmarks/extraction.py [--video FILE --pictures 1000 --strides 1 5 --rounds 5]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from attentad.backbones.backbone import Backbone
from attentad.backbones.efficientnet_lite0 import EfficientNetLite0, folded
from attentad.backbones.image import restored_image
from attentad.models.encode import VideoSource, snippet_features
from attentad.models.model import inferring
from attentad.video import frames, probe, write_video

TARGET = 0.85
FPS = 25.0
FOLDED_PICTURES = 8
TOLERANCE = 1e-4


class Seconds(NamedTuple):
    """The best round: by the clock on the wall, and of processors."""

    wall: float
    processor: float


def best(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Seconds]:
    """The best times of each call; they take turns."""
    times: dict[str, list[Seconds]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter(), time.process_time()
            call()
            ended = time.perf_counter(), time.process_time()
            times[name].append(Seconds(ended[0] - started[0], ended[1] - started[1]))
    return {
        name: Seconds(min(s.wall for s in of), min(s.processor for s in of))
        for name, of in times.items()
    }


def make_video(path: Path, pictures: int) -> Path:
    """A film of drifting blocks with some noise, 640 × 480."""
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 200, (30, 40, 3), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    grain = rng.integers(0, 40, scene.shape, dtype=np.uint8)
    write_video(path, (np.roll(scene, 2 * i, axis=1) + grain for i in range(pictures)), FPS)
    return path


def lite0() -> EfficientNetLite0:
    """The network as it is trained, of random weights and statistics."""
    torch.manual_seed(0)
    network = EfficientNetLite0(classes=None).eval()
    with torch.no_grad(), torch.random.fork_rng():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # as if it had seen pictures
                module.train().momentum = None
        network(torch.randint(0, 256, (4, 224, 224, 3), dtype=torch.uint8))
    return network.eval()


def image_at(stride: int, size_px: int) -> Backbone:
    """The backbone `image` for every `stride`-th picture."""
    backbone = restored_image({"fps": FPS / stride, "size_px": size_px}, {}, Path())
    return replace(backbone, network=folded(lite0()))


def compare_overlap(path: Path, stride: int, size_px: int, rounds: int) -> None:
    """Time decoding, network and both, and print them."""
    backbone = image_at(stride, size_px)
    source = VideoSource(backbone, {"video": path})
    fps, duration_sec = backbone.sampling.fps, probe(path).duration_sec

    def decode() -> list[np.ndarray]:
        return list(frames(path, fps, size_px=size_px, threads=1))

    pictures = decode()
    alone, _ = snippet_features(backbone, pictures, duration_sec)
    together = source.read("video").array
    times = best(
        {
            "decoding": decode,
            "network": lambda: snippet_features(backbone, pictures, duration_sec),
            "together": lambda: source.read("video"),
        },
        rounds,
    )
    print(f"stride {stride}: {len(pictures):,} pictures looked at, {size_px} px")
    for name, seconds in times.items():
        rate = len(pictures) / seconds.wall
        print(
            f"  {name:9} {seconds.wall:8.2f} s  {rate:8,.0f} pictures a second  "
            f"{seconds.processor:8.2f} s of processor time  {duration_sec / seconds.wall:6.1f} x "
            "real time"
        )
    ratio = max(times["decoding"].wall, times["network"].wall) / times["together"].wall
    same = "yes" if np.array_equal(alone, together) else "no"
    print(f"  slower / together {ratio:.2f} ({verdict(ratio >= TARGET)} {TARGET}); same: {same}")


def compare_folding(size_px: int, rounds: int) -> None:
    """Time the network with and without batch norms, and print both."""
    plain = lite0()
    made = folded(plain)
    generator = torch.Generator().manual_seed(1)
    size = (FOLDED_PICTURES, size_px, size_px, 3)
    pictures = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    with inferring(plain), inferring(made):
        features = plain(pictures).feature
        difference = ((features - made(pictures).feature).abs().max() / features.max()).item()
        calls = {"unfolded": lambda: plain(pictures), "folded": lambda: made(pictures)}
        times = best(calls, rounds)
    print(f"EfficientNet-Lite0, {FOLDED_PICTURES} pictures of {size_px} px")
    for name, seconds in times.items():
        print(f"  {name:9} {1000 * seconds.processor / FOLDED_PICTURES:8.2f} ms a picture")
    ratio = times["unfolded"].processor / times["folded"].processor
    told = verdict(difference <= TOLERANCE)
    print(
        f"  {ratio:.2f} x; differ by {difference:.1e} of the largest feature ({told} {TOLERANCE})"
    )


def verdict(is_met: bool) -> str:
    """A word for it."""
    return "meets" if is_met else "misses"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of the extraction of features.")
    parser.add_argument("--video", type=Path, help="of 25 pictures a second; else one is made")
    parser.add_argument("--pictures", type=int, default=1000, help="of the video that is made")
    parser.add_argument("--strides", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--size-px", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = options.video or make_video(Path(folder) / "made.mp4", options.pictures)
        for stride in options.strides:
            compare_overlap(path, stride, options.size_px, options.rounds)
    compare_folding(options.size_px, options.rounds)


if __name__ == "__main__":
    main()
