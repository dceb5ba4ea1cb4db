"""The group's committed offsets: a mirror of the position on the broker, for lag tools."""

import time
from concurrent.futures import Future, wait
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import structlog
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from worker import config
from worker.errors import ConfigError
from worker.events import Partition, Position
from worker.source.client import create
from worker.source.losses import name

log = structlog.get_logger()

SECONDS = 10.0  # for an answer; where there is none, or a bad one, the next request comes no sooner
CLOSE_SECONDS = 1.0
LONGEST_TIMEOUT = 3600.0  # that librdkafka takes


class Mirror:
    """One request at a time, and the newest position wins.

    Once its broker has restarted, a client may wait for the group's coordinator on a connection that is gone; and a request that timed
    out inside librdkafka aborts the process when the coordinator is there again (its issue 4605; what Broker asks goes to no
    coordinator). So a request is given up here, long before it would time out there, and its client thrown away with it, which is safe.
    A consumer's commit() has no such fault, but then its close() waits for the answer: without end where the broker hangs.
    """

    def __init__(self, settings: config.Kafka) -> None:
        self._wanted: SimpleQueue[Position] = SimpleQueue()
        self._settings = settings
        self._admin: AdminClient | None = None
        self._offsets: dict[Partition, int] = {}  # the broker is not known to have them
        self._sent: Future[Any] | None = None
        self._pause_until = 0.0  # unless the request is answered well
        self._trouble = ""

    def want(self, position: Position) -> None:
        """Have `position` told at the next `send`. From any thread; never raises, never waits."""
        self._wanted.put(position)

    def send(self) -> None:
        """Send what is wanted, unless a request is on its way still or has failed just now."""
        if self._admin is not None:
            self._admin.poll(0)  # takes its log lines
        if time.monotonic() >= self._pause_until or (self._sent is not None and not _trouble_of(self._sent)):
            self._settle()
            self._send()

    def close(self) -> None:
        """Finish if the broker answers within two seconds: by a client that has seen no restart."""
        self._finish()
        self._admin = None
        self._send()
        self._finish()
        self._admin = None

    def _send(self) -> None:
        with suppress(Empty):
            while True:
                self._offsets |= {partition: next_offset.offset for partition, next_offset in self._wanted.get_nowait().items()}
        if not self._offsets:
            return
        self._pause_until = time.monotonic() + SECONDS
        try:
            self._admin = self._admin or create(AdminClient, self._settings, {})
        except ConfigError as error:  # a file that it names is no longer what it was at the start
            self._report(str(error))
            return
        offsets = [TopicPartition(*partition, offset) for partition, offset in self._offsets.items()]
        wanted = [ConsumerGroupTopicPartitions(self._settings.group_id, offsets)]
        (self._sent,) = self._admin.alter_consumer_group_offsets(wanted, request_timeout=LONGEST_TIMEOUT).values()

    def _finish(self) -> None:
        if self._sent is not None:
            wait([self._sent], CLOSE_SECONDS)
            self._settle()

    def _settle(self) -> None:
        """Take note of how the request went, if there is one."""
        if self._sent is None:
            return
        trouble = _trouble_of(self._sent)
        if trouble:
            self._admin = None
        else:
            self._offsets.clear()
            self._pause_until = 0.0
        self._sent = None
        self._report(trouble)

    def _report(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            log.warning("offsets_not_mirrored", group_id=self._settings.group_id, error=trouble)
        self._trouble = trouble


def _trouble_of(sent: "Future[Any]") -> str:
    """Why it is not known that the broker has the offsets; empty: it has them."""
    if not sent.done():
        return "no answer"
    if error := sent.exception():
        return str(error)
    refusals = [
        f"{name(Partition(each.topic, each.partition))}: {each.error.str()}" for each in sent.result().topic_partitions if each.error
    ]
    return ", ".join(refusals)
