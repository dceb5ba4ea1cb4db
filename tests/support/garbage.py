"""Messages that must be rejected (and some that look odd but must not be): ways to spoil a good one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.support.messages import WRITERS_OF, Draft, framed, guid_of, item_body, long_body

Spoiler = Callable[[Random, Draft], Draft]

TOO_MUCH = (-1, 10**12 + 1, 2**62, -(2**63))
EMPTY_IDS = {
    "orders": ("order_id", "customer_id"),
    "touchpoints": ("event_id", "session_id", "customer_id", "product_id"),
    "customers": ("customer_id",),
    "products": ("product_id",),
}
AMOUNTS = {
    "orders": ("discount_cents", "tax_cents", "shipping_cents", "refunded_cents"),
    "touchpoints": ("cost_cents",),
    "customers": (),
    "products": ("stock_level", "unit_cost_cents"),
}
LIMITED_TIMES = {
    "orders": ("ordered_at", "updated_at"),
    "touchpoints": ("occurred_at",),
    "customers": ("updated_at",),
    "products": ("updated_at",),
}


def spoiled(random: Random, draft: Draft) -> Draft:
    """The message, spoiled in one of many ways."""
    if draft.record is None:
        return random.choice(OF_TOMBSTONES)(random, draft)
    spoilers = OF_BYTES + OF_VALUES
    if draft.stream == "orders":
        spoilers += OF_ORDERS
    if draft.stream == "touchpoints":
        spoilers += OF_TOUCHPOINTS
    return random.choice(spoilers)(random, draft)


def _framed_value(draft: Draft) -> bytes:
    """The value with the schema's id before it, whatever the draft's own way is."""
    assert draft.record is not None
    return framed(draft.schema_id, draft.record)


def _with_value(draft: Draft, value: bytes | None) -> Draft:
    return replace(draft, record=None, value=value, headers=())


def _changed(draft: Draft, **fields: Any) -> Draft:
    """The record with other fields, by the first writer of the stream that has them all."""
    assert draft.record is not None
    return replace(draft, schema_id=WRITERS_OF[draft.stream][0], record=draft.record | fields, headers=())


def _bad_magic(random: Random, draft: Draft) -> Draft:
    return _with_value(draft, bytes([random.choice((1, 2, 123, 255))]) + _framed_value(draft)[1:])


def _cut_short(random: Random, draft: Draft) -> Draft:
    value = _framed_value(draft)
    return _with_value(draft, value[: random.choice((0, 1, 4, 5, 6, len(value) // 2, len(value) - 1))])


def _more_behind(random: Random, draft: Draft) -> Draft:
    return _with_value(draft, _framed_value(draft) + random.choice((b"\0", b"more")))


def _unknown_schema(random: Random, draft: Draft) -> Draft:
    unknown_id = random.choice((0, 999, 2**32 - 1))
    return _with_value(draft, b"\0" + unknown_id.to_bytes(4, "big") + _framed_value(draft)[5:])


def _unknown_guid(random: Random, draft: Draft) -> Draft:
    header = random.choice((b"\1" + guid_of(999).bytes, b"\1" + guid_of(1).bytes[:9], b"\0" + guid_of(1).bytes, b""))
    return replace(draft, headers=(("__value_schema_id", header),))


def _schema_of_another_stream(random: Random, draft: Draft) -> Draft:
    other = random.choice([numbers[0] for stream, numbers in WRITERS_OF.items() if stream != draft.stream])
    return _with_value(draft, b"\0" + other.to_bytes(4, "big") + _framed_value(draft)[5:])


def _no_text(random: Random, draft: Draft) -> Draft:
    """Bytes that are no UTF-8 in the midst of a text (the stand-in is as long in bytes as what replaces it)."""
    field = EMPTY_IDS[draft.stream][0]
    value = _framed_value(_changed(draft, **{field: "@@@@"}))
    return _with_value(draft, value.replace(b"@@@@", random.choice((b"\xff\xfe\xff\xfe", b"\xed\xa0\x80x", b"\xc0\x80ab", b"abc\xc3"))))


def _giant_length(random: Random, draft: Draft) -> Draft:
    """A text that claims to be longer than all that comes, or shorter than nothing."""
    field = EMPTY_IDS[draft.stream][0]
    value = _framed_value(_changed(draft, **{field: "@@@@"}))
    claim = random.choice((b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x20", b"\x01"))
    return _with_value(draft, value.replace(b"\x08@@@@", claim + b"@@@@"))


def _a_byte_of_ones(random: Random, draft: Draft) -> Draft:
    """May be anything, or even valid; but a customer's signed_up_at has no limits, and no calendar would hold it."""
    if draft.stream == "customers":
        return _cut_short(random, draft)
    value = bytearray(_framed_value(draft))
    value[random.randrange(5, len(value))] = 0xFF
    return _with_value(draft, bytes(value))


