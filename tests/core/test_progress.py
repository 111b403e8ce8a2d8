"""Progress: fractions within an item, and lines where there is no terminal."""

from __future__ import annotations

from attentad.core.progress import Lines, each_named


def test_progress_grows_in_fractions_within_an_item() -> None:
    told: list[tuple[float, int, str]] = []
    for name, within in each_named(["a", "b"], lambda *now: told.append(now)):
        if name == "b":
            within(1, 4)
            within(9, 4)  # more than was expected
            within(0, 0)
    assert told == [
        (0, 2, "a"),
        (1, 2, "b"),
        (1.25, 2, "b"),
        (2.0, 2, "b"),
        (1.0, 2, "b"),
        (2, 2, ""),
    ]


def test_without_a_listener_the_names_come_alone() -> None:
    names = []
    for name, within in each_named(["a", "b"], None):
        within(1, 2)
        names.append(name)
    assert names == ["a", "b"]


def test_a_line_now_and_then_with_the_time_left() -> None:
    now, said = [0.0], []
    lines = Lines("detecting", every_sec=30, clock=lambda: now[0], say=said.append)
    for second, done in ((0, 0.0), (10, 0.1), (30, 0.25), (40, 0.3), (61, 1.75), (95, 1.75)):
        now[0] = second
        lines(done, 2, "mouse\x1b[2J" if second == 30 else "m" * 50)
    assert said == [
        "detecting: 0 of 2, mouse\ufffd[2J at 25 %, about 0:03:30 left",
        f"detecting: 1 of 2, {'m' * 15}…{'m' * 15} at 75 %, about 0:00:05 left",
        f"detecting: 1 of 2, {'m' * 15}…{'m' * 15} at 75 %",
    ]
