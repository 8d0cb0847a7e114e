"""Durations in words: ``"1 day"``, ``"365 days"``, ``"1 week 12 hours"``."""

import re

_UNITS = {
    "s": 1, "sec": 1, "second": 1,
    "m": 60, "min": 60, "minute": 60,
    "h": 3600, "hr": 3600, "hour": 3600,
    "d": 86_400, "day": 86_400,
    "w": 604_800, "week": 604_800,
    "month": 2_592_000,
    "y": 31_536_000, "year": 31_536_000,
}  # fmt: skip
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+?)s?(?=[\s,\d]|$)[\s,]*")


def seconds(text: str) -> float:
    """Return the seconds of a duration; a month has 30 days, a year 365. Raises ValueError."""
    total, at, given = 0.0, 0, text.strip().lower()
    while at < len(given):
        match = _PART.match(given, at)
        unit = _UNITS.get(match[2]) or _UNITS.get(f"{match[2]}s") if match else None
        if match is None or unit is None:
            raise ValueError(f"'{text}' is no duration; write it as '1 day' or '12 hours'")
        total += float(match[1]) * unit
        at = match.end()
    if not given:
        raise ValueError("a duration is empty")
    return total
