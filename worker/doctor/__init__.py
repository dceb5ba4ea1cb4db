"""`tidemark doctor`: what keeps a worker from its work, or will, and what to do. It looks and never touches.

Each module asks one part of the surroundings and judges the answers, by functions from what was found to findings. `examine` runs
them one after the other; what one found out, later ones know.
"""

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from worker.config import Loaded, Settings
from worker.doctor.broker import LogFacts, broker_checks
from worker.doctor.clock import clock_findings
from worker.doctor.configuration import advice_checks, configuration_checks, mart_checks
from worker.doctor.disk import disk_checks
from worker.doctor.file import FileFacts, file_checks
from worker.doctor.findings import Checks, Finding, Level, skipped, within
from worker.doctor.machine import machine_checks, this_machine
from worker.doctor.messages import message_checks
from worker.doctor.registry import registry_checks
from worker.doctor.serving import serving_checks
from worker.doctor.topics import position_findings, topic_findings

__all__ = ["Finding", "Level", "examine"]

SECONDS = 15.0  # for each finding; the questions behind it have shorter limits of their own


def examine(
    load: Callable[[], Loaded],
    report: Callable[[Settings, str], Sequence[Mapping[str, Any]]],
    environment: Mapping[str, str],
    now: Callable[[], datetime],
) -> Generator[Finding, None, None]:
    """All findings as they come, without secrets. load: reads the configuration. report: the rows of sql/reports/<name>.sql."""
    machine = this_machine()
    yield from within(SECONDS, "machine", machine_checks(machine))
    loaded = yield from within(SECONDS, "configuration", configuration_checks(load, environment))
    if loaded is None:
        yield skipped("all else", "needs a configuration without faults")
        return
    settings = loaded.settings
    yield from within(SECONDS, "settings", advice_checks(settings, machine))
    yield from within(SECONDS, "marts", mart_checks(settings.marts))
    yield from within(SECONDS, "disk", disk_checks(settings, _umask()))
    file = yield from within(SECONDS, "file", file_checks(settings, partial(report, settings), now()))
    yield from within(SECONDS, "serving", serving_checks(settings, file.worker if file else None))
    ahead = yield from within(SECONDS, "registry", registry_checks(settings.registry, settings.kafka.topics, now))
    log = yield from within(SECONDS, "broker", _log_checks(settings, file))
    newest_ahead = None
    if log is not None:
        newest_ahead = yield from within(SECONDS, "messages", message_checks(settings, log, file or FileFacts(), now))
    yield from clock_findings(ahead, newest_ahead or {}, settings.time.future_guard)


def _log_checks(settings: Settings, file: FileFacts | None) -> Checks[LogFacts | None]:
    log = yield from broker_checks(settings.kafka)
    if log is None:
        yield skipped("topic", "the broker can't be asked")
        return None
    yield from topic_findings(settings, log)
    if file is None:
        yield skipped("position", "the file can't be read")
    else:
        yield from position_findings(log, file)
    return log


def _umask() -> int:
    """It can only be asked for by setting it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
