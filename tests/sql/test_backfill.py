"""Files merged into the tables: a kill between any two commits loses and repeats nothing; the watermark follows only where it may."""

from pathlib import Path

import pytest

from tests.support.archives import AT, arrow_schema, order, sink_path, touchpoint, write_parquet
from tests.support.jobs import MOST_MESSAGES, Backfill, Rebuild
from tests.support.worker import Worker, moment, touch
from tests.support.worker import order as live_order
from worker.errors import ConfigError, SourceError

A_DAY = 86_400_000_000  # micros
FIRST, LATER, LAST = "2026-03-05", "2026-03-06", "2026-03-13"
VISITS = 2 * MOST_MESSAGES


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two pieces of visits on the first day, and a visit eight days later with an order."""
    directory = tmp_path / "archive"
    write_parquet(directory / "touchpoints-1.parquet", [touchpoint(number) for number in range(VISITS)], arrow_schema("touchpoints"))
    write_parquet(directory / "touchpoints-2.parquet", [touchpoint(VISITS, occurred_at=AT + 8 * A_DAY)], arrow_schema("touchpoints"))
    write_parquet(directory / "orders.parquet", [order(1, ordered_at=AT + 8 * A_DAY, updated_at=AT + 8 * A_DAY)], arrow_schema("orders"))
    return directory


def new_worker(directory: Path) -> Worker:
    """A file without a live position, in April."""
    worker = Worker(directory)
    worker.now = moment("2026-04-01")
    return worker


@pytest.mark.parametrize("pieces", range(5))
def test_a_backfill_that_was_killed_goes_on_and_the_watermark_follows_at_its_end(tmp_path: Path, archive: Path, pieces: int) -> None:
    worker = new_worker(tmp_path)
    backfill = Backfill(worker, archive, advance_watermark=True)
    backfill.run(pieces)
    worker.crash()
    row = backfill.run()
    assert (row.done, row.total, row.counts["read"], row.counts["accepted"]) == (VISITS + 2,) * 4
    assert worker.rows("daily_reach", "day", "touchpoints") == [(FIRST, VISITS), (LAST, 1)]
    assert worker.rows("day_state", "day", "is_open", "revision") == [(FIRST, False, 1), (LAST, True, None)]
    assert worker.rows("ledger") == []
    assert not worker.differences()


def test_else_the_watermark_stays_and_all_days_are_open(tmp_path: Path, archive: Path) -> None:
    worker = new_worker(tmp_path)
    Backfill(worker, archive).run()
    assert worker.rows("day_state", "day", "is_open", "revision") == [(FIRST, True, None), (LAST, True, None)]
    assert worker.pipeline.state.watermark.closed_before is None


def test_a_closed_day_that_files_change_has_its_ledger_row_with_the_reason(tmp_path: Path, archive: Path) -> None:
    worker = Worker(tmp_path)
    worker.feed(touch("c1", FIRST), live_order("o1", LATER), close="2026-03-14")
    Backfill(worker, archive).run()
    assert worker.revision(LATER) == 1
    assert (worker.ledger(FIRST).reason, worker.ledger(FIRST).touchpoints) == ("backfill", VISITS)
    with pytest.raises(ConfigError, match="the file has a live position"):
        Backfill(worker, archive, advance_watermark=True).run()


def test_files_for_sealed_days_are_refused_and_what_came_before_stays(tmp_path: Path, archive: Path) -> None:
    worker = Worker(tmp_path, retention={"days": 2})
    worker.feed(touch("c1", FIRST), close="2026-03-09")
    late = [touchpoint(number, occurred_at=AT + 4 * A_DAY) for number in range(MOST_MESSAGES)]
    write_parquet(archive / "touchpoints-0.parquet", late, arrow_schema("touchpoints"))
    with pytest.raises(ConfigError, match=f"sealed days \\(1\\): {FIRST} to {FIRST}") as caught:
        Backfill(worker, archive).run()
    assert "--days 2026-03-08..DAY" in caught.value.remedy
    assert worker.rows("daily_reach", "day", "touchpoints") == [(FIRST, 1), ("2026-03-09", MOST_MESSAGES)]
    assert worker.rows("expired") == []


def test_a_version_from_a_file_stands_where_its_offset_says(tmp_path: Path) -> None:
    """Two versions of one moment: the greater offset is the later one, whichever comes first."""
    worker = Worker(tmp_path)
    at = "2026-03-05 08:40"
    worker.feed(live_order("o1", at, refunded_cents=1), live_order("o1", at, refunded_cents=2))
    stale = order(1, ordered_at=AT, updated_at=AT, refunded_cents=3)
    write_parquet(sink_path(tmp_path / "with", "orders", 0, 0, 0), [stale], arrow_schema("orders"))
    write_parquet(tmp_path / "without" / "orders.parquet", [stale], arrow_schema("orders"))
    write_parquet(sink_path(tmp_path / "newer", "orders", 0, 9, 9), [stale], arrow_schema("orders"))
    for directory, standing in (("with", 2), ("without", 2), ("newer", 3)):
        Backfill(worker, tmp_path / directory).run()
        assert worker.query("select refunded_cents from order_current") == [(standing,)]
    assert not worker.differences()


# Offsets that files prove are of a topic: of which one is settled when they come in, never guessed later.


def sink(directory: Path, rows: int = VISITS) -> Path:
    """What a sink wrote of the topic's first messages."""
    visits = [touchpoint(number) for number in range(rows)]
    write_parquet(sink_path(directory / "sink", "touchpoints", 0, 0, rows - 1), visits, arrow_schema("touchpoints"))
    return directory / "sink"


