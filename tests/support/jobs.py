"""Jobs on a tests' Worker, in one thread: pieces are read and committed one by one, with whatever a test does between them."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from tests.support.fake_ranges import FakeBroker, FakeRangeReader
from tests.support.worker import Worker
from worker.backfill import ArchiveFeed, plan_archive
from worker.decode import ReportingZone
from worker.events import Origin
from worker.jobs.feed import Feed
from worker.jobs.job import Job, MergeJob, feed_resume_point
from worker.readmit import Chain, ExpiredFeed
from worker.rebuild import Days, RebuildJob, feed_point
from worker.replay import DayOffset, ReplayFeed, ReplayPlan, ReplayRequest, plan_rebuild, plan_replay
from worker.store.jobs import JobRow, JobState

MOST_MESSAGES = 7  # of one piece


def run_job(worker: Worker, job_id: int, make: Callable[[JobRow], Job], *, pieces: int | None = None) -> Iterator[Any]:
    """Yields before each piece is committed; after `pieces` of them it stops, as a kill would leave it."""
    (row,) = [row for row in worker.store.jobs() if row.id == job_id]
    job = make(row)
    left = pieces
    while left is None or left > 0:
        piece = job.read(worker.now)
        if piece is None:
            worker.store.set_job_state(job_id, JobState.DONE, worker.now)
            break
        yield piece
        job.commit(piece, worker.now)
        left = None if left is None else left - 1
    job.close()


class Replay:
    """tidemark replay on the worker's log; what is asked for is planned at once."""

    kind = "replay"

    def __init__(self, worker: Worker, request: ReplayRequest | None = None) -> None:
        self.worker = worker
        self.plan = self._planned(request or ReplayRequest())
        self.id = worker.store.add_job(self.kind, {}, "a test", worker.now)

    def steps(self, pieces: int | None = None) -> Iterator[Any]:
        """See run_job."""
        return run_job(self.worker, self.id, self._job, pieces=pieces)

    def run(self, pieces: int | None = None) -> JobRow:
        """To its end, or for so many pieces."""
        for _ in self.steps(pieces):
            pass
        return self.row

    @property
    def row(self) -> JobRow:
        (row,) = [row for row in self.worker.store.jobs() if row.id == self.id]
        return row

    def _planned(self, request: ReplayRequest) -> ReplayPlan:
        state, topics = self.worker.pipeline.state, self.worker.settings.kafka.topics
        assert state.identity is not None
        return plan_replay(request, FakeBroker(self.worker.log), state.position, state.identity, topics.values())

    def _job(self, row: JobRow) -> Job:
        feed = log_feed(self.worker, self.plan, feed_resume_point(row))
        return MergeJob(row, feed, self.worker.pipeline.committer, self.worker.settings, lambda *_: None)


class Rebuild(Replay):
    """tidemark replay --rebuild-days on the worker's log."""

    kind = "rebuild"

    def __init__(self, worker: Worker, first: str, last: str | None = None) -> None:
        self.first, self.last = date.fromisoformat(first), date.fromisoformat(last or first)
        super().__init__(worker)

    def _planned(self, request: ReplayRequest) -> ReplayPlan:
        with self.worker.store.cursor() as connection:
            rows = connection.execute(
                "select day, topic, topic_id, partition, first_offset, last_offset from day_offset where day between $first and $last",
                {"first": self.first, "last": self.last},
            ).fetchall()
        state, topics = self.worker.pipeline.state, self.worker.settings.kafka.topics
        assert state.identity is not None
        return plan_rebuild([DayOffset(*row) for row in rows], FakeBroker(self.worker.log), state.identity, topics.values())

    def _job(self, row: JobRow) -> Job:
        days = Days(self.first, self.last, Origin.REPLAY, {partition: asked for partition, asked, _ in self.plan.ranges})
        feed = log_feed(self.worker, self.plan, feed_point(row))
        return RebuildJob(row, feed, self.worker.pipeline.committer, self.worker.settings, days)


class Readmission(Rebuild):
    """tidemark expired readmit, from the worker's log."""

    def _job(self, row: JobRow) -> Job:
        worker, settings = self.worker, self.worker.settings
        decoder = worker.decoder()
        ((last_id,),) = worker.query("select max(id) from expired")
        point, of_expired = Chain.points(feed_point(row))
        feed = ExpiredFeed(
            worker.store,
            (self.first, self.last),
            last_id,
            MOST_MESSAGES,
            messages=decoder.decode,
            file_rows=decoder.decode,
            resume_point=of_expired,
        )
        chain = Chain(log_feed(worker, self.plan, point), feed, feed_point(row))
        ranges = {partition: asked for partition, asked, _ in self.plan.ranges}
        days = Days(self.first, self.last, Origin.READMIT, ranges, last_id)
        return RebuildJob(row, chain, worker.pipeline.committer, settings, days)


class Backfill:
    """tidemark backfill into the worker's file, MOST_MESSAGES rows a piece. `topic_ids`: what the broker tells."""

    def __init__(
        self, worker: Worker, directory: Path, *, advance_watermark: bool = False, topic_ids: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        self.worker, self.directory, self.advance_watermark, self.topic_ids = worker, directory, advance_watermark, topic_ids
        self.id = worker.store.add_job("backfill", {}, "a test", worker.now)

    def run(self, pieces: int | None = None) -> JobRow:
        """To its end, or for so many pieces."""
        for _ in run_job(self.worker, self.id, self._job, pieces=pieces):
            pass
        (row,) = [row for row in self.worker.store.jobs() if row.id == self.id]
        return row

    def _job(self, row: JobRow) -> Job:
        settings, committer = self.worker.settings, self.worker.pipeline.committer
        zone = ReportingZone(settings.time.reporting_time_zone)
        plan = plan_archive(self.directory, settings.kafka.topics)
        feed = ArchiveFeed(plan, zone, settings.time.future_guard, MOST_MESSAGES, feed_resume_point(row), self.topic_ids)
        return MergeJob(row, feed, committer, settings, lambda *_: None, advance_watermark=self.advance_watermark)


def log_feed(worker: Worker, plan: ReplayPlan, resume_point: Any) -> Feed:
    """The feed of a plan from the worker's log."""
    reader = FakeRangeReader(worker.log, worker.settings.kafka.topics, plan.left(resume_point), plan.identity)
    return ReplayFeed(plan, reader, worker.decoder(), MOST_MESSAGES, resume_point=resume_point)
