"""Option types that the command line's users write by hand: sizes and durations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from pcapflow.budget import Ledger

_SIZE = re.compile(r"([0-9]{1,18})\s*(B|KiB|MiB|GiB|K|M|G)?", re.IGNORECASE)
_SIZES = {"": 1, "b": 1, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gib": 1 << 30}
_DURATION = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*(ns|us|ms|s|m|h)")
_DURATIONS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_BIGGEST = 1 << 62
_SECONDS = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,9}))?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


if TYPE_CHECKING:
    _IntType = click.ParamType[int]
    _PairType = click.ParamType[tuple[str, int]]
else:
    _IntType = _PairType = click.ParamType  # generic for the type checker alone in older versions of click


class Size(_IntType):
    """`64KiB`, `32MiB`, `1GiB` or plain bytes, as an integer."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a size; write 64KiB, 32MiB, 1GiB or plain bytes", param, ctx)
        size = int(match[1]) * _SIZES[(match[2] or "").lower()]
        if not 0 < size < _BIGGEST:
            self.fail(f"{value!r} is not a size above zero that fits in memory", param, ctx)
        return size


class Duration(_IntType):
    """`500ms`, `30s` or `5m`, as nanoseconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _DURATION.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a duration; write 500ms, 30s or 5m", param, ctx)
        ns = int(float(match[1]) * _DURATIONS[match[2]])
        if not 0 < ns < _BIGGEST:
            self.fail(f"{value!r} is not a duration above zero that a capture could have", param, ctx)
        return ns


class Moment(_IntType):
    """`2026-11-24T12:00:00Z` or seconds since the epoch, as nanoseconds since the epoch."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value).strip()
        match = _SECONDS.fullmatch(text)
        if match is not None:
            return int(match[1]) * 10**9 + int((match[2] or "").ljust(9, "0"))
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{value!r} is not a time; write 2026-11-24T12:00:00Z or seconds since the epoch", param, ctx)
        when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        return ((when - _EPOCH) // timedelta(microseconds=1)) * 1_000


class Simulated(_PairType):
    """`json=3`: what is to fail, and at which of its attempts."""

    name = "what=n"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        name, _, number = str(value).partition("=")
        if name not in (*Ledger.NAMES, "process") or not number.isdecimal() or int(number) == 0:
            self.fail(f"{value!r}: write one of {', '.join(Ledger.NAMES)} or process, and =N, N from 1", param, ctx)
        return name, int(number)


def show_size(n: int) -> str:
    """Bytes for a person: `1.5 MiB`."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n >= size:
            return f"{n / size:.4g} {unit}" if n % size else f"{n // size} {unit}"
    return f"{n} B"
