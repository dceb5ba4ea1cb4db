"""What a start says when the log is not as it was, all of it at once."""

import pytest

from worker.errors import SourceError
from worker.events import NextOffset, Partition
from worker.source import Identity
from worker.source.losses import Acceptances, Bounds, starting_position

ORDERS, TOUCHPOINTS = Partition("orders", 0), Partition("touchpoints", 0)
STORED = Identity("c1", {"orders": "3f2a", "touchpoints": "77b0"})
BOUNDS = {ORDERS: Bounds(0, 17), TOUCHPOINTS: Bounds(500, 900)}
POSITION = {ORDERS: NextOffset(81_204, 3), TOUCHPOINTS: NextOffset(600, 4)}


def test_a_log_as_it_was_is_read_on_where_the_position_stands() -> None:
    bounds = BOUNDS | {ORDERS: Bounds(81_204, 81_204)}
    assert starting_position(POSITION, STORED, STORED, bounds, Acceptances()) == POSITION


def test_a_partition_without_a_position_starts_at_the_logs_start_and_a_topic_no_longer_read_is_left_out() -> None:
    position = {ORDERS: NextOffset(5), Partition("customers", 0): NextOffset(7)}
    assert starting_position(position, STORED, STORED, BOUNDS, Acceptances()) == {ORDERS: NextOffset(5), TOUCHPOINTS: NextOffset(500)}


def test_every_loss_is_named_at_once_each_with_the_flag_that_accepts_it() -> None:
    now = Identity("c1", {**STORED.topic_ids, "orders": "9c1e"})
    with pytest.raises(SourceError) as caught:
        starting_position(POSITION | {TOUCHPOINTS: NextOffset(400)}, STORED, now, BOUNDS, Acceptances())
    assert caught.value.message == (
        "topic orders was replaced: stored topic id 3f2a at offset 81,204, the broker has 9c1e with log end 17 "
        "(offsets summed over partitions)\n"
        "partition touchpoints/0: the next offset 400 is gone, the log starts at 500: 100 offsets were deleted before they were read"
    )
    assert "tidemark run --accept-replaced-topic orders --accept-lost-offsets touchpoints\n" in caught.value.remedy


def test_accepting_one_loss_does_not_accept_another() -> None:
    now = Identity("c1", {"orders": "9c1e", "touchpoints": "0000"})
    with pytest.raises(SourceError) as caught:
        starting_position(POSITION, STORED, now, BOUNDS, Acceptances(replaced_topics=frozenset({"touchpoints"})))
    assert "topic orders" in caught.value.message
    assert "touchpoints" not in caught.value.message


def test_another_cluster_is_one_loss_and_its_topics_are_not_named_again() -> None:
    now = Identity("c2", {"orders": "9c1e", "touchpoints": "0000"})
    with pytest.raises(SourceError) as caught:
        starting_position(POSITION, STORED, now, BOUNDS, Acceptances())
    assert caught.value.message == "this is another cluster: stored cluster id c1, the broker says c2"
    accepted = starting_position(POSITION, STORED, now, BOUNDS, Acceptances(replaced_cluster=True))
    assert accepted == {ORDERS: NextOffset(0), TOUCHPOINTS: NextOffset(500)}


def test_a_topic_whose_id_is_unknown_now_is_not_the_one_whose_id_was_known() -> None:
    now = Identity("c1", {**STORED.topic_ids, "orders": "unknown"})
    with pytest.raises(SourceError, match="the broker has unknown"):
        starting_position({}, STORED, now, BOUNDS, Acceptances())


def test_where_lost_offsets_are_accepted_the_leader_epoch_is_not_checked() -> None:
    accept = Acceptances(lost_offsets=frozenset({"orders", "touchpoints"}))
    assert starting_position(POSITION, STORED, STORED, BOUNDS, accept) == {ORDERS: NextOffset(0), TOUCHPOINTS: NextOffset(600)}
