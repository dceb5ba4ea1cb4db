"""Marts of random lives: what is refreshed by what is dirty, what a full refresh gives, and what an independent computation says."""

import os
from pathlib import Path

import pytest

from tests.simulation.mart_life import MartLife

LIVES = int(os.environ.get("MART_LIVES", "4"))


@pytest.mark.parametrize("number", range(LIVES))
def test_incremental_marts_are_full_ones_and_the_recomputation_whatever_happens_on_the_way(seed: int, number: int, tmp_path: Path) -> None:
    life = MartLife(seed + number, tmp_path, messages=160)
    life.run()
    print(life.met)
    assert life.met["checks"], "no day was closed, so nothing was compared"
