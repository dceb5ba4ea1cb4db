"""The kinds of jobs, each with how it is put together from its row."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import structlog
from tenacity import sleep_using_event

from worker.backfill import ArchiveFeed, ArchivePlan, OriginColumns, plan_archive
from worker.backfill.days import DaysFeed
from worker.committer import Committer
from worker.compact import CompactJob
from worker.config import Settings
from worker.decode import Decoder, ReportingZone
from worker.decode.registry import schema_source
from worker.decode.rows import decode_json_rows
from worker.dlq import Decode, KeptFeed
from worker.errors import ConfigError
from worker.events import Origin, Partition, Stream
from worker.jobs.feed import Feed
from worker.jobs.job import Committed, Job, MergeJob, feed_resume_point
from worker.jobs.runner import Maker
from worker.readmit import Chain, ExpiredFeed
from worker.rebuild import Days, RebuildJob, feed_point
from worker.replay import ReplayPlan, replay_feed
from worker.source.broker import topic_ids
from worker.source.ranges import Range
from worker.store.jobs import JobRow
from worker.store.rejected import Selection

_ARCHIVE_ROWS = 300_000  # of one commit, whose fixed cost a backfill need not pay more often
_TOPIC_SECONDS = 3.0  # for the broker to tell a topic's id: a backfill needs no broker
_INSERTED = OriginColumns()

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shop:
    """What jobs are made with. `committed` hears of each batch that one merged."""

    settings: Settings
    committer: Committer
    committed: Committed


class Kind(Protocol):
    """Makes a job from its row; `abandoned` is set where nobody wants it any more. Raises Unavailable, Fatal."""

    def __call__(self, row: JobRow, shop: Shop, abandoned: threading.Event) -> Job: ...


def job_maker(settings: Settings, committer: Committer, committed: Committed) -> Maker:
    """Makes jobs that commit through `committer`."""
    shop = Shop(settings, committer, committed)

    def make(row: JobRow, abandoned: threading.Event) -> Job:
        if row.kind not in KINDS:
            raise ConfigError(f"job {row.id} is a {row.kind}, which this version does not know", f"It knows {', '.join(sorted(KINDS))}.")
        return KINDS[row.kind](row, shop, abandoned)

    return make


def decoder_of(settings: Settings) -> Decoder:
    """The decoder that the settings describe. Raises ConfigError."""
    zone = ReportingZone(settings.time.reporting_time_zone)
    return Decoder(schema_source(settings.registry), zone, settings.time.future_guard, settings.kafka.topics)


def archive_arguments(
    directory: Path,
    *,
    stream: Stream | None = None,
    mappings: Mapping[Stream, Path] | None = None,
    origin: OriginColumns = _INSERTED,
    has_offsets: bool = True,
) -> dict[str, Any]:
    """What a job is told of an archive, see plan_archive; what JSON has."""
    return {
        "directory": str(directory.resolve()),
        "stream": stream,
        "mappings": {mapped: str(path) for mapped, path in (mappings or {}).items()},
        "origin": origin._asdict(),
        "has_offsets": has_offsets,
    }


def archive_plan(settings: Settings, arguments: Mapping[str, Any]) -> ArchivePlan:
    """What a job with such arguments reads. Raises ConfigError, ArchiveError."""
    stream = arguments["stream"]
    return plan_archive(
        Path(arguments["directory"]),
        settings.kafka.topics,
        stream=Stream(stream) if stream else None,
        mappings={Stream(mapped): Path(path) for mapped, path in arguments["mappings"].items()},
        origin=OriginColumns(**arguments["origin"]),
        has_offsets=arguments["has_offsets"],
        memory_limit=settings.store.memory_limit,
    )


def _replay(row: JobRow, shop: Shop, abandoned: threading.Event) -> Job:
    plan = ReplayPlan.from_json(row.arguments["plan"])
    feed = _log_feed(plan, row, feed_resume_point(row), shop, abandoned)
    return MergeJob(row, feed, shop.committer, shop.settings, shop.committed)


def _log_feed(plan: ReplayPlan, row: JobRow, resume_point: Mapping[str, Any] | None, shop: Shop, abandoned: threading.Event) -> Feed:
    return replay_feed(
        plan,
        shop.settings,
        decoder_of(shop.settings),
        resume_point=resume_point,
        rate=row.arguments.get("rate"),
        sleep=sleep_using_event(abandoned),
    )


def _backfill(row: JobRow, shop: Shop, abandoned: threading.Event) -> Job:  # noqa: ARG001 - its pieces are short
    feed = _archive_feed(row, feed_resume_point(row), shop)
    if row.arguments["days"]:
        feed = DaysFeed(feed, *map(date.fromisoformat, row.arguments["days"]))
    advance = row.arguments["advance_watermark"]
    return MergeJob(row, feed, shop.committer, shop.settings, shop.committed, advance_watermark=advance)


def _rebuild(row: JobRow, shop: Shop, abandoned: threading.Event) -> Job:
    first, last = map(date.fromisoformat, row.arguments["days"])
    readmitted = row.arguments.get("readmit")  # the greatest id of the expired messages that are part of their days again
    point, of_expired = (feed_point(row), None) if readmitted is None else Chain.points(feed_point(row))
    ranges: Mapping[Partition, Range] = {}
    if "plan" in row.arguments:
        plan = ReplayPlan.from_json(row.arguments["plan"])
        feed, origin = _log_feed(plan, row, point, shop, abandoned), Origin.REPLAY
        ranges = {partition: asked for partition, asked, _ in plan.ranges}
    else:
        feed, origin = _archive_feed(row, point, shop), Origin.BACKFILL
    if readmitted is not None:
        feed, origin = Chain(feed, _expired_feed((first, last), readmitted, shop, of_expired), feed_point(row)), Origin.READMIT
    days = Days(first, last, origin, ranges, readmitted or 0)
    return RebuildJob(row, feed, shop.committer, shop.settings, days)


def _expired_feed(days: tuple[date, date], last_id: int, shop: Shop, point: Mapping[str, Any] | None) -> Feed:
    most = shop.settings.batch.max_messages
    return ExpiredFeed(
        shop.committer.store, days, last_id, most, messages=decoder_of(shop.settings).decode, file_rows=_file_rows(shop), resume_point=point
    )


def _file_rows(shop: Shop) -> Decode:
    time = shop.settings.time
    zone = ReportingZone(time.reporting_time_zone)
    return lambda batch, now: decode_json_rows(batch, zone, time.future_guard, now)


def _archive_feed(row: JobRow, resume_point: Mapping[str, Any] | None, shop: Shop) -> Feed:
    settings = shop.settings
    plan = archive_plan(settings, row.arguments)
    zone = ReportingZone(settings.time.reporting_time_zone)
    most = max(settings.batch.max_messages, _ARCHIVE_ROWS)
    return ArchiveFeed(plan, zone, settings.time.future_guard, most, resume_point, partial(_topic_ids, shop))


def _topic_ids(shop: Shop) -> dict[str, str]:
    """Of the topics as the file knows them; of those that it has not read yet, as the broker does, if it is there."""
    known, topics = shop.committer.identity.topic_ids, shop.settings.kafka.topics.values()
    unread = [topic for topic in topics if topic not in known]
    asked = topic_ids(shop.settings.kafka, unread, _TOPIC_SECONDS) if unread else {}
    if lacking := [topic for topic in unread if topic not in asked]:
        log.error(  # seen where a command does the job, too
            "topic_ids_unknown",
            topics=lacking,
            broker=shop.settings.kafka.bootstrap_servers,
            waited_seconds=_TOPIC_SECONDS,
            message="replay --rebuild-days will refuse the days of these files; --without-offsets asks no broker",
        )
    return {**known, **asked}


def _dlq(row: JobRow, shop: Shop, abandoned: threading.Event) -> Job:  # noqa: ARG001 - its pieces are short
    settings = shop.settings
    feed = KeptFeed(
        shop.committer.store,
        Selection.of(row.arguments),
        settings.batch.max_messages,
        messages=decoder_of(settings).decode,
        file_rows=_file_rows(shop),
        resume_point=feed_resume_point(row),
    )
    return MergeJob(row, feed, shop.committer, settings, shop.committed, bears_rejected=True)


def _compact(row: JobRow, shop: Shop, abandoned: threading.Event) -> Job:
    return CompactJob(row, shop.committer, abandoned.wait)


KINDS: Mapping[str, Kind] = {"replay": _replay, "backfill": _backfill, "rebuild": _rebuild, "dlq": _dlq, "compact": _compact}
