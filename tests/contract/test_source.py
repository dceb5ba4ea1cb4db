"""What every Source keeps to, be it in memory, on the mock cluster or on a real Kafka."""

from collections import Counter
from contextlib import closing

import pytest

from tests.support.messages import Produced
from tests.support.reader import PARTITIONS, PATIENCE, ChangingLog, Log, numbered, reading, values
from worker.errors import SourceError, Unavailable
from worker.events import NextOffset, Partition, Stream
from worker.source import Identity
from worker.source.losses import Acceptances


@pytest.fixture
def filled(log: Log, topic: str) -> Log:
    """Ten messages in partition 0, five in partition 2."""
    log.create(topic, PARTITIONS)
    log.put(numbered(topic, 0, range(10)) + numbered(topic, 2, range(5)))
    return log


def test_a_new_file_reads_all_partitions_from_their_beginning(filled: Log, topic: str) -> None:
    with reading(filled, topic) as reader:
        reader.read_to_end()
        assert reader.by_partition() == {0: values(0, range(10)), 2: values(2, range(5))}
        assert {partition.number: after.offset for partition, after in reader.position.items()} == {0: 10, 1: 0, 2: 5, 3: 0}
        assert reader.source.partitions() == {Partition(topic, number) for number in range(PARTITIONS)}
        assert reader.source.topics() == {Stream.ORDERS: topic}


def test_reading_on_from_a_position_repeats_nothing_and_skips_nothing(filled: Log, topic: str) -> None:
    with reading(filled, topic) as reader:
        while len(reader.messages) < 7:
            reader.poll(max_messages=7 - len(reader.messages))
    with reading(filled, topic, position=reader.position, identity=reader.identity) as next_reader:
        next_reader.read_to_end()
    assert Counter(reader.values() + next_reader.values()) == Counter(values(0, range(10)) + values(2, range(5)))


def test_the_position_is_that_of_the_messages_handed_out_and_not_of_those_fetched(filled: Log, topic: str) -> None:
    with reading(filled, topic) as reader:
        for _ in range(PATIENCE):
            assert len(reader.poll(max_messages=2)) <= 2
            handed_out = {number: len(some) for number, some in reader.by_partition().items()}
            assert {p.number: after.offset for p, after in reader.position.items() if after.offset} == handed_out
            if len(reader.messages) == 15:
                return
    raise AssertionError("not all came")


def test_a_message_comes_as_it_was_sent(log: Log, topic: str) -> None:
    log.create(topic, PARTITIONS)
    sent = [
        Produced(
            topic,
            b"\x00value",
            b"key",
            (("h", b"1"), ("h", None), ("\N{SNOWMAN}", b"")),
            timestamp_ms=1_700_000_000_123,
            partition_number=1,
        ),
        Produced(topic, None, b"tombstone", partition_number=1),
        Produced(topic, b"", None, partition_number=1),
    ]
    log.put(sent)
    with reading(log, topic) as reader:
        reader.read_to_end()
    assert [message.topic() for message in reader.messages] == [topic] * 3
    assert [message.partition() for message in reader.messages] == [1, 1, 1]
    assert [message.offset() for message in reader.messages] == [0, 1, 2]
    assert [message.key() for message in reader.messages] == [b"key", b"tombstone", None]
    assert [message.value() for message in reader.messages] == [b"\x00value", None, b""]
    assert [message.headers() for message in reader.messages] == [[("h", b"1"), ("h", None), ("\N{SNOWMAN}", b"")], None, None]
    assert reader.messages[0].timestamp() == (1, 1_700_000_000_123)


def test_each_topic_is_a_stream_of_its_own(log: Log, topic: str) -> None:
    other = topic.replace("orders", "touchpoints")
    for each in (topic, other):
        log.create(each, PARTITIONS)
    log.put([message for number in range(20) for each in (topic, other) for message in numbered(each, number % PARTITIONS, [number])])
    with reading(log, topic, other) as reader:
        reader.read_to_end()
    for stream, of_topic in ((Stream.ORDERS, topic), (Stream.TOUCHPOINTS, other)):
        messages = [message for batch in reader.batches for message in batch.messages[stream]]
        assert {message.topic() for message in messages} == {of_topic}
        assert len(messages) == 20
        for number in range(PARTITIONS):
            offsets = [message.offset() for message in messages if message.partition() == number]
            assert offsets == [0, 1, 2, 3, 4]


