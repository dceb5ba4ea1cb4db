"""Messages kept with their bytes: rejected ones (also the outbox of the dead-letter topics) and expired ones."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from worker.events import EventBatch, KeptMessage, Message, MessageBatch, Rejected, Stream
from worker.source import UNKNOWN, Identity
from worker.source.dlq import OutboxRow
from worker.store.sql import run

_HEADERS = pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))
_MESSAGE = [
    ("stream", pa.string()),
    ("topic", pa.string()),
    ("topic_id", pa.string()),
    ("partition", pa.int32()),
    ("offset", pa.int64()),
    ("file", pa.string()),
    ("file_row", pa.int64()),
    ("key", pa.binary()),
    ("value", pa.binary()),
    ("headers", _HEADERS),
    ("message_time", pa.timestamp("us")),
]
_REJECTED = pa.schema([*_MESSAGE, ("stage", pa.string()), ("reason", pa.string()), ("detail", pa.string()), ("is_pending", pa.bool_())])
_EXPIRED = pa.schema([*_MESSAGE, ("day", pa.date32())])


def rejected_rows(rejected: Sequence[Rejected], identity: Identity, *, to_dlq: bool) -> pa.Table:
    """The rows of table rejected, less ingested_at."""
    rows = [
        {
            "stream": r.stream.value,
            "topic": r.topic,
            "topic_id": r.topic_id or identity.topic_ids.get(r.topic, UNKNOWN),
            "partition": r.partition,
            "offset": r.offset,
            "file": r.file,
            "file_row": r.row,
            "key": r.key,
            "value": r.value,
            "headers": _headers(r.headers),
            "message_time": _micros(r.timestamp_ms),
            "stage": r.stage.value,
            "reason": str(r.reason),
            "detail": r.detail,
            "is_pending": to_dlq and r.file is None,  # a row of a file is no message of a topic
        }
        for r in rejected
    ]
    return pa.Table.from_pylist(rows, _REJECTED)


_AGAIN = pa.schema([("id", pa.int64()), ("stage", pa.string()), ("reason", pa.string()), ("detail", pa.string())])


def rejected_again_rows(rejected: Sequence[Rejected]) -> pa.Table:
    """Why kept messages were rejected once more."""
    rows = [{"id": r.kept_id, "stage": r.stage.value, "reason": str(r.reason), "detail": r.detail} for r in rejected]
    return pa.Table.from_pylist(rows, _AGAIN)


def topic_rows(batch: MessageBatch) -> pa.Table:
    """The topic that the kept messages of each stream came from; a batch has them of one only."""
    firsts = {stream: some[0] for stream, some in batch.messages.items() if some}
    rows = [
        {"stream": stream.value, "topic": first.topic(), "topic_id": first.topic_id}
        for stream, first in firsts.items()
        if isinstance(first, KeptMessage)
    ]
    return pa.Table.from_pylist(rows, pa.schema([("stream", pa.string()), ("topic", pa.string()), ("topic_id", pa.string())]))


def expired_rows(expired: Mapping[Stream, Sequence[tuple[int, date]]], batch: MessageBatch, identity: Identity) -> pa.Table:
    """The rows of table expired, less ingested_at; `expired` has the seq and day of each event."""
    rows = [_expired_row(stream, batch.messages[stream][seq], day, identity) for stream, some in expired.items() for seq, day in some]
    return pa.Table.from_pylist(rows, _EXPIRED)


_DECODED = pa.schema([*_MESSAGE[1:7], ("kept_id", pa.int64())])


def decoded_rows(batch: EventBatch, identity: Identity) -> pa.Table:
    """Where the messages came from that became events or tombstones."""
    rows = [
        _origin(batch.messages.messages[stream][seq], identity)
        for decoded in (batch.events, batch.tombstones)
        for stream, some in decoded.items()
        for seq in some["seq"].to_pylist()
    ]
    return pa.Table.from_pylist(rows, _DECODED)


def pending(connection: duckdb.DuckDBPyConnection, after: int, limit: int) -> list[OutboxRow]:
    """Rejected messages that are still to go to their DLQ, with ids greater than `after`, oldest first."""
    rows = run(connection, "state/pending", {"after": after, "limit": limit}).fetchall()
    return [
        OutboxRow(number, topic, topic_id, partition, offset, key, value, [(h["name"], h["value"]) for h in headers], *rest)
        for number, topic, topic_id, partition, offset, key, value, headers, *rest in rows
    ]


def _expired_row(stream: Stream, message: Message, day: date, identity: Identity) -> dict[str, Any]:
    kind, timestamp_ms = message.timestamp()
    origin = _origin(message, identity)
    del origin["kept_id"]
    return origin | {
        "stream": stream.value,
        "key": message.key(),
        "value": message.value(),
        "headers": _headers(message.headers() or ()),
        "message_time": _micros(timestamp_ms if kind else None),
        "day": day,
    }


def _origin(message: Message, identity: Identity) -> dict[str, Any]:
    """What tells a message from all others."""
    topic = message.topic() or ""
    kept = message if isinstance(message, KeptMessage) else None
    return {
        "topic": topic,
        "topic_id": kept.topic_id if kept else identity.topic_ids.get(topic, UNKNOWN),
        "partition": message.partition(),
        "offset": message.offset(),
        "file": getattr(message, "file", None),
        "file_row": getattr(message, "row", None),
        "kept_id": kept.id if kept else None,
    }


def _headers(headers: Sequence[tuple[str, bytes | None]]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in headers]


def _micros(timestamp_ms: int | None) -> int | None:
    """Milliseconds as microseconds; a timestamp beyond what a column can hold is left out."""
    return timestamp_ms * 1000 if timestamp_ms is not None and 0 <= timestamp_ms < 2**62 // 1000 else None
