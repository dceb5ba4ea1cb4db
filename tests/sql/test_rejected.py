"""Rejected messages: taken up again they are as if they had just come; who is meant; and what is left of one that is dropped."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import pytest

from tests.sql.conftest import NewWorker
from tests.support.jobs import run_job
from tests.support.messages import WRITER_SCHEMAS, WRITERS_OF, Produced, guid_of
from tests.support.oracle_sql import selected
from tests.support.reference import Reference, differences
from tests.support.streams import random_options, random_stream
from tests.support.worker import Worker, moment, order, tombstone, touch
from worker import dlq, job_kinds
from worker.decode.rows import decode_json_rows
from worker.errors import ConfigError, Unavailable
from worker.events import FileRow, MessageBatch, Origin, Stream
from worker.jobs.job import Job
from worker.resources import sql_text
from worker.store.jobs import JobRow, JobState
from worker.store.rejected import Selection, ids_and_sizes
from worker.tables import TABLES

DAY, NEXT_DAY = "2026-03-05", "2026-03-06"
LATE_SCHEMAS = {*WRITERS_OF["orders"], *WRITERS_OF["customers"], *WRITERS_OF["products"]}
ROWS = ("order_item", "order_tombstone", "customer", "product", "product_stock", "daily_users_running", "daily_sales_total")


class TakeUp(Protocol):
    """`tidemark dlq replay` on a tests' worker, to its end or for so many pieces; `of`: go on with this job."""

    def __call__(self, worker: Worker, *, of: JobRow | None = None, pieces: int | None = None, **arguments: Any) -> JobRow: ...


@pytest.fixture
def take_up(monkeypatch: pytest.MonkeyPatch) -> TakeUp:
    def run(worker: Worker, *, of: JobRow | None = None, pieces: int | None = None, **arguments: Any) -> JobRow:
        job_id = of.id if of else worker.store.add_job("dlq", arguments, "a test", worker.now)
        for _ in run_job(worker, job_id, lambda row: made(monkeypatch, worker, row), pieces=pieces):
            pass
        return worker.store.jobs()[job_id - 1]

    return run


def made(monkeypatch: pytest.MonkeyPatch, worker: Worker, row: JobRow) -> Job:
    """The job as the worker makes it, but with the schemas of the test."""
    monkeypatch.setattr(job_kinds, "decoder_of", lambda _: worker.decoder())
    return job_kinds.job_maker(worker.settings, worker.pipeline.committer, lambda *_: None)(row, threading.Event())


def unknown(message: Produced, schema_id: int = 999) -> Produced:
    """The message as of a schema that nobody knows."""
    assert message.value_bytes is not None
    return replace(message, value_bytes=b"\0" + schema_id.to_bytes(4) + message.value_bytes[5:])


def cut(message: Produced) -> Produced:
    assert message.value_bytes is not None
    return replace(message, value_bytes=message.value_bytes[:-3])


def miss(worker: Worker, *schema_ids: int) -> None:
    """Nobody has registered these yet."""
    worker.schemas.missing = {*schema_ids, *map(guid_of, schema_ids)}


def on_the_list(worker: Worker) -> list[tuple[Any, ...]]:
    return worker.query("select id, stream, stage, reason from rejected where resolved_at is null order by id")


def books_balance(worker: Worker) -> bool:
    return worker.query(sql_text("audits/accounting_balance")) == []


# Taken up again


def test_messages_of_a_schema_that_was_registered_too_late_leave_no_trace(new_worker: NewWorker, take_up: TakeUp, seed: int) -> None:
    """Schemas of orders, customers and products: of two touchpoints with one id and other contents, the first one processed stays."""
    options = random_options(seed, 500)
    worker = new_worker(partitions=options.partitions, time={"reporting_time_zone": options.time_zone})
    miss(worker, *LATE_SCHEMAS)
    stream = random_stream(seed, options)
    read: dict[tuple[Any, ...], Produced] = {}  # in the order of reading
    judged: dict[tuple[Any, ...], datetime] = {}  # by which time a message is in the future or not
    for at in range(0, len(stream), 100):
        worker.feed(*stream[at : at + 100])
        read |= {place(message): message for message in in_the_log(worker) if place(message) not in read}
        judged |= dict.fromkeys(read.keys() - judged.keys(), worker.now)
    late = worker.query("""select topic, partition, "offset" from rejected where reason = 'unknown_schema'""")
    assert len(late) > 100
    judged |= dict.fromkeys(late, worker.now)
    miss(worker)
    row = take_up(worker, reason="unknown_schema")
    assert (row.state, row.counts["read"], row.done, row.total) == (JobState.DONE, len(late), len(late), len(late))
    assert faults(worker, [(message, judged[at]) for at, message in read.items()]) == []
    assert books_balance(worker)
    assert worker.query("select sum(read) from accounting where origin = 'dlq'") == [(len(late),)]