def test_a_partition_is_at_its_end_until_a_message_comes_and_again_once_it_is_read(filled: Log, topic: str) -> None:
    partition = Partition(topic, 3)
    with reading(filled, topic) as reader:
        reader.read_to_end()
        assert reader.poll().at_end == reader.source.partitions()  # remembered where nothing comes
        filled.put(numbered(topic, 3, [1]))
        for _ in range(PATIENCE):
            batch = reader.poll(max_messages=1)
            assert partition in batch.at_end or reader.position[partition].offset == 1
            if partition in batch.at_end and reader.position[partition].offset == 1:
                return
    raise AssertionError("never at its end again")


def test_the_logs_ends_are_told(filled: Log, topic: str) -> None:
    with reading(filled, topic) as reader:
        reader.read_to_end()
        ends = reader.batches[-1].log_end_offsets
    assert {partition.number: end for partition, end in ends.items()} == {0: 10, 1: 0, 2: 5, 3: 0}


def test_a_poll_without_messages_is_an_empty_batch(log: Log, topic: str) -> None:
    log.create(topic, PARTITIONS)
    with reading(log, topic) as reader:
        reader.read_to_end()
        batch = reader.poll()
    assert len(batch) == 0
    assert batch.position == {}


def test_an_offset_past_the_logs_end_stops_the_start(filled: Log, topic: str) -> None:
    position = {Partition(topic, 0): NextOffset(10), Partition(topic, 2): NextOffset(81_204)}
    with pytest.raises(SourceError) as caught, reading(filled, topic, position=position):
        pass
    assert f"{topic}/2: the next offset 81,204 is past the log's end, 5" in caught.value.message
    assert f"{topic}/0" not in caught.value.message
    assert f"--accept-lost-offsets {topic}" in caught.value.remedy


def test_accepted_lost_offsets_are_read_from_the_logs_start(filled: Log, topic: str) -> None:
    position = {Partition(topic, 0): NextOffset(9), Partition(topic, 2): NextOffset(81_204)}
    with reading(filled, topic, position=position, accept=Acceptances(lost_offsets=frozenset({topic}))) as reader:
        reader.read_to_end()
    assert reader.by_partition() == {0: values(0, [9]), 2: values(2, range(5))}


def test_another_cluster_stops_the_start(filled: Log, topic: str) -> None:
    with reading(filled, topic) as reader:
        stored = Identity("another-cluster", reader.identity.topic_ids)
    position = {Partition(topic, 0): NextOffset(3)}
    with pytest.raises(SourceError, match="another-cluster") as caught, reading(filled, topic, position=position, identity=stored):
        pass
    assert "--accept-replaced-cluster" in caught.value.remedy
    with reading(filled, topic, position=position, identity=stored, accept=Acceptances(replaced_cluster=True)) as reader:
        assert len(reader.read_to_end()) == 15
        assert reader.identity.cluster_id != "another-cluster"


def test_another_topic_id_stops_the_start(filled: Log, topic: str) -> None:
    with reading(filled, topic) as reader:
        stored = Identity(reader.identity.cluster_id, {topic: "3f2a"})
    position = {Partition(topic, 0): NextOffset(9), Partition(topic, 2): NextOffset(5)}
    with pytest.raises(SourceError) as caught, reading(filled, topic, position=position, identity=stored):
        pass
    assert f"topic {topic} was replaced: stored topic id 3f2a at offset 14, the broker has" in caught.value.message
    assert "with log end 15" in caught.value.message
    assert f"--accept-replaced-topic {topic}" in caught.value.remedy


def test_an_accepted_replaced_topic_is_read_from_its_beginning_and_the_others_where_they_stood(log: Log, topic: str) -> None:
    other = topic.replace("orders", "touchpoints")
    for each in (topic, other):
        log.create(each, PARTITIONS)
        log.put(numbered(each, 0, range(5)))
    with reading(log, topic, other) as reader:
        stored = Identity(reader.identity.cluster_id, {**reader.identity.topic_ids, topic: "3f2a"})
    position = {Partition(each, 0): NextOffset(4) for each in (topic, other)}
    accept = Acceptances(replaced_topics=frozenset({topic}))
    with reading(log, topic, other, position=position, identity=stored, accept=accept) as reader:
        reader.read_to_end()
    assert [message.offset() for message in reader.messages if message.topic() == topic] == [0, 1, 2, 3, 4]
    assert [message.offset() for message in reader.messages if message.topic() == other] == [4]


def test_the_committed_position_is_mirrored_to_the_group(filled: Log, topic: str) -> None:
    with reading(filled, topic) as reader:
        reader.read_to_end()
        reader.source.mirror({Partition(topic, 0): NextOffset(3)})
        reader.source.mirror({Partition(topic, 0): NextOffset(7), Partition(topic, 2): NextOffset(5)})
    committed = {Partition(topic, 0): 7, Partition(topic, 2): 5}
    assert filled.mirrored(committed) == committed


