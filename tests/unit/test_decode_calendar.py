"""Day and hour of whole columns against zoneinfo, one instant at a time."""

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from worker.decode.calendar import ReportingZone, micros

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = [
    "UTC",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",  # half an hour; at times its clocks changed at 00:01
    "Asia/Kathmandu",  # a quarter
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # daylight saving of half an hour
    "Europe/Dublin",
    "Pacific/Apia",  # left out 2011-12-30
    "Pacific/Kwajalein",  # left out 1993-08-21
    "Africa/Casablanca",  # changes around Ramadan
    "Antarctica/Troll",  # two hours
]


def instants_around_changes(name: str) -> list[datetime]:
    """Micros, seconds and minutes before and after each change of the zone's offset."""
    zone, found = ZoneInfo(name), []
    at = datetime(1980, 1, 1, tzinfo=UTC)
    while at.year < 2100:
        if at.astimezone(zone).utcoffset() != (at + timedelta(days=7)).astimezone(zone).utcoffset():
            found += [at + timedelta(minutes=30 * i) for i in range(7 * 48)]
        at += timedelta(days=7)
    return found


@pytest.mark.parametrize("name", ZONES)
def test_day_and_hour_are_those_on_the_clock(seed: int, name: str) -> None:
    random = Random(seed)
    span = micros(datetime(2099, 12, 31, tzinfo=UTC)) - micros(datetime(1980, 1, 1, tzinfo=UTC))
    instants = [datetime(1980, 1, 1, tzinfo=UTC) + timedelta(microseconds=random.randrange(span)) for _ in range(2_000)]
    around = instants_around_changes(name)
    instants += [
        at + timedelta(microseconds=shift) for at in random.sample(around, min(len(around), 1_000)) for shift in (-1, 0, 59_999_999)
    ]
    local = [at.astimezone(ZoneInfo(name)) for at in instants]
    days, hours = ReportingZone(name).day_and_hour(np.array([micros(at) for at in instants]))
    assert days.tolist() == [(at.date() - EPOCH.date()).days for at in local]
    assert hours.tolist() == [at.hour for at in local]
    assert (days.dtype.name, hours.dtype.name) == ("int32", "int8")


def test_the_repeated_hour_is_one_hour() -> None:
    first, second = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    days, hours = ReportingZone("America/New_York").day_and_hour(np.array([micros(first), micros(second)]))
    assert hours.tolist() == [1, 1]
    assert days[0] == days[1]


def test_a_day_that_the_zone_left_out_does_not_occur() -> None:
    hourly = [datetime(2011, 12, 29, tzinfo=UTC) + timedelta(hours=i) for i in range(72)]
    days, _ = ReportingZone("Pacific/Apia").day_and_hour(np.array([micros(at) for at in hourly]))
    assert sorted({EPOCH.date() + timedelta(days=int(day)) for day in days}) == [
        date(2011, 12, 28),
        date(2011, 12, 29),
        date(2011, 12, 31),
        date(2012, 1, 1),
    ]
