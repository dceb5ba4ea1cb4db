"""The books of one batch."""

import pytest

from tests.support.messages import Produced
from worker.aggregate import Accounting
from worker.events import EventBatch, MessageBatch, Origin, Outcome, Rejected, Stage, Stream

ORDERS, TOUCHPOINTS = Stream.ORDERS, Stream.TOUCHPOINTS


def opened(orders: int, rejected: int) -> Accounting:
    messages = [Produced("orders", b"")] * orders
    refused = [Rejected(ORDERS, "orders", 0, n, Stage.FRAME, "no_schema", "why", b"") for n in range(rejected)]
    return Accounting.of(EventBatch(MessageBatch({ORDERS: messages, TOUCHPOINTS: []}, origin=Origin.REPLAY), {}, {}, refused))


def test_they_open_with_what_was_read_and_what_the_decoder_rejected() -> None:
    books = opened(orders=3, rejected=2)
    assert books.origin is Origin.REPLAY
    assert (books.read(ORDERS), books.read(TOUCHPOINTS), books.read(Stream.PRODUCTS)) == (3, 0, 0)
    assert books.total(Outcome.REJECTED) == 2


def test_they_balance_when_every_message_came_to_one_outcome() -> None:
    books = opened(orders=4, rejected=1)
    books.add(Outcome.ACCEPTED, {ORDERS: 2})
    books.add(Outcome.EXPIRED, {ORDERS: 1, TOUCHPOINTS: 0})
    books.check()


def test_a_conflicting_duplicate_is_among_the_duplicates() -> None:
    books = opened(orders=1, rejected=0)
    books.add(Outcome.DUPLICATE, {ORDERS: 1})
    books.add_conflicting(ORDERS, 1)
    books.check()


@pytest.mark.parametrize(("accepted", "duplicate"), [(0, 0), (2, 0), (1, 1), (2, -1)])
def test_a_message_lost_or_counted_twice_is_found(accepted: int, duplicate: int) -> None:
    books = opened(orders=1, rejected=0)
    books.add(Outcome.ACCEPTED, {ORDERS: accepted})
    books.add(Outcome.DUPLICATE, {ORDERS: duplicate})
    with pytest.raises(AssertionError, match="orders: read 1"):
        books.check()
