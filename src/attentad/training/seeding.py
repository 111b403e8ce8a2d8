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
    """Seed Python's, numpy's and torch's global generators (GPUs' where in use) from a key."""
    seed = derived_seed(*key)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (data sets may use the global generator)
    # torch.manual_seed takes ten times as long for each step and item: where no GPU is in use
    # it formats the stack, in case one comes into use later.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


def seed_initial(seed: int) -> None:
    """Seed everything before a network is built, so that its first weights repeat."""
    seed_all(seed, INITIAL)
    torch.manual_seed(derived_seed(seed, INITIAL))  # also of a GPU that comes into use later
