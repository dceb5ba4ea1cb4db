"""Durations ("1h30m", "250ms", ISO 8601) and sizes ("512MB", "1.5GiB", "80%") as people write them."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, TypeAdapter, ValidationError

_MICROSECONDS = {"w": 604_800_000_000, "d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[wdhms])\s*", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(%|[KMGT]i?B)", re.IGNORECASE | re.ASCII)
_ISO = TypeAdapter(timedelta)

_DURATION_REMEDY = 'write a number and a unit: "250ms", "30s", "5m", "1h30m", "1d"'


def parse_duration(text: str) -> timedelta:
    """The duration of "250ms", "5m", "1h30m", "1d" (units w, d, h, m, s, ms; greater ones first) or ISO 8601 ("PT5M").

    Raises ValueError, which says how to write it. A number without a unit is refused: nobody could tell what it counts.
    """
    text = text.strip()
    try:
        if text.startswith("P"):
            return _ISO.validate_python(text)
        parts = list(_PART.finditer(text))
        units = [list(_MICROSECONDS).index(part[2]) for part in parts]
        if "".join(part[0] for part in parts) == text != "" and units == sorted(set(units)):
            return timedelta(microseconds=round(sum(float(part[1]) * _MICROSECONDS[part[2]] for part in parts)))
    except (ValidationError, OverflowError):
        pass
    raise ValueError(f"{text!r} is not a duration; {_DURATION_REMEDY}")


def duration_text(duration: timedelta) -> str:
    """As `parse_duration` reads it, exact to the millisecond: "1h30m"."""
    rest = duration // timedelta(microseconds=1)
    text = ""
    for unit, size in _MICROSECONDS.items():
        if unit != "w":
            count, rest = divmod(rest, size)
            text += f"{count}{unit}" if count else ""
    return text or "0s"


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(f"a number has no unit; {_DURATION_REMEDY}")


def _not_negative(duration: timedelta) -> timedelta:
    if duration < timedelta(0):
        raise ValueError("must not be negative")
    return duration


def _positive(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise ValueError("must be longer than nothing")
    return duration


_BYTES = {"K": 1, "M": 2, "G": 3, "T": 4}


def size_bytes(text: str, whole: int = 0) -> int:
    """The bytes of a size: KB, MB, .. are powers of 1,000, KiB, MiB, .. of 1,024, as DuckDB has it; a share is one of `whole`.

    Raises ValueError.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size")
    number, unit = float(match[1]), match[2].upper()
    if unit == "%":
        return round(number / 100 * whole)
    return round(number * float((1024 if "I" in unit else 1000) ** _BYTES[unit[0]]))


def _size(text: str) -> str:
    match = _SIZE.fullmatch(text.strip())
    if not match or float(match[1]) == 0:
        raise ValueError(f'{text!r} is not a size; write it as DuckDB does: "512MB", "1.5GiB"')
    return text.strip()


def _size_or_share(text: str) -> str:
    match = _SIZE.fullmatch(text.strip())
    if match and match[2] == "%" and float(match[1]) > 100:
        raise ValueError(f"{text!r} is more memory than there is")
    return _size(text)


def _absolute(text: str) -> str:
    if text.endswith("%"):
        raise ValueError(f'{text!r} is a share; write a size: "256MB"')
    return text


Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_not_negative), PlainSerializer(duration_text)]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
Size = Annotated[str, AfterValidator(_size), AfterValidator(_absolute)]
SizeOrShare = Annotated[str, AfterValidator(_size_or_share)]