def _empty_id(random: Random, draft: Draft) -> Draft:
    return _changed(draft, **{random.choice(EMPTY_IDS[draft.stream]): ""})


def _amount_beyond_limits(random: Random, draft: Draft) -> Draft:
    fields = AMOUNTS[draft.stream]
    return _changed(draft, **{random.choice(fields): random.choice(TOO_MUCH)}) if fields else _empty_id(random, draft)


def _about_1980(random: Random, draft: Draft) -> Draft:
    """The first moment of 1980 is still valid, and on a day of 1979 in the west."""
    beginning = datetime(1980, 1, 1, tzinfo=UTC)
    before = (beginning - timedelta(microseconds=1), beginning - timedelta(days=3653), datetime(1, 1, 1, tzinfo=UTC))
    moment = random.choice((beginning, *before))
    return _changed(draft, **{random.choice(LIMITED_TIMES[draft.stream]): moment})


def _beyond_the_future_guard(random: Random, draft: Draft) -> Draft:
    ahead = random.choice((timedelta(hours=3), timedelta(days=999), timedelta(days=2_000_000)))
    return _changed(draft, **{random.choice(LIMITED_TIMES[draft.stream]): draft.arrives_at + ahead})


def _moment_without_date(random: Random, draft: Draft) -> Draft:
    """A number of microseconds that no calendar has."""
    return _changed(draft, **{LIMITED_TIMES[draft.stream][0]: random.choice((2**63 - 1, -(2**63), 2**60))})


def _item_beyond_limits(random: Random, draft: Draft) -> Draft:
    field = random.choice(("quantity", "unit_price_cents", "discount_cents", "unit_cost_cents", "product_id"))
    bad = {"quantity": (-1, 10**6 + 1, 2**31 - 1), "product_id": ("",)}.get(field, TOO_MUCH)
    item = {"product_id": "p1", "quantity": 1, "unit_price_cents": 1, "discount_cents": 0} | {field: random.choice(bad)}
    assert draft.record is not None
    return _changed(draft, items=[*draft.record["items"], item])


def _items_in_blocks(random: Random, draft: Draft) -> Draft:
    """Valid: the items one by one, each in a block with its size in bytes before it."""
    without_items = _framed_value(_changed(draft, items=[]))
    assert draft.record is not None
    blocks = [item_body(item) for item in draft.record["items"]]
    sized = [long_body(-1) + long_body(len(block)) + block for block in blocks]
    return _with_value(draft, without_items[:-1] + b"".join(sized) + b"\0")


def _order_beyond_limits(random: Random, draft: Draft) -> Draft:
    """10^15 in all is still valid, one cent more is not."""
    full = {"product_id": "p1", "quantity": 1000, "unit_price_cents": 10**12, "discount_cents": 0, "unit_cost_cents": None}
    price, cost = random.choice(((0, None), (1, None), (0, 10**12), (1, 10**12), (10**12, None)))
    items = [full | {"unit_cost_cents": cost}, {"product_id": "p2", "quantity": 1, "unit_price_cents": price, "discount_cents": 0}]
    return _changed(draft, items=items)


def _null_touchpoint(random: Random, draft: Draft) -> Draft:
    return _with_value(draft, None)


def _score_beyond_limits(random: Random, draft: Draft) -> Draft:
    return _changed(draft, event_type="review", review_score=random.choice((0, 6, -1, 2**31 - 1)))


def _without_key(random: Random, draft: Draft) -> Draft:
    return replace(draft, key=random.choice((None, b"", b"\xff", b"\xed\xa0\x80")))


def _without_moment(random: Random, draft: Draft) -> Draft:
    future_ms = int((draft.arrives_at + timedelta(hours=3)).timestamp() * 1000)
    return replace(draft, timestamp_ms=random.choice((None, 0, future_ms)))


OF_TOMBSTONES: tuple[Spoiler, ...] = (_without_key, _without_moment)
OF_BYTES: tuple[Spoiler, ...] = (
    *(_bad_magic, _cut_short, _more_behind, _unknown_schema, _unknown_guid, _schema_of_another_stream),
    *(_no_text, _giant_length, _a_byte_of_ones),
)
OF_VALUES: tuple[Spoiler, ...] = (_empty_id, _amount_beyond_limits, _about_1980, _beyond_the_future_guard, _moment_without_date)
OF_ORDERS: tuple[Spoiler, ...] = (_item_beyond_limits, _order_beyond_limits, _items_in_blocks)
OF_TOUCHPOINTS: tuple[Spoiler, ...] = (_null_touchpoint, _score_beyond_limits)
