"""The kinds of jobs, each with how it is put together from its row."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tenacity import sleep_using_event

from worker.committer import Committer
from worker.config import Settings
from worker.decode import Decoder, ReportingZone
from worker.decode.registry import schema_source
from worker.errors import ConfigError
from worker.jobs.feed import Feed
from worker.jobs.job import Committed, Job, MergeJob, feed_resume_point
from worker.jobs.runner import Maker
from worker.replay import ReplayPlan, replay_feed
from worker.store.jobs import JobRow


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


def _replay(row: JobRow, shop: Shop, abandoned: threading.Event) -> Job:
    return MergeJob(row, _log_feed(row.arguments, row, shop, abandoned), shop.committer, shop.settings, shop.committed)


def _log_feed(arguments: Mapping[str, Any], row: JobRow, shop: Shop, abandoned: threading.Event) -> Feed:
    return replay_feed(
        ReplayPlan.from_json(arguments["plan"]),
        shop.settings,
        decoder_of(shop.settings),
        resume_point=feed_resume_point(row),
        rate=arguments.get("rate"),
        sleep=sleep_using_event(abandoned),
    )


KINDS: Mapping[str, Kind] = {"replay": _replay}
