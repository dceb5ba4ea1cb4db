"""What a mart's rows say of all its rows, and of marts that change by themselves: increments come to what all rows anew do."""

import re
from datetime import date
from pathlib import Path

import pytest

from tests.support.marts import SPEND, Marts, mart, same_in_full
from tests.support.worker import Worker, line, order
from worker.errors import ConfigError
from worker.marts.definition import Mart, parse
from worker.marts.refresh import Request


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path, partitions=1)


THIRDS = parse(
    "thirds",
    """-- thirds: a test's own.
-- grain: (customer_id)   reads: spend
/*
unit = "customer"
[columns]
customer_id = { about = "the customer" }
net_cents = { about = "its net" }
third = { about = "by net_cents", tile = { of = "net_cents", parts = 3 } }
half = { about = "by net_cents", tile = { of = "net_cents", parts = 2, labels = ["it's low", "high"] } }
is_best = { about = "in the last third", type = "boolean", by_tiles = "third = 3" }
*/
select customer_id, net_cents from spend""",
)


def test_where_a_row_stands_among_all_is_set_in_those_that_do_not_change(worker: Worker) -> None:
    """By hand: of 1, 2, 2, 5 the thirds begin beyond the 2nd and the 3rd lowest, the second half beyond the 2nd."""
    marts = Marts(worker, SPEND, THIRDS)
    worker.feed(
        *(
            order(name, "2026-03-05", customer_id=name, items=[line(unit_price_cents=net)])
            for name, net in zip("abcd", (2, 1, 5, 2), strict=True)
        )
    )
    worker.close_day("2026-03-05")
    marts.refresh()
    low, high = "it's low", "high"
    assert marts.rows("thirds") == [
        ("a", 2, 1, low, False),
        ("b", 1, 1, low, False),
        ("c", 5, 3, high, True),
        ("d", 2, 1, low, False),
    ]
    worker.feed(order("late", "2026-03-05", customer_id="e", items=[line(unit_price_cents=9)]))
    run = marts.refresh()["thirds"]
    assert (run.reason, run.rows_written) == ("", 1)
    assert marts.rows("thirds") == [  # of 1, 2, 2, 5, 9 the thirds begin beyond the 2nd and the 4th, the second half beyond the 3rd
        ("a", 2, 1, low, False),
        ("b", 1, 1, low, False),
        ("c", 5, 2, high, False),
        ("d", 2, 1, low, False),
        ("e", 9, 3, high, True),
    ]
    same_in_full(marts)


@pytest.mark.parametrize(
    "value",
    [
        "to_timestamp(n)",
        "time '00:00:00' + to_minutes(n)",
        "cast(n as decimal(38, 0))",
        "cast(n as double) / 7",
        "cast(n as varchar)",
        "cast(concat('00000000-0000-0000-0000-00000000000', n) as uuid)",
    ],
)
def test_a_tile_is_of_values_of_any_type(worker: Worker, value: str) -> None:
    """Of 3, 1, 2 and nothing the second half begins beyond the 2nd lowest."""
    text = f"""-- placed: a test's own.
-- grain: (customer_id)   reads: spend
/*
unit = "customer"
[columns]
customer_id = {{ about = "the customer" }}
n = {{ about = "a number" }}
half = {{ about = "by n", tile = {{ of = "case when n < 4 then {value} end", parts = 2 }} }}
*/
select customer_id, cast(net_cents as integer) as n from spend"""
    marts = Marts(worker, SPEND, parse("placed", text))
    worker.close_day("2026-03-04")
    marts.refresh()
    nets = zip("abcd", (3, 1, 2, 4), strict=True)
    worker.feed(*(order(name, "2026-03-05", customer_id=name, items=[line(unit_price_cents=net)]) for name, net in nets))
    worker.close_day("2026-03-05")
    marts.refresh()
    assert marts.rows("placed", "customer_id", "half") == [("a", 2), ("b", 1), ("c", 1), ("d", None)]
    same_in_full(marts)


def test_of_a_mart_whose_rows_change_by_themselves_all_is_read(worker: Worker) -> None:
    """Nothing dirty tells that another customer's place has changed, or that a day has passed."""

    def over(other: str, column: str) -> Mart:
        select = f"select customer_id, {column} from {other}"
        return mart(f"over_{other}", 'unit = "customer"', select, grain="customer_id", columns=column, reads=other)

    ages = parse(
        "ages",
        """-- ages: a test's own.
-- grain: (customer_id)   reads: customer_first
/*
unit = "customer"
ages = true
[columns]
customer_id = { about = "the customer" }
days = { about = "since the first order" }
*/
select customer_id, date_diff('day', first_order_day, $as_of) as days from customer_first""",
    )
    marts = Marts(worker, SPEND, THIRDS, ages, over("thirds", "third"), over("ages", "days"))
    worker.feed(
        *(order(name, "2026-03-05", customer_id=name, items=[line(unit_price_cents=net)]) for name, net in zip("ab", (2, 1), strict=True))
    )
    worker.close_day("2026-03-05")
    marts.refresh()
    worker.feed(order("late", "2026-03-05", customer_id="c", items=[line(unit_price_cents=9)]))
    runs = marts.refresh()
    assert [runs[name].reason for name in ("ages", "over_ages", "over_thirds")] == ["", "", "what has changed in thirds is not known"]
    worker.close_day("2026-03-06")
    runs = marts.refresh()
    assert [runs[name].reason for name in ("ages", "over_ages")] == ["a day has passed", "what has changed in ages is not known"]
    assert marts.rows("over_ages") == [("a", 1), ("b", 1), ("c", 1)]
    same_in_full(marts)


