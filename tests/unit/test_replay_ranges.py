"""What a replay means in offsets, what it refuses, and how its feed goes on after any interruption."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.support.fake_ranges import FakeBroker, FakeRangeReader
from tests.support.fake_source import FakeLog
from tests.support.messages import Produced
from worker.decode import Decoder, ReportingZone
from worker.decode.framing import SchemaRef
from worker.decode.reasons import Reason
from worker.decode.schemas import NoSchema
from worker.errors import ConfigError, SourceError, Unavailable
from worker.events import NextOffset, Partition, Stream
from worker.replay import DayOffset, Pace, ReplayFeed, ReplayPlan, ReplayRequest, moment, plan_rebuild, plan_replay
from worker.source import Identity

NOW = datetime(2026, 3, 9, tzinfo=UTC)
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
TOPICS = {Stream.ORDERS: "orders", Stream.TOUCHPOINTS: "touchpoints"}
O0, O1, T0 = Partition("orders", 0), Partition("orders", 1), Partition("touchpoints", 0)
POSITION = {O0: NextOffset(90), O1: NextOffset(40), T0: NextOffset(70)}


@pytest.fixture
def log() -> FakeLog:
    """100, 40 and 80 messages, one each second from noon on; what comes after POSITION the live stream has not read yet."""
    log = FakeLog()
    log.create("orders", 2)
    log.create("touchpoints", 1)
    for (topic, number), count in ((O0, 100), (O1, 40), (T0, 80)):
        at = int(NOON.timestamp())
        log.put(Produced(topic, b"\0\0\0\0\1%d" % n, partition_number=number, timestamp_ms=(at + n) * 1000) for n in range(count))
    return log


def stored(log: FakeLog) -> Identity:
    return Identity(log.cluster_id, {name: topic.id for name, topic in log.topics.items()})


def plan(log: FakeLog, position: dict[Partition, NextOffset] = POSITION, **asked: object) -> ReplayPlan:
    return plan_replay(ReplayRequest(**asked), FakeBroker(log), position, stored(log), TOPICS.values())  # type: ignore[arg-type]


def notes(plan: ReplayPlan) -> dict[Partition, str]:
    return {planned.partition: planned.note for planned in plan.ranges if planned.note}


def test_without_a_wish_everything_from_the_logs_start_to_the_position_is_read(log: FakeLog) -> None:
    log.delete_before(O0, 10)
    whole = plan(log)
    assert whole.left() == {O0: (10, 90), O1: (0, 40), T0: (0, 70)}
    assert whole.total == 190
    assert notes(whole) == {}


def test_topic_partition_and_offsets_narrow_it(log: FakeLog) -> None:
    assert plan(log, topics=("orders",)).left() == {O0: (0, 90), O1: (0, 40)}
    assert plan(log, topics=("orders",), partitions=(1,)).left() == {O1: (0, 40)}
    assert plan(log, topics=("orders",), partitions=(0,), first=5, end=8).left() == {O0: (5, 8)}


def test_what_lies_past_the_position_is_left_to_the_live_stream_and_told(log: FakeLog) -> None:
    clamped = plan(log, topics=("orders",), first=50, end=95)
    assert clamped.left() == {O0: (50, 90)}
    assert notes(clamped) == {
        O0: "not to 95: the live stream reads on from 90",
        O1: "empty: the live stream reads on from 40",
    }


def test_times_become_the_first_offsets_at_or_after_them(log: FakeLog) -> None:
    asked = plan(log, since=NOON + timedelta(seconds=19, microseconds=1), until=NOON + timedelta(seconds=30))
    assert asked.left() == {O0: (20, 30), O1: (20, 30), T0: (20, 30)}
    assert plan(log, since=NOON + timedelta(seconds=60)).left() == {O0: (60, 90), T0: (60, 70)}


def test_where_there_is_no_later_message_until_means_the_position_and_since_means_nothing(log: FakeLog) -> None:
    assert plan(log, until=NOON + timedelta(days=1)).left() == {O0: (0, 90), O1: (0, 40), T0: (0, 70)}
    nothing = plan(log, topics=("orders",), partitions=(1,), since=NOON + timedelta(days=1))
    assert nothing.total == 0
    assert notes(nothing) == {O1: "empty: the live stream reads on from 40"}


def test_a_time_at_which_the_log_has_been_deleted_is_told(log: FakeLog) -> None:
    log.delete_before(O0, 10)
    asked = plan(log, since=NOON, until=NOON + timedelta(seconds=30))
    assert asked.left()[O0] == (10, 30)
    assert notes(asked) == {O0: "the log starts here: what was deleted may have been of that time too"}


def test_a_time_of_which_a_partition_has_nothing_is_an_empty_range(log: FakeLog) -> None:
    log.put([Produced("orders", b"", partition_number=1, timestamp_ms=int(NOON.timestamp() + 3600) * 1000)])
    asked = plan(log, POSITION | {O1: NextOffset(41)}, since=NOON + timedelta(seconds=60), until=NOON + timedelta(seconds=65))
    assert asked.left() == {O0: (60, 65), T0: (60, 65)}
    assert notes(asked) == {O1: "empty: from 40 on there is nothing before 40"}


def test_a_partition_that_the_live_stream_has_not_read_yet_is_its_own_to_read(log: FakeLog) -> None:
    asked = plan(log, {O0: NextOffset(90)})
    assert asked.left() == {O0: (0, 90)}
    assert notes(asked) == dict.fromkeys((O1, T0), "empty: the live stream has not read this partition yet")


def test_all_faults_of_a_request_are_told_at_once(log: FakeLog) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(log, topics=("oders",), partitions=(0,), first=-1, end=-1, since=NOON, until=NOON)
    assert caught.value.message.splitlines() == [
        '--topic oders: not among kafka.topics (orders, touchpoints); did you mean "orders"?',
        "--from, --since: give one of them",
        "--to, --until: give one of them",
        "--from -1: an offset is 0 or more",
        "--to -1: nothing lies between --from and --to, which is not read itself",
        "--until 2026-03-05T12:00:00+00:00: nothing lies between --since and --until, which is not read itself",
    ]
    with pytest.raises(ConfigError) as caught:
        plan(log, partitions=(0,), end=5)
    assert caught.value.message.splitlines() == [
        "--partition: needs one --topic that it is a partition of",
        "--from, --to: needs one --topic whose offsets these are",
    ]


def test_a_partition_that_is_not_there_is_refused(log: FakeLog) -> None:
    with pytest.raises(ConfigError, match="--partition 2: orders has the partitions 0 to 1"):
        plan(log, topics=("orders",), partitions=(1, 2))


def test_offsets_that_are_gone_are_refused_with_the_way_out(log: FakeLog) -> None:
    log.delete_before(O0, 10)
    with pytest.raises(SourceError, match="orders/0: offset 3 is gone, the log starts at 10 now: 7 were deleted") as caught:
        plan(log, topics=("orders",), first=3)
    assert "tidemark replay --topic orders --partition 0 --from 10 --to 90\n" in caught.value.remedy
    assert "tidemark backfill --from-archive DIR" in caught.value.remedy


def test_a_replaced_topic_is_refused(log: FakeLog) -> None:
    identity = Identity(log.cluster_id, {**stored(log).topic_ids, "orders": "3f2a"})
    with pytest.raises(SourceError, match="topic orders was replaced: the offsets belong to topic id 3f2a"):
        plan_replay(ReplayRequest(), FakeBroker(log), POSITION, identity, TOPICS.values())
    only_the_other = plan_replay(ReplayRequest(("touchpoints",)), FakeBroker(log), POSITION, identity, TOPICS.values())
    assert only_the_other.left() == {T0: (0, 70)}


def test_a_plan_is_the_same_after_its_way_through_json(log: FakeLog) -> None:
    asked = plan(log, topics=("orders",), first=50, end=95)
    assert ReplayPlan.from_json(json.loads(json.dumps(asked.as_json()))) == asked


def test_a_plan_shows_each_partition_with_its_offsets_and_messages_at_most(log: FakeLog) -> None:
    assert plan(log, topics=("orders",), end=40).rows() == [("orders/0", 0, 40, 40, ""), ("orders/1", 0, 40, 40, "")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-03-05", datetime(2026, 3, 5, tzinfo=UTC)),
        ("2026-03-05T12:00", NOON),
        ("2026-03-05T12:00:00Z", NOON),
        ("2026-03-05 13:00+01:00", NOON),
    ],
)
def test_a_time_without_a_zone_is_utc(text: str, told: datetime) -> None:
    assert moment(text) == told
    assert moment(text).utcoffset() == timedelta(0)


def test_what_is_no_time_is_refused_with_an_example() -> None:
    with pytest.raises(ConfigError, match="'yesterday' is no time") as caught:
        moment("yesterday")
    assert "2026-03-05" in caught.value.remedy


def fed(log: FakeLog, day: int, partition: Partition, first: int, last: int) -> DayOffset:
    return DayOffset(date(2026, 3, day), partition.topic, log.topics[partition.topic].id, partition.number, first, last)


def test_days_are_rebuilt_from_all_offsets_that_fed_them(log: FakeLog) -> None:
    rows = [fed(log, 4, O0, 5, 20), fed(log, 5, O0, 3, 60), fed(log, 5, O1, 7, 7), fed(log, 5, T0, 0, 79)]
    rebuild = plan_rebuild(rows, FakeBroker(log), stored(log), TOPICS.values())
    assert rebuild.left() == {O0: (3, 61), O1: (7, 8), T0: (0, 80)}
    assert rebuild.identity == stored(log)


def test_every_day_that_the_log_can_not_give_is_named_at_once(log: FakeLog) -> None:
    log.delete_before(O0, 10)
    rows = [
        fed(log, 1, O0, 3, 20),
        fed(log, 2, O1, 0, 5)._replace(topic_id="3f2a"),
        fed(log, 3, T0, 0, 79),
        fed(log, 3, Partition("orders", -1), -1, -1),
        fed(log, 4, T0, 0, 80),
        fed(log, 5, T0, 0, 5)._replace(topic="products"),
        fed(log, 6, O0, 10, 99),
        fed(log, 7, O0, 10, 99)._replace(topic_id="unknown"),
    ]
    with pytest.raises(SourceError) as caught:
        plan_rebuild(rows, FakeBroker(log), stored(log), TOPICS.values())
    assert caught.value.message.splitlines() == [
        "6 of 7 days can't be rebuilt from the log:",
        "2026-03-01 needs orders/0 from offset 3 on, the log starts at 10",
        f"2026-03-02 was fed by orders when its topic id was 3f2a; it was replaced, the broker has {log.topics['orders'].id}",
        "2026-03-03 was fed by files without offsets, of orders",
        "2026-03-04 needs touchpoints/0 up to offset 80, the log ends before 80: it was cut or restored",
        "2026-03-05 was fed by products, which is not among kafka.topics any more",
        "2026-03-07 was fed by files with offsets of orders when its topic id was not known yet: they may be another's of that name",
    ]
    assert caught.value.remedy == (
        "What is gone, from an archive:  tidemark backfill --from-archive DIR\nDays that the log has whole, for --rebuild-days:  2026-03-06"
    )


def test_days_of_another_cluster_are_refused(log: FakeLog) -> None:
    with pytest.raises(SourceError, match="this is another cluster"):
        plan_rebuild([fed(log, 4, O0, 5, 20)], FakeBroker(log), Identity("another"), TOPICS.values())


class Schemas:
    """A registry that knows no schema, and is away at first."""

    def __init__(self, answers_after: int = 0) -> None:
        self._missed = answers_after

    def text(self, ref: SchemaRef) -> NoSchema:
        if self._missed:
            self._missed -= 1
            raise Unavailable("the registry is away")
        return NoSchema(Reason.UNKNOWN_SCHEMA, "never heard of it")


def feed(
    log: FakeLog, plan: ReplayPlan, resume_point: dict[str, int] | None = None, *, schemas: Schemas | None = None, pace: Pace | None = None
) -> ReplayFeed:
    decoder = Decoder(schemas or Schemas(), ReportingZone("UTC"), timedelta(hours=1), TOPICS)
    reader = FakeRangeReader(log, TOPICS, plan.left(resume_point), plan.identity)
    return ReplayFeed(plan, reader, decoder, 30, resume_point=resume_point, pace=pace)


def offsets(feed: ReplayFeed, portions: int = 1000) -> tuple[list[tuple[str, int]], dict[str, int]]:
    """Topic and offset of the messages of so many portions, and the resume point after them."""
    read, resume_point = [], {}
    while portions and (portion := feed.next(NOW)):
        portions -= 1
        read += [(rejected.topic, rejected.partition, rejected.offset) for rejected in portion.batch.rejected]
        resume_point = json.loads(json.dumps(portion.resume_point))
    return [(f"{topic}/{number}", offset) for topic, number, offset in read], resume_point


def test_a_feed_tells_how_far_it_has_come(log: FakeLog) -> None:
    one = feed(log, plan(log, topics=("orders",), first=10))
    assert one.total == 110
    first = one.next(NOW)
    assert first is not None
    assert (len(first.batch.messages), first.done, first.resume_point) == (30, 30, {"orders/0": 40, "orders/1": 10})
    read, resume_point = offsets(one)
    assert len(read) == 80
    assert resume_point == {"orders/0": 90, "orders/1": 40}
    assert one.next(NOW) is None


def test_resumed_after_any_portion_a_feed_brings_the_rest_and_counts_on(log: FakeLog) -> None:
    whole = plan(log, first=None)
    expected = Counter(offsets(feed(log, whole))[0])
    assert expected.total() == whole.total
    for portions in range(1, 8):
        before, resume_point = offsets(feed(log, whole), portions)
        resumed = feed(log, whole, resume_point)
        assert resumed.total == whole.total
        portion = resumed.next(NOW)
        after = []
        if portion is not None:
            assert portion.done == len(before) + len(portion.batch.messages)
            after = [(f"{each.topic}/{each.partition}", each.offset) for each in portion.batch.rejected] + offsets(resumed)[0]
        assert Counter(before + after) == expected


def test_while_the_registry_is_away_the_messages_that_were_polled_wait(log: FakeLog) -> None:
    one = feed(log, plan(log, topics=("orders",), partitions=(1,)), schemas=Schemas(answers_after=2))
    for _ in range(2):
        with pytest.raises(Unavailable):
            one.next(NOW)
    assert offsets(one)[0] == [("orders/1", offset) for offset in range(40)]


class Clock:
    """A monotonic clock that a sleep moves on."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def tick(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def test_a_rate_limit_is_kept_by_sleeping_for_what_each_batch_is_worth(log: FakeLog) -> None:
    clock = Clock()
    one = feed(log, plan(log, topics=("orders",), partitions=(1,)), pace=Pace(8, clock.sleep, clock.tick))
    sizes = []
    while portion := one.next(NOW):
        sizes.append(len(portion.batch.messages))
        clock.time += 0.25  # what the merge takes
    assert sizes == [8, 8, 8, 8, 8]
    assert clock.slept == [0.75] * 4


def test_time_that_was_not_used_is_not_made_up_for() -> None:
    clock = Clock()
    pace = Pace(10, clock.sleep, clock.tick)
    for _ in range(3):
        clock.time += 100
        pace.wait()
        pace.took(10)
    pace.wait()
    assert clock.slept == [1.0]


def test_without_a_limit_nothing_sleeps(log: FakeLog) -> None:
    clock = Clock()
    one = feed(log, plan(log), pace=Pace(None, clock.sleep, clock.tick))
    assert len(offsets(one)[0]) == 200
    assert clock.slept == []


def test_a_rate_below_one_message_a_second_is_a_message_now_and_then() -> None:
    clock = Clock()
    pace = Pace(0.5, clock.sleep, clock.tick)
    assert pace.at_once(100_000) == 1
    pace.wait()
    pace.took(1)
    pace.wait()
    assert clock.slept == [2.0]
