"""The watermark: a machine without a clock, tried by hand and by random lives."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from worker.decode import ReportingZone
from worker.events import Partition
from worker.watermark import Idleness, WatermarkRules, WatermarkState

A, B, C = (Partition("orders", number) for number in range(3))
BOTH = frozenset({A, B})
NONE: frozenset[Partition] = frozenset()
MINUTE = 60_000_000
FRESH = WatermarkState()


def rules(zone: str = "UTC", delay: timedelta = timedelta(0), lateness: timedelta = timedelta(0)) -> WatermarkRules:
    return WatermarkRules(ReportingZone(zone), delay, lateness)


def micros(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def test_it_is_the_least_over_the_partitions_less_the_delay() -> None:
    state = rules(delay=timedelta(minutes=5)).advanced(FRESH, {A: 60 * MINUTE, B: 20 * MINUTE}, BOTH, NONE)
    assert state.value == 15 * MINUTE


def test_a_partition_that_was_not_heard_yet_holds_it() -> None:
    assert rules().advanced(FRESH, {A: 60 * MINUTE}, BOTH, NONE).value is None


def test_an_idle_partition_holds_nobody_back() -> None:
    state = rules().advanced(FRESH, {A: 60 * MINUTE, B: 20 * MINUTE}, BOTH, frozenset({B}))
    assert state.value == 60 * MINUTE


def test_all_idle_holds() -> None:
    state = rules().advanced(FRESH, {A: 60 * MINUTE, B: 20 * MINUTE}, BOTH, NONE)
    assert rules().advanced(state, {}, BOTH, BOTH).value == 20 * MINUTE


def test_one_that_was_idle_and_comes_back_late_does_not_turn_it_back() -> None:
    state = rules().advanced(FRESH, {A: 60 * MINUTE}, BOTH, frozenset({B}))
    state = rules().advanced(state, {B: 20 * MINUTE}, BOTH, NONE)
    assert state.value == 60 * MINUTE
    assert rules().advanced(state, {A: 90 * MINUTE, B: 70 * MINUTE}, BOTH, NONE).value == 70 * MINUTE


def test_a_partition_that_is_added_holds_it_until_it_was_heard() -> None:
    state = rules().advanced(FRESH, {A: 60 * MINUTE, B: 60 * MINUTE}, BOTH, NONE)
    three = BOTH | {C}
    state = rules().advanced(state, {A: 90 * MINUTE, B: 90 * MINUTE}, three, NONE)
    assert state.value == 60 * MINUTE
    assert rules().advanced(state, {C: 80 * MINUTE}, three, NONE).value == 80 * MINUTE


def test_a_partition_that_is_read_no_more_holds_nobody_back() -> None:
    state = rules().advanced(FRESH, {A: 60 * MINUTE, B: 20 * MINUTE}, BOTH, NONE)
    assert rules().advanced(state, {A: 90 * MINUTE}, frozenset({A}), NONE).value == 90 * MINUTE


@pytest.mark.parametrize(
    ("zone", "last_instant_open", "closed_before"),
    [
        ("UTC", "2026-03-05 23:59:59", "2026-03-06"),
        ("Europe/Berlin", "2026-03-29 21:59:59", "2026-03-30"),  # a day of 23 hours
        ("Europe/Berlin", "2025-10-26 22:59:59", "2025-10-27"),  # a day of 25 hours
        ("America/Sao_Paulo", "2018-11-04 02:59:59", "2018-11-04"),  # midnight does not occur
        ("America/Sao_Paulo", "2018-02-18 02:59:59", "2018-02-18"),  # the hour before midnight comes twice
        ("Pacific/Apia", "2011-12-30 09:59:59", "2011-12-31"),  # the 30th does not occur
        ("Asia/Kathmandu", "2026-03-05 18:14:59", "2026-03-06"),
    ],
)
@pytest.mark.parametrize("lateness", [timedelta(0), timedelta(hours=6), timedelta(days=1)])
def test_a_day_closes_at_its_end_on_the_clock_plus_the_lateness(
    zone: str, last_instant_open: str, closed_before: str, lateness: timedelta
) -> None:
    """Lateness is a duration: a day of allowed lateness are 24 hours, whatever the clocks do meanwhile."""
    machine = rules(zone, lateness=lateness)
    last = micros(last_instant_open) + lateness // timedelta(microseconds=1)
    before = machine.advanced(FRESH, {A: last}, frozenset({A}), NONE)
    after = machine.advanced(before, {A: last + 1_000_000}, frozenset({A}), NONE)
    assert before.closed_before is not None
    assert before.closed_before < date.fromisoformat(closed_before) == after.closed_before


def test_where_the_clock_goes_back_over_midnight_a_closed_day_stays_closed() -> None:
    """In St John's, on 7 November 2010 at one minute past midnight, it was 23:01 of the 6th again."""
    machine = rules("America/St_Johns")
    state = machine.advanced(FRESH, {A: micros("2010-11-07 02:30:30")}, frozenset({A}), NONE)
    assert state.closed_before == date(2010, 11, 7)
    state = machine.advanced(state, {A: micros("2010-11-07 02:45:00")}, frozenset({A}), NONE)
    assert state.closed_before == date(2010, 11, 7)


