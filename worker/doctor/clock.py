"""The clock: events beyond the future guard are rejected, so a clock that is behind rejects good ones."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from worker.config import duration_text
from worker.doctor.findings import Finding, ok, problem, skipped, warning

_TOLERATED = timedelta(seconds=30)
_REMEDY = "Set the clocks by NTP, of this machine and of the other."


def clock_findings(ahead: timedelta | None, newest_ahead: Mapping[str, timedelta], future_guard: timedelta) -> Iterator[Finding]:
    """ahead: how far this clock is before the registry's. newest_ahead: how far each topic's newest message is before this clock."""
    if ahead is None and not newest_ahead:
        yield skipped("clock", "there is nothing to compare it with: neither a registry nor a message")
        return
    if ahead is not None:
        yield _beside("the registry's", ahead, future_guard)
    early = {topic: by for topic, by in newest_ahead.items() if by > _TOLERATED}
    for topic, by in early.items():
        found = f"the newest message of {topic} is {_text(by)} ahead of this clock"
        if by > future_guard:
            yield problem("clock", f"{found}: beyond time.future_guard, such are rejected", _REMEDY)
        else:
            yield warning("clock", found, _REMEDY)
    if newest_ahead and not early:
        yield ok("clock", "no message is ahead of it")


def _beside(whose: str, ahead: timedelta, future_guard: timedelta) -> Finding:
    if abs(ahead) <= _TOLERATED:
        return ok("clock", f"as {whose}, to {_text(_TOLERATED)}")
    found = f"{_text(abs(ahead))} {'ahead of' if ahead > timedelta(0) else 'behind'} {whose}"
    if abs(ahead) > future_guard:
        return problem("clock", f"{found}, more than time.future_guard: good events are rejected, or wrong ones believed", _REMEDY)
    return warning("clock", found, _REMEDY)


def _text(duration: timedelta) -> str:
    return duration_text(timedelta(seconds=round(duration.total_seconds())))
