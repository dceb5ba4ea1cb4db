"""Logs: one event a line, JSON in production, readable on a terminal. Libraries' own logs take the same way.

Event names are past-tense facts, keys come from the vocabulary: `log.info("day_closed", day=day, revision=1)`. Every line begins with
timestamp (UTC, ISO 8601), level, logger, event. Secrets that `configure` is told of are replaced wherever they turn up, tracebacks too.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import Enum
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from worker.config import Log

REDACTED = "**********"
_FIRST_KEYS = ("timestamp", "level", "logger", "event")

_secrets: tuple[str, ...] = ()  # of this process, as logging itself is


def configure(settings: Log, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send all logs of this process to `stream` (standard error), as `settings` say, without the `secrets`. May be called again."""
    global _secrets
    stream = stream or sys.stderr
    forms = {form for secret in secrets if secret for form in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1])}
    _secrets = tuple(sorted(forms, key=len, reverse=True))
    as_json = settings.format == "json" or (settings.format == "auto" and not stream.isatty())
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _plain_values,
        _in_order,
        structlog.processors.JSONRenderer(ensure_ascii=False) if as_json else _console(stream),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=last, foreign_pre_chain=common))
    logging.basicConfig(handlers=[handler], level=settings.level.upper(), force=True)
    logging.captureWarnings(True)
    logging.getLogger("httpx").setLevel(max(logging.WARNING, logging.root.level))  # it tells of every request at info
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def redacted(text: str) -> str:
    """The text with the secrets of this process replaced."""
    for secret in _secrets:
        text = text.replace(secret, REDACTED)
    return text


def redacted_traceback(error: BaseException) -> str:
    """The traceback of an unexpected error, without secrets and without local variables."""
    return redacted("".join(traceback.format_exception(error)))


def _console(stream: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False, pad_event_to=24
    )


def _plain_values(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    return {key: _plain(value) for key, value in fields.items()}


def _plain(value: object) -> object:
    """What JSON has, without secrets; dates as ISO 8601, anything else as its text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, Mapping):
        return {redacted(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return redacted(value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value))


def _in_order(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    first = {key: fields.pop(key) for key in _FIRST_KEYS if key in fields}
    return first | dict(fields)
