"""Waiting for what is away: longer and longer, with jitter, until it is there or nobody wants it any more."""

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)

from worker.errors import Unavailable

log = structlog.get_logger()

Result = TypeVar("Result")

_LONGEST_WAIT = 30.0  # seconds between two attempts


class Patience:
    """Tries again while Unavailable is raised. `waiting` hears of each wait and its seconds, `back` that an attempt was good."""

    def __init__(self, stop: threading.Event, waiting: Callable[[Unavailable, float], None], back: Callable[[], None]) -> None:
        self._waiting = waiting
        self._back = back
        self._retrying = Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential(multiplier=0.5, max=_LONGEST_WAIT) + wait_random(0, 1),
            stop=stop_when_event_set(stop),
            sleep=sleep_using_event(stop),
            before_sleep=self._tell,
            reraise=True,
        )

    def call(self, attempt: Callable[[], Result]) -> Result:
        """The attempt's result. Raises Unavailable only once `stop` is set."""
        result = self._retrying.copy()(attempt)
        self._back()
        return result

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        assert isinstance(error, Unavailable)
        seconds = state.next_action.sleep if state.next_action else 0.0
        attempts = {"attempt": state.attempt_number, "next_attempt_seconds": round(seconds, 1)}
        log.warning("waiting_for_dependency", error=error.message, **attempts, what_to_do="tidemark doctor")
        self._waiting(error, seconds)
