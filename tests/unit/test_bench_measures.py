"""What the benchmark makes of the clocks: how late a message is seen, and how memory grows."""

import pytest

from tests.bench.caught_up import latencies
from tests.bench.growth import slope
from tests.bench.live import Commit
from tests.bench.report import MIB
from worker.events import Partition

ONE, TWO = Partition("orders", 0), Partition("orders", 1)


def test_a_message_is_seen_with_the_first_commit_that_passes_its_offset() -> None:
    commits = [Commit(10.0, 2, {ONE: 2}), Commit(11.0, 0, {}), Commit(12.0, 3, {ONE: 4, TWO: 1})]
    sent = {ONE: [9.0, 9.5, 9.75, 10.5], TWO: [11.5]}
    assert latencies(sent, commits, {}).tolist() == [1.0, 0.5, 2.25, 1.5, 0.5]
    assert latencies(sent, commits, {ONE: 3}).tolist() == [1.5, 0.5]


def test_the_slope_of_memory_is_that_after_the_beginning() -> None:
    commits = [(1_000_000, 1.0, mib * MIB) for mib in (100, 400, 410, 420, 430)]
    assert slope(commits, 1_000_000) == pytest.approx(10.0)


def test_too_few_commits_tell_no_slope() -> None:
    with pytest.raises(SystemExit, match="tell no slope"):
        slope([(1_000_000, 1.0, MIB)], 0)
