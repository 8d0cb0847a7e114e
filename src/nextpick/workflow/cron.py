"""When schedules are due: EventBridge's ``cron(…)`` and ``rate(…)``, in UTC.

Source: EventBridge User Guide, "Cron expressions" and "Rate expressions". Days of the week are 1 (SUN) to 7 (SAT).
"""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1
    )
}
_DAYS = {name: n for n, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], 1)}
_FIELDS = ("minutes", "hours", "day of month", "month", "day of week", "year")
_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (1, 7), (1970, 2199))
_UNITS = {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}

DayTest = Callable[[datetime], bool]


class Schedule(Protocol):
    """When something is due."""

    def next_after(self, moment: float) -> float | None:
        """Return the first time after ``moment`` (seconds since 1970); None when there is none any more."""
        ...


class Rate(NamedTuple):
    """Every ``every_s`` seconds, counted from ``since``."""

    every_s: float
    since: float

    def next_after(self, moment: float) -> float | None:
        passed = max((moment - self.since) // self.every_s, 0)
        return self.since + (passed + 1) * self.every_s


class Cron(NamedTuple):
    """At the minutes that all fields let through."""

    minutes: list[int]
    hours: list[int]
    is_day: DayTest
    months: frozenset[int]
    years: frozenset[int]

    def next_after(self, moment: float) -> float | None:
        start = datetime.fromtimestamp(moment, UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        day = start.replace(hour=0, minute=0)
        last = max(self.years)
        while day.year <= last:
            if day.year not in self.years:
                day = day.replace(year=day.year + 1, month=1, day=1)
            elif day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            else:
                if self.is_day(day):
                    for hour in self.hours:
                        for minute in self.minutes:
                            found = day.replace(hour=hour, minute=minute)
                            if found >= start:
                                return found.timestamp()
                day += timedelta(days=1)
        return None


def parse(expression: str, since: float = 0.0) -> Schedule:
    """Return the schedule that an expression writes; rates count from ``since``. Raises ValueError naming the
    field."""
    text = expression.strip()
    if match := re.fullmatch(r"rate\(\s*(\d+)\s+(minute|hour|day)(s?)\s*\)", text):
        number = int(match[1])
        if number < 1 or (number == 1) == bool(match[3]):
            right = f"{number} {match[2]}{'s' * (number != 1)}"
            raise ValueError(f"'{expression}' is no rate: it is written rate({right}), from 1 on.")
        return Rate(number * _UNITS[match[2]], since)
    match = re.fullmatch(r"cron\((.*)\)", text)
    if match is None:
        raise ValueError(
            f"'{expression}' is neither cron(minutes hours day month weekday year) nor rate(n unit)."
        )
    fields = match[1].upper().split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"'{expression}' has {len(fields)} fields; {', '.join(_FIELDS)} are needed.")
    if (fields[2] == "?") == (fields[4] == "?"):
        raise ValueError(
            f"'{expression}' must have ? as its day of month or as its day of week, and not as both."
        )
    try:
        sets = [
            _values(fields[i], *_LIMITS[i], names) for i, names in ((0, {}), (1, {}), (3, _MONTHS), (5, {}))
        ]
        is_day = _month_days(fields[2]) if fields[4] == "?" else _week_days(fields[4])
    except ValueError as error:
        raise ValueError(f"'{expression}' is no cron expression: {error}") from None
    minutes, hours, months, years = sets
    return Cron(sorted(minutes), sorted(hours), is_day, frozenset(months), frozenset(years))


def _values(field: str, least: int, most: int, names: dict[str, int]) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if slash and not (step.isdigit() and int(step) > 0):
            raise ValueError(f"'{part}' has no step after its slash")
        start = least if first == "*" else _value(first, least, most, names)
        end = _value(last, least, most, names) if dash else most if first == "*" or slash else start
        if start > end:  # SAT-MON goes around
            found.update(range(start, most + 1))
            start = least
        found.update(range(start, end + 1, int(step) if slash else 1))
    return found


def _value(text: str, least: int, most: int, names: dict[str, int]) -> int:
    number = names.get(text, int(text) if text.isdigit() else -1)
    if not least <= number <= most:
        raise ValueError(f"'{text}' is not a value from {least} to {most}")
    return number


def _month_days(field: str) -> DayTest:
    tests = [_month_day(part) for part in field.split(",")]
    return lambda day: any(test(day) for test in tests)


def _month_day(part: str) -> DayTest:
    if part == "L":
        return lambda day: day.day == _length(day)
    if part in ("LW", "WL"):
        return lambda day: day.day == _nearest_weekday(day, _length(day))
    if part.endswith("W"):
        wanted = _value(part[:-1], 1, 31, {})
        return lambda day: wanted <= _length(day) and day.day == _nearest_weekday(day, wanted)
    days = _values(part, 1, 31, {})
    return lambda day: day.day in days


def _length(day: datetime) -> int:
    return monthrange(day.year, day.month)[1]


def _nearest_weekday(day: datetime, wanted: int) -> int:
    """Return the weekday nearest to a day of the month, in the same month."""
    found = day.replace(day=wanted).weekday()
    if found == 5:
        return wanted - 1 if wanted > 1 else wanted + 2
    if found == 6:
        return wanted + 1 if wanted < _length(day) else wanted - 2
    return wanted


def _week_days(field: str) -> DayTest:
    tests = [_week_day(part) for part in field.split(",")]
    return lambda day: any(test(day) for test in tests)


def _week_day(part: str) -> DayTest:
    if part == "L":
        return lambda day: _weekday(day) == 7
    if part.endswith("L"):
        wanted = _value(part[:-1], 1, 7, _DAYS)
        return lambda day: _weekday(day) == wanted and day.day + 7 > _length(day)
    if "#" in part:
        name, _, number = part.partition("#")
        wanted, nth = _value(name, 1, 7, _DAYS), _value(number, 1, 5, {})
        return lambda day: _weekday(day) == wanted and (day.day - 1) // 7 + 1 == nth
    days = _values(part, 1, 7, _DAYS)
    return lambda day: _weekday(day) in days


def _weekday(day: datetime) -> int:
    return day.isoweekday() % 7 + 1
