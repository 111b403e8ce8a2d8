"""20,000 damaged, odd and hostile files over all readers, see `tests/fuzz.py`."""

from __future__ import annotations

import pytest
from tests.fuzz import MOST_GROWTH_MIB, run
from tests.fuzz_seeds import KINDS

COUNT = 20_000
_WEIGHTS = sum(kind.weight for kind in KINDS.values())


@pytest.mark.parametrize("name", KINDS)
def test_nothing_but_a_sentence_comes_of_a_mutated_file(name: str) -> None:
    tally = run(COUNT * KINDS[name].weight // _WEIGHTS + 1, names=(name,))
    assert tally.finds == {}
    assert tally.growth_mib < MOST_GROWTH_MIB
