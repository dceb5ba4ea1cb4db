"""What a log line looks like, and that no secret gets into one."""

import io
import json
import logging
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from worker import log
from worker.config import Log
from worker.events import Outcome, Partition

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

SECRET = 'pa"ss\nwörd'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(write: Callable[[], object], settings: Log | None = None) -> list[dict[str, Any]]:
    stream = io.StringIO()
    log.configure(settings or Log(), [SECRET], stream)
    write()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_begins_with_time_level_logger_and_event() -> None:
    (line,) = lines(lambda: structlog.get_logger("worker.pipeline").info("day_closed", revision=1, day=date(2026, 3, 1)))
    assert list(line) == ["timestamp", "level", "logger", "event", "revision", "day"]
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo == UTC
    assert line == {"level": "info", "logger": "worker.pipeline", "event": "day_closed", "revision": 1, "day": "2026-03-01"}


def test_values_are_plain() -> None:
    values = {"outcome": Outcome.EXPIRED, "path": Path("a/b"), "key": b"\xffid"}
    values |= {"partition": Partition("orders", 3), "at": datetime(2026, 3, 1, tzinfo=UTC), "offsets": {1: None, 2: 1.5}}
    (line,) = lines(lambda: structlog.get_logger().info("batch_committed", **values))
    assert (line["outcome"], line["path"], line["key"]) == ("expired", "a/b", "\\xffid")
    assert (line["partition"], line["at"], line["offsets"]) == (["orders", 3], "2026-03-01T00:00:00+00:00", {"1": None, "2": 1.5})


def test_the_logs_and_warnings_of_libraries_take_the_same_way() -> None:
    def write() -> None:
        logging.getLogger("confluent_kafka").warning("broker %s is down", "b1")
        warnings.warn("soon gone", DeprecationWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        first, second = lines(write)
    assert (first["level"], first["logger"], first["event"]) == ("warning", "confluent_kafka", "broker b1 is down")
    assert second["logger"] == "py.warnings"
    assert "soon gone" in second["event"]


def test_less_severe_events_are_left_out() -> None:
    def write() -> None:
        structlog.get_logger().info("a")
        logging.getLogger("library").info("b")
        structlog.get_logger().warning("c")

    assert [line["event"] for line in lines(write, Log(level="warning"))] == ["c"]


def test_a_secret_is_redacted_wherever_it_turns_up() -> None:
    def write() -> None:
        logger = structlog.get_logger()
        logger.info(
            "connected",
            options={"sasl.password": SECRET, "urls": [f"http://u:{SECRET}@registry"]},
            raw=SECRET.encode(),
            settings=repr(SECRET),
        )
        logging.getLogger("library").warning("refused %s", SECRET)
        try:
            raise ValueError(f"bad password {SECRET}")
        except ValueError:
            logger.exception("login_failed")

    found = lines(write)
    assert "wörd" not in json.dumps(found, ensure_ascii=False)
    assert found[0]["options"] == {"sasl.password": log.REDACTED, "urls": [f"http://u:{log.REDACTED}@registry"]}
    assert found[2]["exception"].endswith(f"ValueError: bad password {log.REDACTED}")


def test_on_a_terminal_a_line_is_for_people() -> None:
    stream = Terminal()
    log.configure(Log(), [SECRET], stream)
    try:
        raise ValueError(SECRET)
    except ValueError:
        structlog.get_logger().exception("step_failed", partition=Partition("orders", 3))
    text = stream.getvalue()
    assert "step_failed" in text
    assert "Traceback" in text
    assert "wörd" not in text
    assert not text.startswith("{")


def test_a_traceback_for_the_screen_hides_secrets() -> None:
    log.configure(Log(), [SECRET], io.StringIO())
    assert log.redacted_traceback(ValueError(SECRET)) == f"ValueError: {log.REDACTED}\n"