def in_the_log(worker: Worker) -> Iterator[Produced]:
    for topic in worker.log.topics.values():
        for partition in topic.partitions:
            for message in partition:
                assert isinstance(message, Produced)
                yield message


def place(message: Produced) -> tuple[Any, ...]:
    return message.topic(), message.partition(), message.offset()


def faults(worker: Worker, read: Iterable[tuple[Produced, datetime]]) -> list[str]:
    """What is not in the file as it would be had there been no trouble at all."""
    zone, currency = worker.settings.time.reporting_time_zone, worker.settings.reporting_currency
    reference = Reference(reporting_time_zone=zone, reporting_currency=currency, writer_schemas=WRITER_SCHEMAS)
    for message, now in read:
        reference.process(message.stream, message, now)
    with worker.store.cursor() as connection:
        found = {name: selected(connection, f"from {name}") for name in (*TABLES, *ROWS)}
    return differences({name: rows for name, rows in reference.tables().items() if name in found}, found)


def test_a_replay_that_was_killed_goes_on_with_what_is_left(worker: Worker, take_up: TakeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlq, "MAX_BYTES", 200)
    miss(worker, 3)
    worker.feed(*(touch(f"c{n}", DAY) for n in range(10)), close=DAY)
    miss(worker)
    killed = take_up(worker, pieces=2)
    assert 0 < killed.done < 10 == killed.total
    worker.crash()
    row = take_up(worker, of=killed)
    assert (row.state, row.done, row.total, row.counts["accepted"]) == (JobState.DONE, 10, 10, 10)
    assert worker.rows("daily_users", "day", "new_customers") == [(DAY, 10)]
    assert worker.query("select reason, late_new, touchpoints from ledger") == [("dlq", 10, 10)]
    assert worker.query("""select first_offset, last_offset, rows from day_offset where day = '2026-03-05'""") == [(0, 9, 10)]
    assert on_the_list(worker) == []
    assert books_balance(worker)


def test_what_is_rejected_again_stays_with_its_new_reason(worker: Worker, take_up: TakeUp) -> None:
    miss(worker, 1, 3)
    worker.feed(order("o1", DAY), cut(order("o2", DAY)), touch("c1", DAY, session_id=""), touch("c2", DAY))
    assert on_the_list(worker) == [
        *((n, "orders", "schema", "unknown_schema") for n in (1, 2)),
        *((n, "touchpoints", "schema", "unknown_schema") for n in (3, 4)),
    ]
    miss(worker)
    row = take_up(worker)
    assert on_the_list(worker) == [(2, "orders", "decode", "malformed"), (3, "touchpoints", "validate", "empty_id")]
    assert worker.query("select detail from rejected where id = 3") == [("session_id is empty",)]
    assert row.resume_point is not None
    assert row.resume_point["feed"]["rejected_again"] == {"orders malformed": 1, "touchpoints empty_id": 1}
    assert worker.query("select id from rejected where resolution = 'accepted' order by id") == [(1,), (4,)]


def test_what_is_rejected_while_a_replay_waits_is_not_meant(worker: Worker, take_up: TakeUp) -> None:
    miss(worker, 3)
    worker.feed(touch("c1", DAY))
    job = worker.store.add_job("dlq", {"last_id": 1}, "a test", worker.now)
    worker.feed(touch("c2", DAY))
    miss(worker)
    assert take_up(worker, of=worker.store.jobs()[job - 1]).counts["read"] == 1
    assert [kept_id for kept_id, *_ in on_the_list(worker)] == [2]


def test_a_message_for_a_sealed_day_leaves_the_list_and_expires(new_worker: NewWorker, take_up: TakeUp) -> None:
    worker = new_worker(retention={"days": 2})
    miss(worker, 3)
    worker.feed(order("o1", DAY), touch("c1", DAY), close="2026-03-09")
    miss(worker)
    assert take_up(worker).counts["expired"] == 1
    assert on_the_list(worker) == []
    assert worker.query("""select stream, day, partition, "offset" from expired""") == [("touchpoints", DAY, 0, 0)]
    assert books_balance(worker)


def test_a_deletion_that_came_too_early_deletes_when_it_is_taken_up(worker: Worker, take_up: TakeUp) -> None:
    """Its moment was beyond the future guard."""
    worker.feed(order("o1", DAY), replace(tombstone("orders", "o1", NEXT_DAY), arrived_at=moment(DAY)))
    assert on_the_list(worker) == [(1, "orders", "frame", "bad_tombstone")]
    assert worker.rows("daily_sales", "orders") == [(1,)]
    worker.now = moment(NEXT_DAY)
    assert take_up(worker).counts["accepted"] == 1
    assert (worker.rows("daily_sales", "orders"), on_the_list(worker)) == ([], [])


