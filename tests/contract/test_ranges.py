"""What every reader of ranges keeps to, be it in memory, on the mock cluster or on a real Kafka."""

from collections import Counter

import pytest

from tests.support.range_reading import identity_of, reading_ranges
from tests.support.reader import PARTITIONS, ChangingLog, Log, numbered, reading, values
from worker.errors import SourceError
from worker.events import NextOffset, Origin, Partition, Stream
from worker.source import Identity


@pytest.fixture
def filled(log: Log, topic: str) -> Log:
    """Ten messages in partition 0, five in partition 2."""
    log.create(topic, PARTITIONS)
    log.put(numbered(topic, 0, range(10)) + numbered(topic, 2, range(5)))
    return log


def test_ranges_are_read_exactly(filled: Log, topic: str) -> None:
    first, second = Partition(topic, 0), Partition(topic, 2)
    with reading_ranges(filled, {first: (3, 7), second: (0, 5)}) as ranges:
        assert Counter(ranges.read_all()) == Counter(values(0, range(3, 7)) + values(2, range(5)))
        assert ranges.offsets() == {first: [3, 4, 5, 6], second: [0, 1, 2, 3, 4]}
        assert ranges.position == {first: 7, second: 5}
        assert {batch.origin for batch in ranges.batches} == {Origin.REPLAY}


def test_a_batch_holds_no_more_than_asked_for_and_its_position_is_that_of_its_messages(filled: Log, topic: str) -> None:
    partitions = {Partition(topic, 0): (3, 10), Partition(topic, 2): (1, 4)}
    with reading_ranges(filled, partitions) as ranges:
        while not ranges.reader.is_done:
            assert len(ranges.poll(max_messages=2)) <= 2
            assert ranges.position == {partition: offsets[-1] + 1 for partition, offsets in ranges.offsets().items()}
    assert len(ranges.messages) == 10


def test_resumed_after_any_batch_the_messages_are_the_same_and_come_once(filled: Log, topic: str) -> None:
    whole = {Partition(topic, 0): (3, 9), Partition(topic, 2): (0, 5)}
    for polls in range(1, 4):
        with reading_ranges(filled, whole) as ranges:
            for _ in range(polls):
                ranges.poll(max_messages=3)
        left = {partition: (ranges.position.get(partition, first), end) for partition, (first, end) in whole.items()}
        with reading_ranges(filled, left) as resumed:
            resumed.read_all()
        assert Counter(ranges.values() + resumed.values()) == Counter(values(0, range(3, 9)) + values(2, range(5)))


def test_each_topic_is_a_stream_of_its_own(log: Log, topic: str) -> None:
    other = topic.replace("orders", "touchpoints")
    for each in (topic, other):
        log.create(each, PARTITIONS)
        log.put(numbered(each, 1, range(6)))
    with reading_ranges(log, {Partition(topic, 1): (0, 2), Partition(other, 1): (2, 6)}) as ranges:
        ranges.read_all()
    for stream, expected in ((Stream.ORDERS, range(2)), (Stream.TOUCHPOINTS, range(2, 6))):
        assert [message.value() for batch in ranges.batches for message in batch.messages.get(stream, [])] == values(1, expected)


def test_what_comes_in_at_the_logs_end_meanwhile_is_not_read(filled: Log, topic: str) -> None:
    with reading_ranges(filled, {Partition(topic, 0): (8, 10), Partition(topic, 2): (4, 5)}) as ranges:
        ranges.poll(max_messages=1)
        filled.put(numbered(topic, 0, range(10, 20)) + numbered(topic, 2, range(5, 20)))
        assert Counter(ranges.read_all()) == Counter(values(0, [8, 9]) + values(2, [4]))


def test_an_empty_range_is_read_at_once(filled: Log, topic: str) -> None:
    with reading_ranges(filled, {Partition(topic, 0): (5, 5)}) as ranges:
        assert ranges.reader.is_done
        assert len(ranges.poll()) == 0


def test_the_origin_is_the_callers_to_say(filled: Log, topic: str) -> None:
    with reading_ranges(filled, {Partition(topic, 2): (0, 1)}, origin=Origin.BACKFILL) as ranges:
        ranges.read_all()
    assert {batch.origin for batch in ranges.batches} == {Origin.BACKFILL}