def fed_by(worker: Worker) -> list[tuple[object, ...]]:
    return worker.rows("day_offset", "day", "topic_id", "last_offset", "rows")


def test_a_day_that_files_fed_before_the_topic_was_first_read_is_rebuilt_from_the_log(tmp_path: Path) -> None:
    worker = new_worker(tmp_path)
    Backfill(worker, sink(tmp_path), topic_ids=lambda: {"touchpoints": worker.log.topics["touchpoints"].id}).run()
    assert fed_by(worker) == [(FIRST, worker.log.topics["touchpoints"].id, VISITS - 1, VISITS)]
    worker.feed(*(touch("c1", FIRST, event_id=f"e{number}") for number in range(VISITS)))
    worker.tamper("delete from touchpoint")
    Rebuild(worker, FIRST).run()
    assert worker.query("select count(*) from touchpoint") == [(VISITS,)]
    assert not worker.differences()


def test_a_topic_that_was_replaced_amid_a_backfill_is_not_the_one_that_its_files_came_from(tmp_path: Path) -> None:
    worker = new_worker(tmp_path)
    ids = iter(["the first", "the second"])
    backfill = Backfill(worker, sink(tmp_path), topic_ids=lambda: {"touchpoints": next(ids)})
    backfill.run(1)
    worker.crash()
    worker.feed(live_order("o1", FIRST))  # the stream begins meanwhile, with a topic of yet another id
    backfill.run()
    assert ("the first", VISITS) in worker.rows("day_offset", "topic_id", "rows")
    with pytest.raises(SourceError, match="when its topic id was the first; it was replaced"):
        Rebuild(worker, FIRST)


def test_where_no_broker_told_the_topics_id_the_day_is_not_rebuilt_from_the_log(tmp_path: Path) -> None:
    worker = new_worker(tmp_path)
    Backfill(worker, sink(tmp_path)).run()
    worker.feed(live_order("o1", LATER))
    with pytest.raises(SourceError, match="when its topic id was not known yet"):
        Rebuild(worker, FIRST)


def test_a_bad_row_of_a_file_is_kept_once_whatever_the_topics_id_is(tmp_path: Path) -> None:
    worker = new_worker(tmp_path)
    write_parquet(sink(tmp_path) / "touchpoints-bad.parquet", [touchpoint(99, session_id="")], arrow_schema("touchpoints"))
    Backfill(worker, tmp_path / "sink").run()
    Backfill(worker, tmp_path / "sink", topic_ids=lambda: {"touchpoints": "known now"}).run()
    assert worker.query("select count(*) from rejected") == [(1,)]