def test_who_reads_what_was_computed_as_a_whole_is_so_too(worker: Worker) -> None:
    """A mart between two others that only says what it has read."""

    def over(other: str) -> Mart:
        select = f"select customer_id, third from {other}"
        return mart(f"over_{other}", 'unit = "customer"', select, grain="customer_id", columns="third", reads=other)

    marts = Marts(worker, SPEND, THIRDS, over("thirds"), over("over_thirds"))
    worker.feed(
        *(order(name, "2026-03-05", customer_id=name, items=[line(unit_price_cents=net)]) for name, net in (("a", 1), ("b", 2), ("c", 5)))
    )
    worker.close_day("2026-03-05")
    marts.refresh()
    worker.feed(order("late", "2026-03-05", customer_id="d", items=[line(unit_price_cents=9)]))
    marts.refresh()
    assert marts.rows("over_over_thirds") == marts.rows("thirds", "customer_id", "third")
    same_in_full(marts)
    assert marts.refresh()["spend"].reason == ""


def test_tiles_are_not_made_of_tiles() -> None:
    for wrong in (
        'half = { about = "h", tile = { of = "third", parts = 2 } }',
        'half = { about = "h", type = "bigint", by_tiles = "third + is_best::int" }',
        'half = { about = "h", type = "bigint", by_tiles = "third", tile = { of = "net_cents", parts = 2 } }',
    ):
        with pytest.raises(ConfigError, match=r"mart thirds: .*half"):
            parse("thirds", re.sub("half = .*", lambda _: wrong, THIRDS.text))  # noqa: B023


def test_a_mart_whose_columns_come_and_go_keeps_its_tiles(worker: Worker) -> None:
    text = THIRDS.text.replace('unit = "customer"', 'unit = "customer"\non_schema_change = "append"')
    worker.feed(order("o1", "2026-03-05", customer_id="a", items=[line(unit_price_cents=2)]), close="2026-03-05")
    Marts(worker, SPEND, parse("thirds", text)).refresh()
    changed = text.replace("net_cents = {", 'twice = { about = "net" }\nnet_cents = {').replace(
        "customer_id, net_cents from", "customer_id, 2 * net_cents as twice, net_cents from"
    )
    marts = Marts(worker, SPEND, parse("thirds", changed))
    marts.refresh()
    assert marts.rows("thirds", "customer_id", "twice", "third", "is_best") == [("a", 4, 1, False)]


def test_what_an_input_knows_of_sealed_days_is_what_a_mart_knows(tmp_path: Path) -> None:
    """The input is refreshed before a day is sealed, the mart that reads it after: its rows are of the time before."""
    worker = Worker(tmp_path, partitions=1, retention={"days": 2})
    over = mart("over", 'unit = "customer"', "select customer_id, orders from spend", grain="customer_id", columns="orders", reads="spend")
    marts = Marts(worker, SPEND, over)
    worker.feed(order("o1", "2026-03-04", customer_id="a"), order("o2", "2026-03-05", customer_id="b"), close="2026-03-05")
    marts.refresh("spend")
    worker.feed(order("o3", "2026-03-06", customer_id="c"), close="2026-03-06")
    with worker.store.cursor() as connection:
        marts.refresher.refresh(connection, over, Request(as_of=date(2026, 3, 5)), worker.now)
    assert {name: run.reason for name, run in marts.refresh().items()} == dict.fromkeys(("spend", "over"), "days were sealed")
    same_in_full(marts)
    worker.close()


def test_what_an_appended_mart_has_come_to_say_refreshes_all(worker: Worker) -> None:
    fits = parse(
        "fits",
        """-- fits: the most that was spent, once more when there are three customers.
-- grain: (day)   reads: spend, fits
/*
unit = "append"
[columns]
day = { about = "as of", type = "date" }
most = { about = "that was spent", type = "bigint" }
*/
select cast($as_of as date) as day, max(net_cents) as most from spend
having not exists (select 1 from fits) or count(*) > 2 and (select count(*) from fits) < 2""",
    )
    shares = mart(
        "shares",
        'unit = "customer"',
        "select customer_id, cast(net_cents as double) / (select max_by(most, day) from fits) as share from spend",
        grain="customer_id",
        columns="share",
        reads="spend, fits",
    )
    marts = Marts(worker, SPEND, fits, shares)
    worker.feed(order("o1", "2026-03-05", customer_id="a", items=[line(unit_price_cents=2)]), close="2026-03-05")
    marts.refresh()
    worker.feed(order("o2", "2026-03-05", customer_id="b", items=[line(unit_price_cents=1)]))
    runs = marts.refresh()
    assert (runs["fits"].rows_written, runs["shares"].reason, runs["shares"].rows_written) == (0, "", 1)
    worker.feed(order("o3", "2026-03-06", customer_id="c", items=[line(unit_price_cents=4)]), close="2026-03-06")
    runs = marts.refresh()
    assert (runs["fits"].rows_written, runs["shares"].reason) == (1, "what has changed in fits is not known")
    assert marts.rows("shares") == [("a", 0.5), ("b", 0.25), ("c", 1.0)]
    with worker.store.cursor() as connection:
        connection.execute("delete from mart_run where mart = 'fits'")  # as after a month
    assert marts.refresh()["shares"].reason == "what has changed in fits is not known"
    assert marts.refresh()["shares"].reason == ""
