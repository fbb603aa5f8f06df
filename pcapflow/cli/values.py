"""Option types that the command line's users write by hand: sizes and durations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from pcapflow.budget import Ledger
from pcapflow.sizes import duration, size

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
        try:
            return size(str(value))
        except ValueError as e:
            self.fail(str(e), param, ctx)


class Duration(_IntType):
    """`500ms`, `30s` or `5m`, as nanoseconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return duration(str(value))
        except ValueError as e:
            self.fail(str(e), param, ctx)


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
