"""Every metric of the worker, declared once. The pipeline sets them after each commit; nothing here reads a clock.

Each worker has its own registry, so that a process (a test) can hold many. Names carry their unit; `promtool check metrics` finds no fault.
"""

import platform
from collections.abc import Mapping
from enum import StrEnum

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from worker import __version__
from worker.events import Origin, Outcome, Partition, Rejected, Stream

# Series that tell when a counter was made double what is scraped, and nothing here reads them.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

READ = "read"  # the outcome under which all messages are counted: it equals the sum of the others
_ROWS = (1, 10, 100, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class SourceState(StrEnum):
    """What the source is doing."""

    STARTING = "starting"
    READING = "reading"  # behind: there is more to read at once
    CAUGHT_UP = "caught_up"
    UNAVAILABLE = "unavailable"  # the broker or registry is away; waited for
    STOPPED = "stopped"


class Decoder(StrEnum):
    """Which decoder read a row."""

    COLUMNAR = "columnar"
    FASTAVRO = "fastavro"


class Metrics:
    """The metrics of one worker, as attributes. All names begin with tidemark_, but for those of the process (RSS, CPU, open files)."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tidemark_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"tidemark_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"tidemark_{name}", text, labels, buckets=buckets, registry=registry)

        self.build_info = gauge("build_info", "Always 1; the versions are labels", "version", "python")
        self.build_info.labels(__version__, platform.python_version()).set(1)

        self.messages = counter("messages_total", "Messages by outcome; read = the sum of the others", "stream", "origin", "outcome")
        self.events = counter("events_total", "Decoded valid messages by outcome", "stream", "origin", "outcome")
        self.rejected = counter("rejected_total", "Messages that could not become an event", "stream", "stage", "reason")
        self.decoded_rows = counter("decoded_rows_total", "Rows by the decoder that read them", "stream", "decoder")
        self.late_events = counter("late_events_total", "Events whose day was closed when they came", "stream")
        self.expired_events = counter("expired_events_total", "Events for a sealed day, kept aside", "stream")
        self.day_remerges = counter("day_remerges_total", "Commits that changed a closed day, counted once for each day changed")
        self.day_closings = counter("day_closings_total", "Days closed by the watermark")

        self.batch_rows = histogram("batch_rows", "Messages in one commit", _ROWS)
        self.stage_seconds = histogram("stage_seconds", "Time that a batch spent in each stage", _SECONDS, "stage")
        self.commit_seconds = histogram("commit_seconds", "Time of a transaction, from begin to commit", _SECONDS)

        self.partitions = gauge("partitions", "Partitions that are read", "topic")
        self.next_offset = gauge("next_offset", "First offset not yet committed", "topic", "partition")
        self.log_end_offset = gauge("log_end_offset", "The broker's log end offset", "topic", "partition")
        self.offset_lag = gauge("offset_lag", "Messages between next_offset and log_end_offset", "topic", "partition")
        self.source_state = gauge("source_state", "1 for the state that the source is in", "state")
        self.set_source_state(SourceState.STARTING)

        self.watermark_timestamp = gauge("watermark_timestamp_seconds", "All events before it are believed to have come")
        self.watermark_lag = gauge("watermark_lag_seconds", "How far the watermark is behind the clock")
        self.day_states = gauge("day_states", "Days by state: open, closed, sealed", "state")
        self.last_commit = gauge("last_commit_timestamp_seconds", "When the last batch was committed")
        self.outbox_depth = gauge("outbox_messages", "Rejected messages still to be sent to their dead-letter topic")
        self.file_bytes = gauge("file_bytes", "Size of the DuckDB file")
        self.wal_bytes = gauge("wal_bytes", "Size of the DuckDB file's write-ahead log")

        self.mart_refreshes = counter("mart_refreshes_total", "Refreshes of a mart by what became of them: done, failed", "mart", "state")
        self.mart_seconds = gauge("mart_refresh_seconds", "How long the mart's last refresh took", "mart")
        self.mart_rows_read = counter("mart_rows_read_total", "Rows that refreshes of the mart read", "mart")
        self.mart_rows_written = counter("mart_rows_written_total", "Rows that refreshes of the mart wrote", "mart")
        self.mart_dirty_share = gauge("mart_dirty_ratio", "Which share of the mart's rows its last refresh wrote", "mart")
        self.mart_as_of = gauge("mart_as_of_timestamp_seconds", "The end of the last day that the mart shows, as if in UTC", "mart")
        self.audits_failing = gauge("audits_failing", "Audits that failed when they last ran, by severity: error, warning", "severity")

    def count_outcomes(self, stream: Stream, origin: Origin, counts: Mapping[Outcome, int]) -> None:
        """Add one batch's messages of one stream and origin; `counts` says what became of each message read."""
        self.messages.labels(stream, origin, READ).inc(sum(counts.values()))
        for outcome, count in counts.items():
            self.messages.labels(stream, origin, outcome).inc(count)
            if outcome is not Outcome.REJECTED:
                self.events.labels(stream, origin, outcome).inc(count)
        self.expired_events.labels(stream).inc(counts.get(Outcome.EXPIRED, 0))

    def count_rejected(self, message: Rejected) -> None:
        """Add one rejected message to its reason."""
        self.rejected.labels(message.stream, message.stage, message.reason).inc()

    def set_offsets(self, partition: Partition, next_offset: int, log_end_offset: int | None) -> None:
        """Where a partition stands; None: the broker has not told its end yet."""
        labels = (partition.topic, str(partition.number))
        self.next_offset.labels(*labels).set(next_offset)
        if log_end_offset is not None:
            self.log_end_offset.labels(*labels).set(log_end_offset)
            self.offset_lag.labels(*labels).set(max(0, log_end_offset - next_offset))

    def set_source_state(self, state: SourceState) -> None:
        """Exactly one state is 1."""
        for each in SourceState:
            self.source_state.labels(each).set(each is state)
