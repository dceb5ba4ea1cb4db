"""What unit tests share."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from worker import log


@pytest.fixture
def logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is one per process: what the test configures is undone after it."""
    monkeypatch.setattr(log, "_secrets", ())
    handlers, level, httpx_level = logging.root.handlers[:], logging.root.level, logging.getLogger("httpx").level
    yield
    logging.captureWarnings(False)
    logging.getLogger("httpx").setLevel(httpx_level)
    logging.root.handlers[:], logging.root.level = handlers, level
    structlog.reset_defaults()
