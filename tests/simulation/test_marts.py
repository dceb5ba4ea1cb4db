"""Marts of random lives: what is refreshed by what is dirty, what a full refresh gives, and what an independent computation says."""

import os
from pathlib import Path

import pytest

from tests.simulation.mart_life import MartLife
from tests.support.mart_reference.examples import EXAMPLES
from worker.config import Marts
from worker.marts.collection import all_marts
from worker.marts.definition import with_inputs

LIVES = int(os.environ.get("MART_LIVES", "2"))
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", range(LIVES))
def test_incremental_marts_are_full_ones_and_the_recomputation_whatever_happens_on_the_way(seed: int, number: int, tmp_path: Path) -> None:
    life = MartLife(seed + number, tmp_path, messages=160)
    life.run()
    print(life.met)
    assert life.met["checks"], "no day was closed, so nothing was compared"


@pytest.mark.parametrize("number", range(LIVES))
def test_so_are_the_examples_of_a_users_own_marts(seed: int, number: int, tmp_path: Path) -> None:
    marts = all_marts(Marts(directory=ROOT / "examples" / "marts"))
    wanted = with_inputs(EXAMPLES, marts)
    life = MartLife(seed + number, tmp_path, 160, {name: marts[name] for name in wanted}, EXAMPLES)
    life.run()
    print(life.met)
    assert life.met["checks"], "no day was closed, so nothing was compared"
