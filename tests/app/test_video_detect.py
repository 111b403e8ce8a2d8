"""Video files → features → detections → page, on real clips of many kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.bench import draw

from attentad.app.detect import write_run
from attentad.core import AttentadError
from attentad.data.features import open_features
from attentad.data.video_files import find_videos
from attentad.models.extract import extract_features
from attentad.models.file import load_backbone
from attentad.models.run import load
from attentad.video import probe

CLIPS = Path(__file__).parents[3] / "shared" / "data" / "clips"


@pytest.mark.skipif(not CLIPS.is_dir(), reason="shared/data/clips is not here")
def test_real_clips_of_every_kind(detector: Path, tmp_path: Path) -> None:
    clips = sorted(CLIPS.glob("*.*")) + sorted((CLIPS / "ucf101").glob("v_*"))[:3]
    run = load(detector).detect(clips)
    assert not run.notes
    for clip in clips:
        info, timeline = probe(clip), run.timelines[clip.stem]
        assert timeline.duration_sec == pytest.approx(info.duration_sec)
        assert abs(timeline.end_sec - info.duration_sec) <= timeline.step_sec
        found = run.detections.videos[clip.stem]
        assert len(found) > 0
        assert found.segments.min() >= 0
        assert found.segments.max() <= info.duration_sec + 1e-9
    write_run(run, tmp_path / "found.json", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert all(clip.stem in page for clip in clips)


def test_detecting_in_video_equals_detecting_in_its_features(
    detector: Path, encoder_model: Path, tmp_path: Path
) -> None:
    draw(tmp_path / "a.mp4", 7.3)
    extract_features(load_backbone(encoder_model), [tmp_path / "a.mp4"], tmp_path / "features")
    by_video = load(detector).detect([tmp_path / "a.mp4"]).detections.videos["a"]
    by_features = load(detector).detect([tmp_path / "features"]).detections.videos["a"]
    np.testing.assert_allclose(by_video.segments, by_features.segments)
    np.testing.assert_allclose(by_video.scores, by_features.scores, rtol=1e-5)


def test_extract_goes_on_where_it_stopped(encoder_model: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw(tmp_path / "videos" / f"{name}.mp4", 3)
    out = tmp_path / "features"
    extract_features(load_backbone(encoder_model), [tmp_path / "videos"], out)
    store = open_features(out)
    assert sorted(store.readers) == ["a", "b"]
    sidecar = store.sidecar("a")
    assert sidecar is not None
    assert sidecar.score_classes == ("jump", "run")
    first, stop = sidecar.score_columns or (0, 0)
    np.testing.assert_allclose(store.load("a")[:, first:stop].sum(axis=1), 1, rtol=1e-5)
    before = (out / "a.npy").stat().st_mtime_ns
    (out / "b.json").unlink()  # as if the run had been killed in between
    extract_features(load_backbone(encoder_model), [tmp_path / "videos"], out)
    assert (out / "a.npy").stat().st_mtime_ns == before
    assert (out / "b.json").exists()


def test_a_truncated_video_gives_a_note_and_what_could_be_read(
    detector: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cut.mkv"
    draw(path, 20)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    run = load(detector).detect([path])
    assert len(run.notes) == 1
    assert path.name in run.notes[0]


def test_names_must_differ(detector: Path, encoder_model: Path, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        draw(tmp_path / folder / "a.mp4", 1)
    inputs = [tmp_path / "x", tmp_path / "y"]
    with pytest.raises(AttentadError, match="share a name"):
        extract_features(load_backbone(encoder_model), inputs, tmp_path / "features")
    with pytest.raises(AttentadError, match="named a"):
        load(detector).detect(inputs)
    assert [path.name for path in find_videos(inputs)[0]] == ["a.mp4", "a.mp4"]
