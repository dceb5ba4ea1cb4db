"""The worker under random streams, crashes and restarts, against an independent recomputation."""

from pathlib import Path

import pytest

from tests.simulation.simulation import Simulation


@pytest.mark.parametrize("number", range(4))
def test_every_table_equals_the_recomputation_whatever_happens_on_the_way(seed: int, number: int, tmp_path: Path) -> None:
    simulation = Simulation(seed + number, tmp_path, messages=600)
    simulation.run()
    print(simulation.met)
    assert simulation.met["commits"], "nothing was committed, so nothing was compared"
