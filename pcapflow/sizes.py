"""Sizes, durations and times as people write them: `64KiB`, `500ms`, `13:10:32`.

Contract: each function takes a text and returns bytes or nanoseconds, or raises `ValueError` with a sentence.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

_SIZE = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?\s*(B|KiB|MiB|GiB|KB|MB|GB|K|M|G)?", re.IGNORECASE)
_SIZES = {
    "": 1, "b": 1, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gib": 1 << 30, "kb": 10**3, "mb": 10**6, "gb": 10**9,
}  # fmt: skip
_DURATION = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*(ns|us|ms|s|m|h)")
_DURATIONS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_BIGGEST = 1 << 62
_SECONDS = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,9}))?")
_DATES = re.compile(r"(?:19|20)[0-9]{2}(?:(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])?)?")
"""A year, a month or a day in digits alone."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400 * 10**9
"""Nanoseconds."""


def size(text: str) -> int:
    """`64KiB`, `0.5GiB` (powers of 1,024), `64MB` (of 1,000) or plain bytes, as bytes; a part of a byte is left out."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write 64KiB, 0.5GiB, 64MB or plain bytes")
    one, part = _SIZES[(match[3] or "").lower()], match[2] or ""
    n = int(match[1]) * one + int(part or 0) * one // int("1" + "0" * len(part))
    if not 0 < n < _BIGGEST:
        raise ValueError(f"{text!r} is not a size above zero that fits in memory")
    return n


def duration(text: str) -> int:
    """`500ms`, `30s` or `5m`, as nanoseconds."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write 500ms, 30s or 5m")
    ns = int(float(match[1]) * _DURATIONS[match[2]])
    if not 0 < ns < _BIGGEST:
        raise ValueError(f"{text!r} is not a duration above zero that a capture could have")
    return ns


class TimeOfDay(int):
    """Nanoseconds since midnight (UTC) of a day that is not said: the capture has only one."""

    text = ""


def moment(text: str) -> int:
    """`2026-11-24T12:00:00Z`, a date, or seconds since the epoch, as nanoseconds since the epoch; `13:10:32` as a `TimeOfDay`. Without a zone it is UTC."""
    text = text.strip()
    match = _SECONDS.fullmatch(text)
    if match is not None:
        if match[2] is None and _DATES.fullmatch(text):
            raise ValueError(
                f"{text!r} may be a date, and as seconds since the epoch lies in 1970; write {_dated(text)}, or {text}.0 for seconds"
            )
        return int(match[1]) * 10**9 + int((match[2] or "").ljust(9, "0"))
    try:
        at = time.fromisoformat(text)
    except ValueError:
        pass
    else:
        if at.tzinfo is None and ":" in text:
            of_day = TimeOfDay(((at.hour * 60 + at.minute) * 60 + at.second) * 10**9 + at.microsecond * 1000)
            of_day.text = text
            return of_day
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a time; write 2026-11-24T12:00:00Z, 12:00:00 within a capture of one day, or seconds since the epoch"
        ) from None
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return ((when - _EPOCH) // timedelta(microseconds=1)) * 1_000


def _dated(digits: str) -> str:
    return "-".join(part for part in (digits[:4], digits[4:6] or "01", digits[6:] or "01"))


def show_day(ns: int) -> str:
    """The day of a time since the epoch, UTC: `2026-11-24`; its number where no calendar has it."""
    days = ns // DAY
    try:
        return str(date(1970, 1, 1) + timedelta(days=days))
    except OverflowError:
        return f"day {days} of the epoch"


def typed_size(n: int) -> str:
    """Whole MiB as they stand on a command line: `16MiB`."""
    return f"{n >> 20}MiB"


def show_size(n: int) -> str:
    """Bytes for a person: `1.5 MiB`."""
    for unit, one in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n >= one:
            return f"{n / one:.4g} {unit}" if n % one else f"{n // one} {unit}"
    return f"{n} B"