def test_a_message_counts_for_the_topic_that_it_came_from(worker: Worker, take_up: TakeUp) -> None:
    """Its topic was replaced meanwhile: what the log holds at that offset now is another message, so a rebuild must not rely on it."""
    miss(worker, 3)
    worker.feed(*(touch("c1", DAY) for _ in range(3)))
    worker.tamper("update rejected set topic_id = 'replaced' where id <> 2")
    miss(worker)
    take_up(worker)
    ids = worker.query("select topic_id, first_offset, last_offset, rows from day_offset order by first_offset")
    assert ids == [("replaced", 0, 2, 2), (worker.log.topics["touchpoints"].id, 1, 1, 1)]


def test_a_registry_that_is_away_is_waited_for(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    miss(worker, 3)
    worker.feed(touch("c1", DAY), touch("c2", DAY))
    worker.store.add_job("dlq", {}, "a test", worker.now)
    job = made(monkeypatch, worker, worker.store.jobs()[0])
    text = worker.schemas.text
    monkeypatch.setattr(worker.schemas, "text", away)
    for _ in range(2):
        with pytest.raises(Unavailable):
            job.read(worker.now)
    monkeypatch.setattr(worker.schemas, "text", text)
    miss(worker)
    job.commit(job.read(worker.now), worker.now)
    assert job.read(worker.now) is None
    job.close()
    assert worker.rows("daily_reach", "touchpoints") == [(2,)]


def away(_ref: object) -> str:
    raise Unavailable("the registry is away")


def test_however_many_are_rejected_again_the_rest_is_taken_up(worker: Worker, take_up: TakeUp) -> None:
    miss(worker, 3)
    worker.feed(*(Produced("touchpoints", b"no frame") for _ in range(10_001)), touch("c1", DAY), origin=Origin.REPLAY)
    miss(worker)
    row = take_up(worker)
    assert (row.state, row.counts["rejected"], row.counts["accepted"]) == (JobState.DONE, 10_001, 1)


def test_rows_of_files_are_taken_up_as_the_rows_that_they_were(worker: Worker, take_up: TakeUp) -> None:
    """The clock of the one who brought them in was an hour and more behind."""
    rows = [FileRow("touchpoints", -1, -1, "march.parquet", row, partial(json_row, row)) for row in (7, 8)]
    keep_rows(worker, rows, datetime(2026, 3, 5, 10, tzinfo=UTC))
    worker.feed(cut(touch("c9", DAY)), touch("c1", DAY))
    assert worker.query("""select id, file, file_row, "offset", reason from rejected""") == [
        (1, "march.parquet", 7, -1, "in_future"),
        (2, "march.parquet", 8, -1, "empty_id"),
        (3, None, None, 0, "malformed"),
    ]
    row = take_up(worker)
    assert (row.counts["accepted"], row.counts["rejected"]) == (1, 2)
    assert on_the_list(worker) == [(2, "touchpoints", "validate", "empty_id"), (3, "touchpoints", "decode", "malformed")]
    assert worker.query("select session_id, occurred_at from touchpoint where partition = -1") == [("s7", "2026-03-05 12:00:00")]


def json_row(row: int) -> bytes:
    micros = int(datetime(2026, 3, 5, 12, tzinfo=UTC).timestamp()) * 1_000_000
    session_id = "s7" if row == 7 else ""
    fields = f'"event_id":"row{row}","session_id":"{session_id}","occurred_at":{micros},"event_type":"page_view","channel":"email"'
    return f"{{{fields}}}".encode()


def keep_rows(worker: Worker, rows: list[FileRow], now: datetime) -> None:
    """As a backfill does with what it can't bring in."""
    time = worker.settings.time
    batch = MessageBatch({Stream.TOUCHPOINTS: rows}, origin=Origin.BACKFILL)
    decoded = decode_json_rows(batch, worker.decoder()._zone, time.future_guard, now)
    worker.pipeline.committer.commit(decoded, now)


# Which are meant


@pytest.fixture
def kept(worker: Worker) -> Worker:
    """1: an order of noon; 2: a touchpoint of another reason; 3: a row of a file; 4: was resolved."""
    worker.feed(unknown(order("o1", DAY)))
    worker.feed(cut(touch("c1", NEXT_DAY)))
    worker.feed(unknown(touch("c1", "2026-03-07")), unknown(touch("c1", "2026-03-07")))
    worker.tamper("update rejected set file = 'archive/march/part-1.avro', file_row = 7, partition = -1 where id = 3")
    worker.tamper("update rejected set resolved_at = timestamp '2026-03-08', resolution = 'accepted' where id = 4")
    return worker


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        (Selection(), [1, 2, 3]),
        (Selection(with_resolved=True), [1, 2, 3, 4]),
        (Selection(ids=(3, 1, 99)), [1, 3]),
        (Selection(ids=(1, 2), stream=Stream.TOUCHPOINTS), [2]),
        (Selection(stream=Stream.ORDERS), [1]),
        (Selection(topic="touchpoints"), [2, 3]),
        (Selection(topic="nobody's"), []),
        (Selection.of({"stage": "decode"}), [2]),
        (Selection(reason="unknown_schema"), [1, 3]),
        (Selection(file="part-1.avro"), [3]),
        (Selection(file="march/part-1.avro"), [3]),
        (Selection(file="archive/march/part-1.avro"), [3]),
        (Selection(file="1.avro"), []),
        (Selection(since=datetime(2026, 3, 6, 12, tzinfo=UTC)), [2, 3]),
        (Selection(until=datetime(2026, 3, 6, 12, tzinfo=UTC)), [1]),
        (Selection.of({"since": "2026-03-05T14:00:00+02:00", "until": "2026-03-06T12:00:01Z"}), [1, 2]),
        (Selection(last_id=2), [1, 2]),
        (Selection(last_id=1, with_resolved=True, stream=Stream.TOUCHPOINTS), []),
    ],
)
def test_a_selection_means_what_all_of_it_holds_for(kept: Worker, selection: Selection, ids: list[int]) -> None:
    with kept.store.cursor() as connection:
        assert ids_and_sizes(connection, selection, after=0)[0].tolist() == ids
        assert ids_and_sizes(connection, Selection.of(selection.parameters()), after=1)[0].tolist() == [n for n in ids if n > 1]


