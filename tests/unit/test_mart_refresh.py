"""Marts are brought up to date from what has changed, and only from that; and as a whole they are the same."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.marts import SPEND, Marts, mart, same_in_full
from tests.support.worker import Worker, customer, order, tombstone, touch
from worker.errors import ConfigError
from worker.marts.definition import parse
from worker.marts.refresh import NotReady, Request

VISITS = mart(
    "visits",
    'unit = "day"',
    "select day, cast(sum(touchpoints) as bigint) as touchpoints from daily_reach group by day",
    grain="day",
    columns="touchpoints",
    reads="daily_reach",
)
MONTHS = mart(
    "months",
    'unit = "month"',
    "select cast(date_trunc('month', day) as date) as month, cast(sum(touchpoints) as bigint) as touchpoints from daily_reach "
    "group by cast(date_trunc('month', day) as date)",
    grain="month",
    columns="touchpoints",
    reads="daily_reach",
)
BEST = mart(
    "best",
    'unit = "whole"',
    "select customer_id, net_cents from spend where net_cents = (select max(net_cents) from spend)",
    grain="customer_id",
    columns="net_cents",
    reads="spend",
)
CLICKS = mart(
    "clicks",
    'unit = "customer"',
    "select coalesce(t.customer_id, s.customer_id) as customer_id, count(*) as touchpoints "
    "from touchpoint as t join session_day as s on s.day = t.day and s.session_id = t.session_id "
    "group by coalesce(t.customer_id, s.customer_id)",
    grain="customer_id",
    columns="touchpoints",
    reads="touchpoint, session_day",
)


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path, partitions=1)


def test_a_mart_shows_closed_days_only(worker: Worker) -> None:
    marts = Marts(worker, VISITS)
    worker.feed(touch("c1", "2026-03-05"), touch("c2", "2026-03-06"), close="2026-03-05")
    assert marts.refresh()["visits"].reason == "first"
    assert marts.rows("visits") == [("2026-03-05", 1)]


def test_before_any_day_is_closed_there_is_nothing_to_refresh(worker: Worker) -> None:
    with pytest.raises(NotReady, match="no day is closed yet"):
        Marts(worker, VISITS).refresh()


def test_a_late_order_refreshes_its_customer_alone(worker: Worker) -> None:
    marts = Marts(worker, SPEND, BEST)
    worker.feed(order("o1", "2026-03-05"), order("o2", "2026-03-05", customer_id="c2"), close="2026-03-07")
    marts.refresh()
    worker.feed(order("o3", "2026-03-04"))
    runs = marts.refresh()
    assert (runs["spend"].reason, runs["spend"].rows_written, runs["spend"].rows_removed) == ("", 1, 1)
    assert marts.rows("spend") == [("c1", 2, 2000), ("c2", 1, 1000)]
    assert marts.rows("best") == [("c1", 2000)]


def test_an_order_that_goes_over_to_another_customer_leaves_the_first_one(worker: Worker) -> None:
    marts = Marts(worker, SPEND)
    worker.feed(order("o1", "2026-03-05"), close="2026-03-07")
    marts.refresh()
    worker.feed(order("o1", "2026-03-05", updated="2026-03-08", customer_id="c2"))
    assert marts.refresh()["spend"].reason == ""
    assert marts.rows("spend") == [("c2", 1, 1000)]


def test_a_tombstone_takes_an_order_out_of_its_customers_row(worker: Worker) -> None:
    marts = Marts(worker, SPEND)
    worker.feed(order("o1", "2026-03-05"), order("o2", "2026-03-05"), close="2026-03-07")
    marts.refresh()
    worker.feed(tombstone("orders", "o1", "2026-03-08"))
    assert marts.refresh()["spend"].reason == ""
    assert marts.rows("spend") == [("c1", 1, 1000)]


def test_a_day_that_closes_brings_what_had_come_before(worker: Worker) -> None:
    marts = Marts(worker, SPEND, VISITS, MONTHS)
    worker.feed(order("o1", "2026-03-05"), order("o2", "2026-03-06", customer_id="c2"), touch("c1", "2026-03-06"), close="2026-03-05")
    marts.refresh()
    assert marts.rows("spend") == [("c1", 1, 1000)]
    worker.close_day("2026-03-06")
    runs = marts.refresh()
    assert [runs[name].reason for name in runs] == ["", "", ""]
    assert marts.rows("spend") == [("c1", 1, 1000), ("c2", 1, 1000)]
    assert marts.rows("visits") == [("2026-03-06", 1)]
    assert marts.rows("months") == [("2026-03-01", 1)]
    same_in_full(marts)


def test_a_late_day_refreshes_its_whole_month(worker: Worker) -> None:
    marts = Marts(worker, MONTHS)
    worker.feed(touch("c1", "2026-02-05"), touch("c1", "2026-02-06"), touch("c1", "2026-03-05"), close="2026-03-07")
    marts.refresh()
    worker.feed(touch("c2", "2026-02-28"))
    assert marts.refresh()["months"].rows_written == 1
    assert marts.rows("months") == [("2026-02-01", 3), ("2026-03-01", 1)]


def test_an_anonymous_touchpoint_goes_over_with_its_session(worker: Worker) -> None:
    marts = Marts(worker, CLICKS)
    worker.feed(touch(None, "2026-03-05 08:00", session_id="s"), touch("c1", "2026-03-05 09:00", session_id="s"), close="2026-03-07")
    marts.refresh()
    assert marts.rows("clicks") == [("c1", 2)]
    worker.feed(touch("c2", "2026-03-05 10:00", session_id="s"))
    marts.refresh()
    assert marts.rows("clicks") == [("c1", 1), ("c2", 2)]
    same_in_full(marts)


def test_a_session_that_is_anothers_is_seen_by_all_who_take_part_in_it(worker: Worker) -> None:
    marts = Marts(worker, CLICKS)
    worker.feed(touch("c1", "2026-03-05 09:00", session_id="s"), touch("c2", "2026-03-05 10:00", session_id="s"), close="2026-03-07")
    marts.refresh()
    worker.feed(touch("c1", "2026-03-06"))
    marts.refresh()
    assert marts.rows("clicks") == [("c1", 2), ("c2", 1)]
    same_in_full(marts)


def test_what_an_earlier_as_of_shows_is_todays_knowledge_of_those_days(worker: Worker) -> None:
    marts = Marts(worker, SPEND, VISITS)
    worker.feed(order("o1", "2026-03-05"), order("o2", "2026-03-06"), touch("c1", "2026-03-06"), close="2026-03-07")
    marts.refresh()
    marts.refresh(as_of="2026-03-05")
    assert (marts.rows("spend"), marts.rows("visits")) == ([("c1", 1, 1000)], [])
    marts.refresh()
    assert (marts.rows("spend"), marts.rows("visits")) == ([("c1", 2, 2000)], [("2026-03-06", 1)])


def test_an_open_day_is_shown_when_asked_for_and_marked_provisional(worker: Worker) -> None:
    marts = Marts(worker, VISITS)
    worker.feed(touch("c1", "2026-03-05"), touch("c1", "2026-03-06"), close="2026-03-05")
    marts.refresh(as_of="2026-03-06")
    assert marts.rows("mart_run", "mart", "as_of", "is_provisional") == [("visits", "2026-03-06", True)]
    marts.refresh()
    assert marts.rows("visits") == [("2026-03-05", 1)]


def test_other_parameters_refresh_all(worker: Worker) -> None:
    limited = mart(
        "limited",
        'unit = "customer"',
        "select customer_id, count(*) as orders from counted_order where net_cents > cast($least as bigint) group by customer_id",
        grain="customer_id",
        columns="orders",
        reads="counted_order",
        parameters="least",
    )
    worker.feed(order("o1", "2026-03-05"), close="2026-03-07")
    Marts(worker, limited, parameters={"least": 1}).refresh()
    marts = Marts(worker, limited, parameters={"least": 1000})
    assert marts.refresh()["limited"].reason == "definition or parameters changed"
    assert marts.rows("limited") == []


def test_a_refresh_that_fails_leaves_the_rows_as_they_were(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"), close="2026-03-07")
    Marts(worker, SPEND).refresh()
    broken = mart(
        "spend",
        "",
        "select customer_id, cast('x' as integer) as orders from counted_order",
        grain="customer_id",
        columns="orders",
        reads="counted_order",
    )
    with pytest.raises(Exception, match="Could not convert"):
        Marts(worker, broken).refresh()
    assert worker.rows("spend") == [("c1", 1, 1000)]
    assert worker.query("select count(*) from mart_run") == [(1,)]


def test_columns_are_those_that_were_declared(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"), close="2026-03-07")
    wrong = mart("wrong", "", "select customer_id from counted_order", grain="customer_id", columns="orders", reads="counted_order")
    with pytest.raises(ConfigError, match="has customer_id, orders; its rows have customer_id"):
        Marts(worker, wrong).refresh()


def test_a_mart_waits_for_what_it_reads(worker: Worker) -> None:
    marts = Marts(worker, SPEND, BEST)
    worker.feed(order("o1", "2026-03-05"), close="2026-03-07")
    with worker.store.cursor() as connection, pytest.raises(NotReady, match="waits for spend"):
        marts.refresher.refresh(connection, BEST, Request(), worker.now)


# What merging does not tell


def test_a_table_that_is_switched_on_refreshes_all(worker: Worker) -> None:
    marts = Marts(worker, VISITS)
    worker.feed(touch("c1", "2026-03-05"), close="2026-03-07")
    marts.refresh()
    worker.reopen(tables={"daily_reach": False})
    with pytest.raises(ConfigError, match="mart visits reads daily_reach, which is switched off"):
        marts.refresh()
    worker.feed(touch("c2", "2026-03-05"))
    worker.reopen(tables={})
    assert marts.refresh()["visits"].reason == "days were rebuilt"
    assert marts.rows("visits") == [("2026-03-05", 2)]


def test_customers_computed_some_at_a_time_are_the_same_as_all_at_once(worker: Worker) -> None:
    select, columns = (
        "select customer_id, count(*) as orders, count(*) over () as at_once from counted_order group by customer_id",
        "orders, at_once",
    )
    parts = mart("parts", 'unit = "customer"\nat_a_time = 2', select, grain="customer_id", columns=columns, reads="counted_order")
    marts = Marts(worker, SPEND, parts)
    worker.feed(*(order(f"o{number}", "2026-03-05", customer_id=f"c{number}") for number in range(20)), close="2026-03-05")
    run = marts.refresh()["parts"]
    assert (run.rows_read, run.rows_written) == (20, 20)
    rows = marts.worker.query("select customer_id, orders, at_once from parts order by customer_id")
    assert [row[:2] for row in rows] == marts.worker.query("select customer_id, orders from spend order by customer_id")
    assert max(row[2] for row in rows) < 10
    assert marts.refresh(full=True)["parts"].rows_removed == 20


def test_what_follows_a_mart_changes_with_it_and_with_the_days(worker: Worker) -> None:
    """Only the new customer's row is made anew; the other one's moves down a place, and grows older."""
    place = mart(
        "place",
        'unit = "whole"',
        "select customer_id, row_number() over (order by net_cents desc, customer_id) as place from spend",
        grain="customer_id",
        columns="place",
        reads="spend",
    )
    select = """select f.customer_id, f.first_order_day, date_diff('day', f.first_order_day, $as_of) as days, p.place
        from customer_first as f join place as p on p.customer_id = f.customer_id"""
    front = """unit = "customer"
        follows = ["place"]
        [columns]
        customer_id = { about = "the customer" }
        first_order_day = { about = "the day of the first order" }
        days = { about = "days since then", each_day = "days + date_diff('day', $last_as_of, $as_of)" }
        place = { about = "place.place" }"""
    text = f"-- best: a test's own.\n-- grain: (customer_id)   reads: customer_first, place\n/*\n{front}\n*/\n{select}"
    marts = Marts(worker, SPEND, place, parse("best", text))
    worker.feed(order("o1", "2026-03-05", customer_id="ann"), close="2026-03-05")
    marts.refresh()
    worker.feed(*(order(number, "2026-03-06", customer_id="bob") for number in ("o2", "o3")), close="2026-03-07")
    run = marts.refresh()["best"]
    assert (run.reason, run.rows_written) == ("", 1)
    assert marts.rows("best") == [("ann", "2026-03-05", 2, 2), ("bob", "2026-03-06", 1, 1)]
    same_in_full(marts)
    with pytest.raises(ConfigError, match="of marts with the unit customer"):
        parse("best", text.replace('"customer"', '"whole"'))


def test_days_that_are_sealed_refresh_all_but_keep_their_periods(tmp_path: Path) -> None:
    worker = Worker(tmp_path, retention={"days": 3})
    kept = mart(
        "kept",
        'unit = "customer"\nkept_by = "day"',
        "select customer_id, day, count(*) as orders from counted_order group by customer_id, day",
        grain="customer_id, day",
        columns="orders",
        reads="counted_order",
    )
    marts = Marts(worker, SPEND, kept)
    worker.feed(order("o1", "2026-03-05"), order("o2", "2026-03-07"), close="2026-03-07")
    marts.refresh()
    worker.close_day("2026-03-08")
    runs = marts.refresh()
    assert (runs["spend"].reason, marts.rows("spend")) == ("days were sealed", [("c1", 1, 1000)])
    assert marts.rows("kept", "customer_id", "day", "orders") == [("c1", "2026-03-05", 1), ("c1", "2026-03-07", 1)]
    worker.feed(order("o3", "2026-03-07"))
    marts.refresh()
    assert marts.rows("kept", "customer_id", "day", "orders") == [("c1", "2026-03-05", 1), ("c1", "2026-03-07", 2)]


def test_a_clock_that_goes_back_hides_nothing(worker: Worker) -> None:
    marts = Marts(worker, SPEND)
    worker.feed(order("o1", "2026-03-05"), close="2026-03-07")
    marts.refresh()
    worker.now -= timedelta(days=2)
    worker.log.put([order("o2", "2026-03-05")])
    worker.step()
    marts.refresh()
    assert marts.rows("spend") == [("c1", 2, 2000)]


def test_a_customers_own_message_is_noticed(worker: Worker) -> None:
    cities = mart(
        "cities",
        'unit = "customer"',
        "select s.customer_id, c.city from customer_first as s join customer as c on c.customer_id = s.customer_id",
        grain="customer_id",
        columns="city",
        reads="customer_first, customer",
    )
    marts = Marts(worker, cities)
    worker.feed(order("o1", "2026-03-05"), customer("c1", "2026-03-05", city="Lyon"), close="2026-03-07")
    marts.refresh()
    worker.feed(customer("c1", "2026-03-08", city="Paris"))
    assert marts.refresh()["cities"].rows_written == 1
    assert marts.rows("cities") == [("c1", "Paris")]


def test_what_is_appended_stays(worker: Worker) -> None:
    counts = parse(
        "counts",
        "-- counts: orders at each refresh.\n-- grain: (day)   reads: counted_order, counts   parameters: as_of\n"
        '/*\nunit = "append"\n[columns]\nday = { about = "as of", type = "date" }\norders = { about = "orders", type = "bigint" }\n*/\n'
        "select cast($as_of as date) as day, count(*) as orders from counted_order "
        "having not exists (select 1 from counts where day = $as_of)",
    )
    marts = Marts(worker, counts)
    worker.feed(order("o1", "2026-03-05"), close="2026-03-06")
    marts.refresh()
    worker.feed(order("o2", "2026-03-05"))
    marts.refresh()
    worker.close_day("2026-03-07")
    marts.refresh(full=True)
    assert marts.rows("counts") == [("2026-03-06", 1), ("2026-03-07", 2)]
