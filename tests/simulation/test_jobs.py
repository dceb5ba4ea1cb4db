"""Jobs beside the live stream under random streams, pieces in any order, crashes and losses, against an independent recomputation."""

from pathlib import Path

import pytest

from tests.simulation.jobs import JobLife


@pytest.mark.parametrize("number", range(3))
def test_stream_replays_rebuilds_and_backfills_come_to_the_tables_of_one_batch_in_any_order(seed: int, number: int, tmp_path: Path) -> None:
    life = JobLife(seed + number, tmp_path, messages=120)
    life.run()
    print(life.met)
    assert life.met["pieces"], "no job committed anything, so nothing was compared"
