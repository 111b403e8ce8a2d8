"""Randomness as a pure function of (seed, epoch, step or item), so that nothing needs replaying."""

from __future__ import annotations

import random

import numpy as np
import torch

# What a stream of random numbers is for; streams of one seed never meet.
INITIAL, ORDER, ITEM, STEP, VALIDATION = range(5)


def derived_seed(*key: int) -> int:
    """A 63-bit seed from non-negative integers; another key gives an unrelated seed."""
    words = np.random.SeedSequence(key).generate_state(2, np.uint64)
    return int(words[0] >> np.uint64(1))


def seed_all(*key: int) -> None:
    """Seed Python's, numpy's and torch's global generators (every GPU's too) from a key."""
    seed = derived_seed(*key)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (data sets may use the global generator)
    torch.manual_seed(seed)


def seed_initial(seed: int) -> None:
    """Seed everything before a network is built, so that its first weights repeat."""
    seed_all(seed, INITIAL)