def test_a_source_may_be_closed_twice(filled: Log, topic: str) -> None:
    with reading(filled, topic) as reader:
        reader.source.close()


def test_a_replaced_topic_stops_the_next_start(changing_log: ChangingLog, topic: str) -> None:
    changing_log.create(topic, PARTITIONS)
    changing_log.put(numbered(topic, 0, range(10)))
    with reading(changing_log, topic) as reader:
        reader.read_to_end()
    changing_log.replace(topic, PARTITIONS)
    changing_log.put(numbered(topic, 0, range(100, 200)))
    with (
        pytest.raises(SourceError, match=f"topic {topic} was replaced"),
        reading(changing_log, topic, position=reader.position, identity=reader.identity),
    ):
        pass


def test_a_topic_replaced_while_it_is_read_stops_the_source_before_it_hands_out_anything_of_it(
    changing_log: ChangingLog, topic: str
) -> None:
    changing_log.create(topic, PARTITIONS)
    changing_log.put(numbered(topic, 0, range(10)))
    with reading(changing_log, topic) as reader:
        assert reader.read_to_end() == values(0, range(10))
        changing_log.replace(topic, PARTITIONS)
        changing_log.put(numbered(topic, 0, range(100, 200)))  # so many that the old offset exists in the new topic
        with pytest.raises(SourceError, match=f"topic {topic} was replaced"):
            reader.poll_on()
        assert reader.values() == values(0, range(10))


def test_deleted_messages_that_were_read_do_not_matter(changing_log: ChangingLog, topic: str) -> None:
    changing_log.create(topic, PARTITIONS)
    changing_log.put(numbered(topic, 0, range(10)))
    with reading(changing_log, topic) as reader:
        reader.read_to_end()
        changing_log.delete_before(Partition(topic, 0), 10)
        changing_log.put(numbered(topic, 0, [10]))
        reader.poll_until(lambda: len(reader.messages) == 11)
    assert reader.values()[-1] == b"0:10"


def test_messages_deleted_before_they_were_read_stop_the_start(changing_log: ChangingLog, topic: str) -> None:
    changing_log.create(topic, PARTITIONS)
    changing_log.put(numbered(topic, 0, range(10)))
    position = {Partition(topic, 0): NextOffset(3)}
    changing_log.delete_before(Partition(topic, 0), 8)
    with (
        pytest.raises(SourceError, match=f"{topic}/0: the next offset 3 is gone, the log starts at 8: 5 offsets were deleted"),
        reading(changing_log, topic, position=position),
    ):
        pass
    accept = Acceptances(lost_offsets=frozenset({topic}))
    with reading(changing_log, topic, position=position, accept=accept) as reader:
        assert reader.read_to_end() == values(0, [8, 9])


def test_partitions_that_are_added_are_read_from_their_beginning(changing_log: ChangingLog, topic: str) -> None:
    changing_log.create(topic, 1)
    changing_log.put(numbered(topic, 0, range(3)))
    with reading(changing_log, topic) as reader:
        reader.read_to_end()
        changing_log.add_partitions(topic, 3)
        changing_log.put(numbered(topic, 2, range(5)))
        reader.poll_until(lambda: len(reader.messages) == 8)
        assert reader.by_partition() == {0: values(0, range(3)), 2: values(2, range(5))}
        assert reader.source.partitions() == {Partition(topic, number) for number in range(3)}
        reader.poll_until(lambda: reader.batches[-1].at_end == reader.source.partitions())
    assert {partition.number: after.offset for partition, after in reader.position.items()} == {0: 3, 1: 0, 2: 5}


def test_a_topic_that_does_not_exist_is_waited_for(changing_log: ChangingLog, topic: str) -> None:
    source = changing_log.source({Stream.ORDERS: topic})
    with closing(source):
        with pytest.raises(Unavailable, match=f"topic {topic} does not exist"):
            source.start({}, None)
        changing_log.create(topic, 1)
        source.start({}, None)
        assert source.partitions() == {Partition(topic, 0)}


def test_a_topic_deleted_while_it_is_read_is_waited_for_and_not_mistaken_for_its_successor(changing_log: ChangingLog, topic: str) -> None:
    changing_log.create(topic, 1)
    changing_log.put(numbered(topic, 0, range(10)))
    with reading(changing_log, topic) as reader:
        reader.read_to_end()
        changing_log.delete(topic)
        with pytest.raises(Unavailable, match=f"topic {topic} does not exist"):
            reader.poll_on()
        changing_log.create(topic, 1)
        with pytest.raises(SourceError, match=f"topic {topic} was replaced"):
            reader.poll_on()
