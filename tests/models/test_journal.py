"""The journal of `detect`: what was kept is what is read, and nothing else is ever taken for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from attentad.core import Timeline, VideoDetections
from attentad.core.found import Curve, Found, Profile
from attentad.models.journal import Entry, Journal, key_of

any_float = st.floats(allow_nan=False, width=64)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    n, m = draw(st.integers(0, 4)), draw(st.integers(0, 5))
    detections = VideoDetections(
        draw(arrays.arrays(np.float64, (n, 2), elements=any_float)),
        draw(arrays.arrays(np.float64, n, elements=any_float)),
        draw(arrays.arrays(np.int64, n)),
    )
    curves = tuple(
        Curve(name, np.arange(m, dtype=np.float64), np.ones(m, np.float32), "attention")
        for name in draw(st.lists(st.text(), max_size=2))
    )
    probabilities = draw(st.none() | arrays.arrays(np.float64, 3, elements=any_float))
    timeline = Timeline(draw(st.integers(1, 9)), 12.5, 5, 16, draw(st.floats(0.1, 1e6)), -5.5)
    profiles = [
        Profile(name, draw(arrays.arrays(np.float32, 2)))
        for name in draw(st.lists(st.text(), max_size=2))
    ]
    return Entry(
        Found(detections, probabilities, curves, profiles),
        timeline,
        tuple(draw(st.lists(st.text()))),
    )


@given(entries())
@settings(deadline=None, max_examples=40)
def test_an_entry_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, entry: Entry
) -> None:
    journal = Journal(tmp_path_factory.mktemp("journal"))
    key = key_of("v", 1.5, b"bytes")
    journal.keep(key, entry)
    back = journal.read(key)
    assert back is not None
    assert (back.timeline, back.notes) == (entry.timeline, entry.notes)
    for name in ("segments", "scores", "labels"):
        before = getattr(entry.found.detections, name)
        after = getattr(back.found.detections, name)
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)
    np.testing.assert_equal(back.found.class_probabilities, entry.found.class_probabilities)
    assert [(c.name, c.kind) for c in back.found.curves] == [
        (c.name, c.kind) for c in entry.found.curves
    ]
    for before, after in zip(entry.found.curves, back.found.curves, strict=True):
        np.testing.assert_array_equal(before.value, after.value)
        assert before.value.dtype == after.value.dtype
    assert [p.name for p in back.found.profiles] == [p.name for p in entry.found.profiles]
    for before, after in zip(entry.found.profiles, back.found.profiles, strict=True):
        np.testing.assert_array_equal(before.value, after.value)


def test_what_is_missing_or_damaged_is_looked_at_again(tmp_path: Path) -> None:
    journal = Journal.beside(tmp_path / "found.json")
    assert journal.read(key_of("v")) is None
    journal.folder.mkdir()
    for content in (b"", b"PK\x03\x04 cut", b"text"):
        (journal.folder / f"{key_of('v')}.safetensors").write_bytes(content)
        assert journal.read(key_of("v")) is None
    journal.remove()
    assert not list(tmp_path.iterdir())


def test_a_key_tells_all_that_it_is_made_of_apart() -> None:
    keys = [
        key_of("a", "b"),
        key_of("ab"),
        key_of("a", b"b"),
        key_of("b", "a"),
        key_of("a", "b", None),
    ]
    assert len(set(keys)) == len(keys)
    assert key_of("a", {"x": 1}) == key_of("a", {"x": 1})