def test_the_live_stream_is_not_disturbed(filled: Log, topic: str) -> None:
    partition = Partition(topic, 0)
    with reading(filled, topic) as live:
        live.read_to_end()
        live.source.mirror({partition: NextOffset(10)})
        live.poll()
        with reading_ranges(filled, {partition: (2, 8)}) as ranges:
            ranges.poll(max_messages=2)
            filled.put(numbered(topic, 0, [10]))
            live.poll_until(lambda: len(live.messages) == 16)
            assert ranges.read_all() == values(0, range(2, 8))
    assert live.values()[-1] == b"0:10"
    assert filled.mirrored([partition]) == {partition: 10}


def test_a_range_past_the_logs_end_is_refused(filled: Log, topic: str) -> None:
    ranges_asked = {Partition(topic, 0): (3, 10), Partition(topic, 2): (3, 81_204)}
    with reading_ranges(filled, ranges_asked) as ranges, pytest.raises(SourceError) as caught:
        ranges.poll()
    assert caught.value.message == f"partition {topic}/2: the range ends at 81,204, the log at 5: it was cut or restored"


def test_offsets_of_another_cluster_are_refused(filled: Log, topic: str) -> None:
    stored = Identity("another-cluster", identity_of(filled, topic).topic_ids)
    with reading_ranges(filled, {Partition(topic, 0): (3, 7)}, stored) as ranges, pytest.raises(SourceError, match="another-cluster"):
        ranges.poll()


def test_offsets_of_a_replaced_topic_are_refused(filled: Log, topic: str) -> None:
    stored = Identity(identity_of(filled, topic).cluster_id, {topic: "3f2a"})
    with reading_ranges(filled, {Partition(topic, 0): (3, 7)}, stored) as ranges, pytest.raises(SourceError) as caught:
        ranges.poll()
    assert f"topic {topic} was replaced: the offsets belong to topic id 3f2a, the broker has" in caught.value.message
    assert "tidemark backfill --from-archive DIR" in caught.value.remedy


def test_a_reader_may_be_closed_twice(filled: Log, topic: str) -> None:
    with reading_ranges(filled, {Partition(topic, 0): (3, 7)}) as ranges:
        ranges.poll()
        ranges.reader.close()


def test_a_topic_replaced_while_it_is_read_ends_the_reading_before_anything_of_it_is_handed_out(
    changing_log: ChangingLog, topic: str
) -> None:
    changing_log.create(topic, PARTITIONS)
    changing_log.put(numbered(topic, 0, range(10)))
    with reading_ranges(changing_log, {Partition(topic, 0): (0, 10)}) as ranges:
        ranges.poll(max_messages=4)
        changing_log.replace(topic, PARTITIONS)
        changing_log.put(numbered(topic, 0, range(100, 200)))  # so many that the old offsets exist in the new topic
        with pytest.raises(SourceError, match=f"topic {topic} was replaced"):
            ranges.read_all(max_messages=4)
    assert ranges.values() == values(0, range(4))


def test_offsets_below_the_logs_start_are_refused_with_what_is_left(changing_log: ChangingLog, topic: str) -> None:
    changing_log.create(topic, PARTITIONS)
    changing_log.put(numbered(topic, 0, range(10)) + numbered(topic, 1, range(10)))
    changing_log.delete_before(Partition(topic, 0), 8)
    changing_log.delete_before(Partition(topic, 1), 10)
    asked = {Partition(topic, 0): (3, 10), Partition(topic, 1): (0, 4)}
    with reading_ranges(changing_log, asked) as ranges, pytest.raises(SourceError) as caught:
        ranges.poll()
    assert caught.value.message == (
        f"partition {topic}/0: offset 3 is gone, the log starts at 8 now: 5 were deleted\n"
        f"partition {topic}/1: offset 0 is gone, the log starts at 10 now: 4 were deleted"
    )
    assert caught.value.remedy == (
        f"What the log still has:  tidemark replay --topic {topic} --partition 0 --from 8 --to 10\n"
        "What is gone, from an archive:  tidemark backfill --from-archive DIR"
    )
