"""Days that are computed anew from the log: what was damaged comes right, what was right stays as it is, and the ledger tells."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from tests.support.jobs import Readmission, Rebuild, log_feed
from tests.support.messages import Produced, framed
from tests.support.worker import Worker, moment, order, touch
from worker.errors import ArchiveError, SourceError
from worker.events import Origin, Partition, Stream
from worker.jobs.job import Job
from worker.readmit import ExpiredFeed
from worker.rebuild import Days, RebuildJob, feed_point
from worker.store.jobs import JobRow, JobState

DAY, NEXT_DAY = "2026-03-05", "2026-03-06"
DAMAGES = {
    "an event is gone": "delete from touchpoint where customer_id = 'c1'",
    "an order is gone": "delete from order_current where order_id = 'o1'",
    "a value is wrong": "update order_current set net_cents = 7, gross_cents = 7 where order_id = 'o2'",
    "a text is wrong": "update touchpoint set channel = 'wrong' where customer_id = 'c2'",
    "a table is lost": "delete from daily_sales",
    "a keyed table is lost": "delete from customer_day",
    "first days are lost": "delete from customer_first",
    "a count is wrong": "update daily_reach set customers = customers + 1",
    "a row should not be": "insert into hourly_traffic values (date '2026-03-05', 3, 'made up', 9)",
}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Worker]:
    """Two closed days; c1 was there on both."""
    worker = Worker(tmp_path)
    worker.feed(
        touch("c1", DAY, channel="email", cost_cents=5),
        touch("c2", DAY, channel="ads"),
        order("o1", DAY, customer_id="c1"),
        order("o2", DAY, customer_id="c3", currency="EUR"),
        order("o2", DAY, customer_id="c3", currency="EUR", updated=NEXT_DAY, refunded_cents=100),
        order("not counted", DAY, status="PLACED"),
        touch("c1", NEXT_DAY),
        order("o3", NEXT_DAY, customer_id="c1"),
        close=NEXT_DAY,
    )
    yield worker
    worker.close()


def everything(worker: Worker) -> dict[str, list[tuple[object, ...]]]:
    """What the tables say, without when it was ingested."""
    tables = [name for (name,) in worker.query("select table_name from duckdb_tables() where not temporary order by all")]
    record = {"job", "accounting", "progress", "ledger", "ledger_offset", "ledger_sales", "day_state", "schema_migration", "file_setting"}
    record.add("mart_dirty")
    found = {}
    for name in tables:
        if name not in record and not name.startswith("rebuild_"):
            without = "* exclude (ingested_at)" if name in {"touchpoint", "order_current", "rejected", "expired"} else "*"
            found[name] = worker.query(f"select {without} from {name} order by all")
    return found


def test_a_rebuild_changes_nothing_where_nothing_was_wrong(shop: Worker) -> None:
    before, ingested = everything(shop), shop.query("select max(ingested_at) from touchpoint")
    row = Rebuild(shop, DAY, NEXT_DAY).run()
    assert everything(shop) == before
    assert shop.query("select max(ingested_at) from touchpoint") == ingested
    assert (shop.revision(DAY), shop.revision(NEXT_DAY)) == (1, 1)
    assert (shop.rows("ledger"), shop.rows("mart_dirty")) == ([], [])
    assert (row.counts["read"], row.counts["accepted"], row.counts["duplicate"], row.counts["superseded"]) == (8, 0, 7, 1)
    assert not shop.differences()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_was_damaged_comes_right(shop: Worker, damage: str) -> None:
    before = everything(shop)
    shop.tamper(damage)
    assert everything(shop) != before
    Rebuild(shop, DAY, NEXT_DAY).run()
    assert everything(shop) == before
    assert shop.rows("mart_dirty", "customer_id")[0] == (None,)  # marts have seen what was wrong
    assert not shop.differences()


def test_only_the_days_asked_for_are_touched(shop: Worker) -> None:
    shop.tamper("delete from daily_sales")
    Rebuild(shop, DAY).run()
    assert {day for (day,) in shop.rows("daily_sales", "day")} == {DAY}


def test_the_ledger_tells_what_a_mended_value_came_to(shop: Worker) -> None:
    shop.tamper("update order_current set net_cents = 7 where order_id = 'o1'")
    shop.tamper("update daily_sales set net_cents = 7 where currency = 'USD' and day = date '2026-03-05'")
    Rebuild(shop, DAY).run()
    assert shop.revision(DAY) == 2
    assert (shop.ledger(DAY).reason, shop.ledger(DAY).late_new, shop.ledger(DAY).late_update) == ("replay", 0, 1)
    assert (shop.ledger_sales(DAY).orders, shop.ledger_sales(DAY).net_cents) == (0, 993)


def test_a_first_day_that_comes_back_moves_new_customers_between_days(shop: Worker) -> None:
    """As if the first visit had never been read: c1 was new on the second day only."""
    shop.tamper("delete from touchpoint where customer_id = 'c1' and day = date '2026-03-05'")
    shop.tamper("delete from order_current where order_id = 'o1'")
    shop.tamper("delete from customer_day where customer_id = 'c1' and day = date '2026-03-05'")
    shop.tamper(
        "update customer_first set first_active_day = date '2026-03-06', first_touch_day = date '2026-03-06', "
        "first_order_day = date '2026-03-06' where customer_id = 'c1'"
    )
    shop.tamper("update daily_users set active_customers = 2, buyers = 1, new_customers = 2, new_buyers = 1 where day = date '2026-03-05'")
    shop.tamper("update daily_users set new_customers = 1, new_buyers = 1 where day = date '2026-03-06'")
    Rebuild(shop, DAY).run()
    assert shop.rows("daily_users", "day", "new_customers", "new_buyers") == [(DAY, 3, 2), (NEXT_DAY, 0, 0)]
    assert (shop.revision(DAY), shop.revision(NEXT_DAY)) == (2, 2)
    assert not shop.differences()


@pytest.mark.parametrize("pieces", range(6))
def test_a_rebuild_that_was_killed_goes_on(shop: Worker, pieces: int) -> None:
    before = everything(shop)
    shop.tamper(DAMAGES["an event is gone"])
    shop.tamper(DAMAGES["a table is lost"])
    rebuild = Rebuild(shop, DAY, NEXT_DAY)
    rebuild.run(pieces)
    shop.crash()
    row = rebuild.run()
    assert everything(shop) == before
    assert row.counts["read"] == 8
    assert row.done == row.total


def test_what_the_live_stream_brings_meanwhile_stays(shop: Worker) -> None:
    rebuild = Rebuild(shop, DAY)
    late: list[Callable[[], object]] = [
        lambda: shop.feed(touch("c9", DAY), order("o9", DAY, customer_id="c9")),
        lambda: shop.feed(order("o1", DAY, customer_id="c1", updated=NEXT_DAY, refunded_cents=50)),
    ]
    for _ in rebuild.steps():
        if late:
            late.pop()()
    assert not late
    assert ("c9",) in shop.rows("customer_first", "customer_id")
    assert shop.query("select refunded_cents from order_current where order_id = 'o1'") == [(50,)]
    assert not shop.differences()
    assert shop.rows("day_offset", "day", "topic", "last_offset")[:2] == [(DAY, "orders", 7), (DAY, "touchpoints", 3)]


def test_the_live_stream_goes_on_after_a_rebuild(shop: Worker) -> None:
    Rebuild(shop, DAY).run()
    shop.feed(touch("c9", DAY), order("o9", DAY, customer_id="c9"))
    assert ("c9",) in shop.rows("customer_first", "customer_id")
    assert not shop.differences()


def test_what_was_rejected_when_it_first_came_is_resolved_once_a_rebuild_has_brought_it_in(shop: Worker) -> None:
    shop.schemas.missing = {1}  # of orders
    shop.reopen()
    shop.feed(order("o7", DAY))
    shop.schemas.missing = set()
    shop.reopen()
    shop.feed(order("o8", DAY))
    assert shop.query("select reason, resolution from rejected") == [("unknown_schema", None)]
    Rebuild(shop, DAY).run()
    assert ("o7",) in shop.rows("order_current", "order_id")
    assert shop.query("select reason, resolution from rejected") == [("unknown_schema", "accepted")]


def test_a_range_that_is_gone_says_so(shop: Worker) -> None:
    shop.log.delete_before(Partition("orders", 0), 2)
    with pytest.raises(SourceError, match="log starts at 2"):
        Rebuild(shop, DAY)


def with_its_books(worker: Worker) -> dict[str, list[tuple[object, ...]]]:
    return everything(worker) | {"accounting": worker.rows("accounting")}


@pytest.mark.parametrize("missing", [1, 3])
def test_days_do_not_lose_events_that_can_be_read_no_more(shop: Worker, missing: int) -> None:
    """A rebuild is refused as soon as it meets the first of them."""
    before = with_its_books(shop)
    shop.schemas.missing = {missing}
    stream, events = {1: ("orders", 3), 3: ("touchpoints", 2)}[missing]
    with pytest.raises(SourceError) as refused:
        Rebuild(shop, DAY).run()
    assert f"{events} of the " in refused.value.message
    assert f"the first at {stream}/0, offset " in refused.value.message
    assert f"schema {missing} is not known" in refused.value.message
    assert with_its_books(shop) == before
    shop.schemas.missing = set()
    Rebuild(shop, DAY).run()
    assert everything(shop) | {"accounting": before["accounting"]} == before


def test_what_never_was_an_event_holds_up_no_rebuild(shop: Worker) -> None:
    spoilt = replace(touch("c9", DAY), value_bytes=b"spoilt")
    shop.feed(spoilt, touch("c8", DAY))
    shop.tamper("delete from rejected")  # as retention.rejected_days does
    before = everything(shop)
    Rebuild(shop, DAY).run()
    assert everything(shop) | {"rejected": []} == before


def test_events_of_other_days_that_can_be_read_no_more_hold_up_no_rebuild(shop: Worker) -> None:
    shop.feed(of_another_schema(), touch("c8", NEXT_DAY))
    shop.schemas.missing = {2}
    assert Rebuild(shop, NEXT_DAY).run().counts["rejected"] == 1
    with pytest.raises(SourceError, match="1 of the "):
        Rebuild(shop, DAY).run()


@pytest.fixture
def sealed_shop(tmp_path: Path) -> Iterator[Worker]:
    """The first day is sealed: its rows are gone."""
    worker = Worker(tmp_path, retention={"days": 2})
    worker.feed(touch("c1", DAY, cost_cents=5), touch("c2", DAY), order("o1", DAY, customer_id="c1"), close="2026-03-09")
    assert worker.query("select is_sealed from day_state where day = date '2026-03-05'") == [(True,)]
    yield worker
    worker.close()


def test_a_sealed_day_that_was_right_is_the_same_after_a_rebuild(sealed_shop: Worker) -> None:
    before = everything(sealed_shop)
    Rebuild(sealed_shop, DAY).run()
    assert everything(sealed_shop) == before
    assert sealed_shop.revision(DAY) == 1
    assert sealed_shop.rows("ledger") == []
    assert not sealed_shop.differences()


def test_a_sealed_day_that_was_damaged_comes_right_and_stays_sealed(sealed_shop: Worker) -> None:
    before = everything(sealed_shop)
    sealed_shop.tamper("update daily_sales set net_cents = 7, orders = 3")
    sealed_shop.tamper("delete from daily_channel")
    assert sealed_shop.differences()
    Rebuild(sealed_shop, DAY).run()
    assert everything(sealed_shop) == before
    assert sealed_shop.revision(DAY) == 2
    assert (sealed_shop.ledger_sales(DAY).orders, sealed_shop.ledger_sales(DAY).net_cents) == (-2, 993)
    assert not sealed_shop.differences()


def test_an_expired_event_that_lies_among_what_is_read_is_part_of_the_sealed_day_then(sealed_shop: Worker) -> None:
    """The range that feeds two days together covers it."""
    sealed_shop.feed(touch("c3", DAY), touch("c1", "2026-03-09"))
    assert sealed_shop.accounting("touchpoints")["expired"] == 1
    Rebuild(sealed_shop, DAY, "2026-03-09").run()
    assert sealed_shop.rows("daily_reach", "day", "touchpoints", "customers") == [(DAY, 3, 3), ("2026-03-09", 1, 1)]
    assert sealed_shop.query("select resolution from expired") == [("accepted",)]
    assert sealed_shop.rows("daily_users", "day", "new_customers") == [(DAY, 3), ("2026-03-09", 0)]
    assert (sealed_shop.ledger(DAY).touchpoints, sealed_shop.revision(DAY)) == (1, 2)
    assert not sealed_shop.differences()


@pytest.mark.parametrize("missing", [1, 3])
def test_a_sealed_day_does_not_lose_events_that_can_be_read_no_more(sealed_shop: Worker, missing: int) -> None:
    before = with_its_books(sealed_shop)
    sealed_shop.schemas.missing = {missing}
    for _ in range(2):  # the first attempt leaves nothing that lets the second one through
        with pytest.raises(SourceError, match=f"schema {missing} is not known"):
            Rebuild(sealed_shop, DAY).run()
    assert with_its_books(sealed_shop) == before


def test_what_is_rejected_for_its_content_now_leaves_its_day(shop: Worker) -> None:
    """As if a fault, since mended, had made a touchpoint of it."""
    shop.feed(replace(touch("c9", DAY), value_bytes=b"spoilt"), touch("c8", DAY))
    ((offset,),) = shop.query('select "offset" from rejected')
    shop.tamper(f"update touchpoint set \"offset\" = {offset} where customer_id = 'c8'")
    shop.tamper("delete from rejected")
    assert Rebuild(shop, DAY).run().counts["rejected"] == 1


def test_what_was_rejected_before_a_day_was_sealed_does_not_hold_up_its_rebuild(tmp_path: Path) -> None:
    worker = Worker(tmp_path, retention={"days": 2})
    worker.feed(touch("c1", DAY), replace(touch("c2", DAY), value_bytes=b"spoilt"), touch("c3", DAY), close="2026-03-09")
    before = everything(worker)
    Rebuild(worker, DAY).run()
    assert everything(worker) == before
    worker.close()


def test_a_sealed_day_does_not_lose_what_was_readmitted(sealed_shop: Worker) -> None:
    sealed_shop.feed(touch("c3", DAY))
    Readmission(sealed_shop, DAY).run()
    sealed_shop.schemas.missing = {3}
    with pytest.raises(SourceError, match="schema 3 is not known"):
        Readmission(sealed_shop, DAY).run()
    assert sealed_shop.rows("daily_reach", "touchpoints") == [(3,)]


class FromFiles(Rebuild):
    """tidemark backfill --rebuild-days, from an archive of some streams."""

    streams = frozenset(Stream)

    def _job(self, row: JobRow) -> Job:
        held = replace(self.plan, ranges=tuple(each for each in self.plan.ranges if each.partition.topic in self.streams))
        days = Days(self.first, self.last, Origin.BACKFILL, {})
        feed = log_feed(self.worker, held, feed_point(row))
        return RebuildJob(row, feed, self.worker.pipeline.committer, self.worker.settings, days)


def test_a_sealed_day_is_rebuilt_from_files_that_have_all_of_it(sealed_shop: Worker) -> None:
    before = everything(sealed_shop)
    sealed_shop.tamper("delete from daily_region")
    FromFiles(sealed_shop, DAY).run()
    assert everything(sealed_shop) | {"day_offset": []} == before | {"day_offset": []}


OFF = {"the first of its tables": ["daily_channel", "daily_sales"]}
OFF["all of its tables"] = [*OFF["the first of its tables"], "daily_reach", "hourly_traffic", "daily_region", "hourly_sales"]


@pytest.mark.parametrize("off", OFF.values(), ids=OFF.keys())
@pytest.mark.parametrize("is_on_when_sealed", [True, False])
def test_what_a_sealed_day_held_is_known_where_tables_that_count_it_are_off(
    tmp_path: Path, off: list[str], is_on_when_sealed: bool
) -> None:
    switched = dict.fromkeys(off, False)
    worker = Worker(tmp_path, retention={"days": 2}, tables={} if is_on_when_sealed else switched)
    worker.feed(touch("c1", DAY), touch("c2", DAY, product_id="p1"), order("o1", DAY), close="2026-03-09")
    worker.reopen(tables=switched)
    worker.tamper("update daily_category set units = units + 1")
    Rebuild(worker, DAY).run()
    assert worker.revision(DAY) == 2
    assert (worker.ledger(DAY).late_new, worker.ledger(DAY).touchpoints, worker.ledger(DAY).orders) == (0, 0, 0)
    assert not worker.differences()
    worker.close()


def test_a_table_that_is_off_keeps_nothing_of_a_sealed_day_that_is_another_one_now(sealed_shop: Worker) -> None:
    sealed_shop.reopen(tables={"daily_channel": False})
    Rebuild(sealed_shop, DAY).run()
    assert sealed_shop.rows("daily_channel", "touchpoints") == [(2,)]  # it is the same
    sealed_shop.feed(touch("c3", DAY))
    Readmission(sealed_shop, DAY).run()
    assert (sealed_shop.ledger(DAY).late_new, sealed_shop.ledger(DAY).touchpoints) == (1, 1)
    sealed_shop.reopen(tables={})
    assert sealed_shop.rows("daily_channel") == []
    assert not sealed_shop.differences()


def test_a_sealed_day_is_not_lost_to_files_that_lack_some_of_it_where_a_table_is_off(sealed_shop: Worker) -> None:
    sealed_shop.reopen(tables={"daily_channel": False, "daily_sales": False})
    job = FromFiles(sealed_shop, DAY)
    job.streams = frozenset()
    with pytest.raises(ArchiveError, match="0 of its 1 orders, 0 of its 2 touchpoints"):
        job.run()


@pytest.mark.parametrize(("held", "lacking"), [(Stream.TOUCHPOINTS, "0 of its 1 orders"), (Stream.ORDERS, "0 of its 2 touchpoints")])
def test_a_sealed_day_is_not_lost_to_files_that_lack_some_of_it(sealed_shop: Worker, held: Stream, lacking: str) -> None:
    before = everything(sealed_shop)
    job = FromFiles(sealed_shop, DAY)
    job.streams = frozenset({held})
    with pytest.raises(ArchiveError, match=lacking):
        job.run()
    assert everything(sealed_shop) == before


def test_what_a_rebuild_that_was_cancelled_has_left_is_no_part_of_the_next_one(shop: Worker) -> None:
    before = everything(shop)
    cancelled = Rebuild(shop, DAY)
    cancelled.run(1)
    shop.tamper("update rebuild_order set net_cents = 7, updated_at = updated_at + interval 1 second")
    shop.store.set_job_state(cancelled.id, JobState.CANCELLED, shop.now)
    nothing = FromFiles(shop, DAY)
    nothing.streams = frozenset()
    nothing.run()
    assert everything(shop) == before


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_what_was_laid_aside_goes_when_the_rebuild_ends_without_bringing_it_in(shop: Worker, state: JobState) -> None:
    def laid_aside() -> list[tuple[object, ...]]:
        return shop.query("select (select count(*) from rebuild_touchpoint), (select count(*) from rebuild_order)")

    begun, waiting = Rebuild(shop, DAY), Rebuild(shop, NEXT_DAY)
    begun.run(1)
    assert laid_aside() != [(0, 0)]
    shop.store.set_job_state(waiting.id, state, shop.now)
    assert laid_aside() != [(0, 0)]
    shop.store.set_job_state(begun.id, state, shop.now)
    assert laid_aside() == [(0, 0)]


def test_expired_events_are_readmitted_with_their_whole_day(sealed_shop: Worker) -> None:
    sealed_shop.feed(touch("c3", DAY), order("late", DAY, customer_id="c4"), order("o1", DAY, updated="2026-03-06", refunded_cents=100))
    assert sealed_shop.accounting("orders")["expired"] == 2
    job = Readmission(sealed_shop, DAY)
    job.run(1)
    sealed_shop.crash()
    row = job.run()
    assert (row.counts["read"], row.counts["rejected"]) == (6, 0)
    assert sealed_shop.rows("daily_sales", "orders", "customers", "net_cents") == [(2, 2, 1900)]
    assert sealed_shop.rows("daily_reach", "touchpoints", "customers") == [(3, 3)]
    assert sealed_shop.query("select distinct resolution from expired") == [("accepted",)]
    assert (sealed_shop.ledger(DAY).reason, sealed_shop.ledger_sales(DAY).net_cents) == ("readmit", 900)
    assert sealed_shop.query("select is_sealed, revision from day_state where day = date '2026-03-05'") == [(True, 2)]
    assert not sealed_shop.differences()


def of_another_schema() -> Produced:
    """A touchpoint of the day by the writer's schema 2; all others here are of 3."""
    record = {"event_id": "e", "session_id": "s", "occurred_at": moment(DAY), "event_type": "page_view", "channel": "email"}
    return replace(touch("c3", DAY), value_bytes=framed(2, record))


