"""More than half of the last messages rejected stops the worker: a wrong topic or schema, not bad records."""

import pytest

from tests.support.messages import Produced
from worker.config import Settings
from worker.errors import ExitCode, TooManyRejected
from worker.events import EventBatch, MessageBatch, Rejected, Stage, Stream
from worker.pipeline import RejectedShare

SETTINGS = Settings()


def batch(read: int, rejected: int) -> EventBatch:
    refused = [Rejected(Stream.ORDERS, "orders", 3, n, Stage.SCHEMA, "other_stream", "of another stream", b"") for n in range(rejected)]
    return EventBatch(MessageBatch({Stream.ORDERS: [Produced("orders", b"")] * read}), {}, {}, refused)


def test_half_is_borne_and_one_more_is_not() -> None:
    RejectedShare(100).judge(batch(100, 50), SETTINGS)
    with pytest.raises(TooManyRejected):
        RejectedShare(100).judge(batch(100, 51), SETTINGS)


def test_too_few_messages_are_not_judged() -> None:
    share = RejectedShare(100)
    share.judge(batch(99, 99), SETTINGS)
    with pytest.raises(TooManyRejected):
        share.judge(batch(1, 0), SETTINGS)


def test_what_is_long_past_does_not_count() -> None:
    share = RejectedShare(100)
    share.judge(batch(1_000, 0), SETTINGS)
    share.judge(batch(60, 50), SETTINGS)
    with pytest.raises(TooManyRejected):
        share.judge(batch(60, 50), SETTINGS)


def test_good_messages_make_up_for_rejected_ones_before_them() -> None:
    share = RejectedShare(100)
    share.judge(batch(50, 50), SETTINGS)
    share.judge(batch(50, 0), SETTINGS)
    share.judge(batch(100, 40), SETTINGS)
    with pytest.raises(TooManyRejected, match="51 of the last 100 messages"):
        share.judge(batch(100, 51), SETTINGS)


def test_empty_polls_are_no_evidence() -> None:
    share = RejectedShare(100)
    share.judge(batch(100, 40), SETTINGS)
    for _ in range(3):
        share.judge(batch(0, 0), SETTINGS)
    share.judge(batch(10, 10), SETTINGS)
    with pytest.raises(TooManyRejected, match="70 of the last 130 messages"):
        share.judge(batch(20, 20), SETTINGS)


def test_the_message_says_where_to_look() -> None:
    with pytest.raises(TooManyRejected) as caught:
        RejectedShare(10).judge(batch(10, 9), SETTINGS)
    assert caught.value.exit_code is ExitCode.REJECTED
    assert "9 of the last 10 messages" in caught.value.message
    assert "orders/3, offset 8: of another stream" in caught.value.message
    assert "It reads orders from orders, " in caught.value.remedy