def test_a_selection_of_something_else_is_refused() -> None:
    for wrong in ({"ids": ["x"]}, {"stream": "clicks"}, {"colour": "red"}):
        with pytest.raises(ConfigError):
            Selection.of(wrong)


# Dropped


def test_what_is_dropped_is_gone_but_for_its_place(worker: Worker) -> None:
    worker.feed(cut(touch("c1", DAY)), cut(touch("c2", DAY)))
    assert dlq.drop(worker.pipeline.committer, Selection(ids=(1,)), worker.now) == 1
    assert dlq.drop(worker.pipeline.committer, Selection(ids=(1,)), worker.now) == 0
    columns = "id, key, value, len(headers), resolution, is_pending"
    assert worker.query(f"select {columns} from rejected where id = 1") == [(1, None, None, 0, "dropped", False)]
    assert [kept_id for kept_id, *_ in on_the_list(worker)] == [2]
    assert worker.accounting("touchpoints") == {"read": 2, "rejected": 2}


def test_what_is_dropped_is_not_kept_again(worker: Worker, take_up: TakeUp) -> None:
    """The log is read again, and another replay asked for: it stays away."""
    worker.feed(cut(touch("c1", DAY)))
    dlq.drop(worker.pipeline.committer, Selection(), worker.now)
    again = worker.log.topics["touchpoints"].partitions[0]
    batch = worker.pipeline.decode(MessageBatch({Stream.TOUCHPOINTS: again}, origin=Origin.REPLAY), worker.now)
    worker.pipeline.committer.commit(batch, worker.now)
    assert take_up(worker).counts["read"] == 0
    assert worker.query("select id, value, resolution from rejected") == [(1, None, "dropped")]


def test_nothing_is_dropped_while_it_may_be_taken_up(worker: Worker, take_up: TakeUp) -> None:
    worker.feed(cut(touch("c1", DAY)), cut(touch("c2", DAY)))
    job = worker.store.add_job("dlq", {}, "a test", worker.now)
    with pytest.raises(ConfigError, match=f"job {job} is taking up"):
        dlq.drop(worker.pipeline.committer, Selection(), worker.now)
    worker.store.set_job_state(job, JobState.CANCELLED, worker.now)
    assert dlq.drop(worker.pipeline.committer, Selection(), worker.now) == 2


def test_a_drop_is_a_commit_and_survives_a_kill(worker: Worker) -> None:
    worker.feed(cut(touch("c1", DAY)))
    before = worker.pipeline.state.commit_id
    dlq.drop(worker.pipeline.committer, Selection(), worker.now)
    assert worker.pipeline.state.commit_id == before + 1
    worker.crash()
    assert on_the_list(worker) == []
    worker.feed(touch("c1", DAY))