def test_expired_events_that_are_rejected_now_stay_on_the_list(sealed_shop: Worker) -> None:
    """Their schema is not to be had any more. What was readmitted beside them has come in."""
    sealed_shop.feed(of_another_schema(), touch("c4", DAY))
    assert sealed_shop.accounting("touchpoints")["expired"] == 2
    sealed_shop.schemas.missing = {2}
    sealed_shop.reopen()
    Readmission(sealed_shop, DAY).run()
    assert sealed_shop.rows("daily_reach", "touchpoints") == [(3,)]
    assert sealed_shop.query("select resolution from expired order by id") == [(None,), ("accepted",)]
    assert sealed_shop.query('select reason from rejected semi join expired using (topic, topic_id, partition, "offset")') == [
        ("unknown_schema",)
    ]
    sealed_shop.schemas.missing = set()
    sealed_shop.reopen()
    Readmission(sealed_shop, DAY).run()
    assert sealed_shop.rows("daily_reach", "touchpoints") == [(4,)]
    assert sealed_shop.query("select distinct resolution from expired") == [("accepted",)]
    assert sealed_shop.query("select resolution from rejected") == [("accepted",)]


def test_an_expired_event_of_a_topic_that_was_replaced_keeps_its_topic_where_it_is_rejected(sealed_shop: Worker) -> None:
    sealed_shop.feed(of_another_schema())
    sealed_shop.tamper("update expired set topic_id = 'an earlier one'")
    sealed_shop.schemas.missing = {2}
    sealed_shop.reopen()
    Readmission(sealed_shop, DAY).run()
    assert sealed_shop.query("select resolution from expired") == [(None,)]
    assert sealed_shop.query("select topic_id from rejected") == [("an earlier one",)]


@pytest.mark.parametrize(("max_bytes", "portions"), [(1, [1, 1, 1]), (400, [2, 1]), (2**20, [3])])
def test_expired_messages_are_held_by_their_bytes(
    sealed_shop: Worker, monkeypatch: pytest.MonkeyPatch, max_bytes: int, portions: list[int]
) -> None:
    """At least one at once."""
    monkeypatch.setattr("worker.readmit.MAX_BYTES", max_bytes)
    sealed_shop.feed(*(touch(name, DAY, campaign="x" * 100) for name in ("c3", "c4", "c5")))
    ((last_id,),) = sealed_shop.query("select max(id) from expired")
    decode = sealed_shop.decoder().decode
    days = date.fromisoformat(DAY), date.fromisoformat(DAY)
    feed = ExpiredFeed(sealed_shop.store, days, last_id, 100, messages=decode, file_rows=decode)
    assert [len(portion.batch.messages) for portion in iter(partial(feed.next, sealed_shop.now), None) if portion] == portions