def test_a_lateness_of_a_lifetime_closes_nothing_that_there_is() -> None:
    state = rules(lateness=timedelta(days=50_000)).advanced(FRESH, {A: micros("1980-01-01 00:00:00")}, frozenset({A}), NONE)
    assert state.closed_before is not None
    assert state.closed_before < date(1980, 1, 1)


def test_a_partition_is_idle_at_its_end_once_it_was_silent_for_the_timeout() -> None:
    idleness = Idleness(timedelta(seconds=60))
    idleness.observe({A}, 100.0)
    assert idleness.idle({A}, 159.9) == NONE
    assert idleness.idle({A}, 160.0) == {A}
    idleness.observe({A}, 161.0)
    assert idleness.idle({A}, 162.0) == NONE


def test_a_partition_that_is_not_at_its_end_is_never_idle() -> None:
    idleness = Idleness(timedelta(seconds=60))
    idleness.observe({A}, 0.0)
    assert idleness.idle(NONE, 1_000_000.0) == NONE


def test_a_partition_that_is_empty_is_idle_at_once() -> None:
    assert Idleness(timedelta(seconds=60)).idle({A}, 0.0) == {A}


TIMES = st.integers(micros("2018-10-25 00:00:00"), micros("2018-11-20 00:00:00"))
PARTITIONS = st.sampled_from([A, B, C])
ZONES = st.sampled_from(["UTC", "America/Sao_Paulo", "America/St_Johns", "Pacific/Apia"])


class Life(RuleBasedStateMachine):
    """Batches, silence, restarts; beside it, a model that remembers every event."""

    def __init__(self) -> None:
        super().__init__()
        self.zone, self.delay = "America/Sao_Paulo", timedelta(minutes=5)
        self.machine = rules(self.zone, self.delay, timedelta(hours=6))
        self.idleness = Idleness(timedelta(seconds=60))
        self.state = FRESH
        self.tick = 0.0
        self.partitions = {A, B}
        self.heard: dict[Partition, list[tuple[float, int]]] = {}  # when, and the event's time
        self.greatest = -1

    @rule(seen=st.dictionaries(PARTITIONS, TIMES, max_size=3), at_end=st.sets(PARTITIONS), seconds=st.sampled_from([0.0, 1.0, 59.0, 61.0]))
    def batch(self, seen: dict[Partition, int], at_end: set[Partition], seconds: float) -> None:
        self.tick += seconds
        seen = {partition: at for partition, at in seen.items() if partition in self.partitions}
        before = self.state
        self.idleness.observe(seen.keys(), self.tick)
        idle = self.idleness.idle(at_end & self.partitions, self.tick)
        self.state = self.machine.advanced(before, seen, frozenset(self.partitions), idle)
        for partition, at in seen.items():
            self.heard.setdefault(partition, []).append((self.tick, at))
        self._expect(before, {p for p in self.partitions if p in at_end and self._is_silent(p)})

    def _is_silent(self, partition: Partition) -> bool:
        return all(self.tick - when >= 60.0 for when, _ in self.heard.get(partition, []))

    def _expect(self, before: WatermarkState, idle: set[Partition]) -> None:
        active = self.partitions - idle
        if active and active <= self.heard.keys():
            reached = min(max(at for _, at in self.heard[p]) for p in active) - self.delay // timedelta(microseconds=1)
            self.greatest = max(self.greatest, reached)
        assert self.state.value == (None if self.greatest < 0 else self.greatest)
        assert before.closed_before is None or (self.state.closed_before or date.min) >= before.closed_before

    @rule()
    def restart(self) -> None:
        """The state is in the file; idleness begins anew, and who was heard before is not idle at once."""
        self.idleness = Idleness(timedelta(seconds=60))
        self.idleness.observe(self.state.newest.keys(), self.tick)
        self.heard = {p: [*told, (self.tick, told[0][1])] for p, told in self.heard.items()}

    @precondition(lambda self: C not in self.partitions)
    @rule()
    def a_partition_is_added(self) -> None:
        self.partitions.add(C)

    @invariant()
    def what_is_closed_has_ended(self) -> None:
        if self.state.value is not None:
            reached = datetime.fromtimestamp(self.state.value // 1_000_000, UTC) - timedelta(hours=6)
            local = reached.astimezone(ZoneInfo(self.zone)).date()
            assert self.state.closed_before is not None
            assert abs(self.state.closed_before - local) <= timedelta(days=1)
            assert self.state.closed_before >= local


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
