"""Ranges of days on a command line."""

from datetime import date

from worker.errors import ConfigError


def day_range(text: str, option: str) -> tuple[date, date]:
    """First and last day of 2026-03-01..2026-03-31, or of one day. Raises ConfigError naming the option."""
    first, _, last = text.partition("..")
    try:
        days = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise ConfigError(f"{option} {text}: not a range of days", "Write it as 2026-03-01..2026-03-31, or as one day.") from None
    if days[1] < days[0]:
        raise ConfigError(f"{option} {text}: the last day comes before the first", "Write the earlier day first.")
    return days
