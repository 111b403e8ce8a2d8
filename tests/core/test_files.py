"""Files appear whole or not at all, and unreadable ones are one sentence."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attentad.core import AttentadError
from attentad.core.files import (
    atomic_path,
    check_place,
    parse_json,
    read_bytes,
    read_json,
    remove_leftovers,
    write_bytes,
    write_json,
)


def listed(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_write_and_read_back(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "value.json"
    value = {"a": np.float32(0.5), "b": np.arange(3), "c": [1, None, "text"]}
    write_json(target, value)
    assert read_json(target) == {"a": 0.5, "b": [0, 1, 2], "c": [1, None, "text"]}
    assert listed(target.parent) == ["value.json"]
    umask = os.umask(0)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask


def test_gzipped_json(tmp_path: Path) -> None:
    path = tmp_path / "value.json.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}'))
    assert read_json(path) == {"a": 1}


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "kept.txt"
    target.write_text("old")

    def write_half() -> None:
        with atomic_path(target) as temporary:
            assert temporary.suffix == ".txt"
            assert temporary.parent == tmp_path
            temporary.write_text("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "old"
    assert listed(tmp_path) == ["kept.txt"]


FULL_DISK = """
import resource, sys
from attentad.core import AttentadError
from attentad.core.files import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(sys.argv[1], b"x" * 5000)
except AttentadError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
@pytest.mark.parametrize("existing", [False, True])
def test_no_room_to_write_leaves_nothing_new(tmp_path: Path, existing: bool) -> None:
    target = tmp_path / "big.bin"
    if existing:
        target.write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(target)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert f"{target} could not be written" in done.stdout
    assert done.stdout.count("\n") == 1
    assert listed(tmp_path) == (["big.bin"] if existing else [])
    if existing:
        assert target.read_text() == "old"


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AttentadError, match="could not be written"):
        write_bytes(tmp_path / "file" / "below.json", b"")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(AttentadError, match="could not be written"):
        write_bytes(tmp_path / "folder.json", b"")
    assert listed(tmp_path) == ["file", "folder.json"]


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(AttentadError, match=r"none\.json does not exist"):
        read_json(tmp_path / "none.json")
    with pytest.raises(AttentadError, match="could not be read"):
        read_bytes(tmp_path)
    bad = tmp_path / "bad.json"
    bad.write_text('{"a": 1,')
    with pytest.raises(AttentadError, match=r"bad\.json is not valid JSON"):
        read_json(bad)
    whole = gzip.compress(b'{"a": 1}' * 100)
    for name, content in {
        "text.json.gz": b"no gzip at all",
        "cut.json.gz": whole[:-12],
        "flipped.json.gz": whole[:12] + b"\xff\xff\xff" + whole[15:],
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AttentadError, match=f"{name} could not be read"):
            read_json(tmp_path / name)


def test_a_place_is_tried_without_leaving_a_trace(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("old")
    check_place(tmp_path / "kept.json")
    check_place(tmp_path / "new.json")
    assert listed(tmp_path) == ["kept.json"]
    assert (tmp_path / "kept.json").read_text() == "old"
    with pytest.raises(AttentadError, match="is a folder"):
        check_place(tmp_path)
    with pytest.raises(AttentadError, match="cannot be written"):
        check_place(tmp_path / "kept.json" / "below.json")


KILLED = """
import os, sys
from attentad.core.files import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os._exit(9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX")
def test_leftovers_of_a_killed_run_go_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "video.1.npy"
    subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False, timeout=60)
    (leftover,) = tmp_path.iterdir()
    for name in (".other-abcdefgh.npy", ".video.1-short.npy", ".video.1-abcdefgh.txt"):
        (tmp_path / name).write_text("of somebody else")
    kept = set(listed(tmp_path)) - {leftover.name}
    with atomic_path(target) as being_written:  # of a run that is alive
        remove_leftovers([target, tmp_path / "none" / "x.npy"])
        assert set(listed(tmp_path)) == kept | {being_written.name}
    assert set(listed(tmp_path)) == kept | {target.name}


def test_numbers_beyond_64_bits_are_floats_of_either_parser(tmp_path: Path) -> None:
    numbers = b"[1, -7, 18446744073709551616, -99999999999999999999]"
    plain = parse_json(numbers, tmp_path)
    with_nan = parse_json(numbers[:-1] + b", NaN, " + b"9" * 400 + b"]", tmp_path, allow_nan=True)
    assert with_nan[:4] == plain
    assert list(map(type, with_nan[:4])) == [int, int, float, float]
    assert np.isinf(with_nan[5])
