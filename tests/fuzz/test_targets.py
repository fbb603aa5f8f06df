"""The fuzz targets hold on their seeds and on seeds with bytes changed by chance, so that a broken target does not pass for a clean run."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.targets import TARGETS, seeds


@pytest.mark.parametrize("name", TARGETS)
def test_targets_hold_on_seeds_and_on_changed_seeds(name: str) -> None:
    rng = random.Random(9)
    for seed in seeds(name):
        TARGETS[name](seed)
        for _ in range(20):
            data = bytearray(seed)
            for _ in range(rng.randint(1, 6)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            TARGETS[name](bytes(data[: rng.randint(len(data) // 2, len(data))]))
