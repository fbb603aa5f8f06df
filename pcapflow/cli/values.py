"""Option types that the command line's users write by hand: sizes and durations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pcapflow.budget import Ledger
from pcapflow.entries import RECORD_TYPES, is_record_type
from pcapflow.limits import MOST
from pcapflow.sizes import duration, moment, size
from pcapflow.suggestions import did_you_mean
from pcapflow.terminal_text import brief

if TYPE_CHECKING:
    from pcapflow.connection_names import ConnectionName

    _IntType = click.ParamType[int]
    _PairType = click.ParamType[tuple[str, int]]
    _NamesType = click.ParamType[frozenset[str]]
    _NameType = click.ParamType[ConnectionName]
    _WordsType = click.ParamType[tuple[str, ...]]
else:
    _IntType = _PairType = _NamesType = _NameType = _WordsType = (
        click.ParamType
    )  # generic for the type checker alone in older versions of click


SECTIONS = ("captures", "problems", "endpoints", "recovered", "lost", "memory", "advice")
"""Of the summary at a terminal (`report.terminal`), which is imported late."""
_DIGITS = 18
"""Of a number that is believed."""


def _within(kind: click.ParamType[int], value: int, param: click.Parameter | None, ctx: click.Context | None) -> int:
    """A number that settings have as one: within what a limit may be."""
    if not 0 < value <= MOST:
        kind.fail(f"{brief(value)} is not between 1 and {MOST}", param, ctx)
    return value


class Size(_IntType):
    """`64KiB`, `32MiB`, `1GiB` or plain bytes, as an integer."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return _within(self, value, param, ctx)
        try:
            return size(str(value))
        except ValueError as e:
            self.fail(str(e), param, ctx)


class RecordTypes(_NamesType):
    """`http,connection`: types of records."""

    name = "type,..."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[str]:
        names = [name.strip() for name in str(value).split(",")]
        for name in names:
            if not is_record_type(name):
                self.fail(
                    f"{brief(name)} is not a record type: write {', '.join(RECORD_TYPES)} or plugin.NAME{did_you_mean(name, RECORD_TYPES)}",
                    param,
                    ctx,
                )
        return frozenset(names)


class Sections(_WordsType):
    """`problems,endpoints`: sections of the summary."""

    name = "name,..."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        names = tuple(name.strip() for name in str(value).split(","))
        for name in names:
            if name not in SECTIONS:
                self.fail(f"{brief(name)} is not a section: write {', '.join(SECTIONS)}{did_you_mean(name, SECTIONS)}", param, ctx)
        return names


class Duration(_IntType):
    """`500ms`, `30s` or `5m`, as nanoseconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return _within(self, value, param, ctx)
        try:
            return duration(str(value))
        except ValueError as e:
            self.fail(str(e), param, ctx)


class Moment(_IntType):
    """`2026-11-24T12:00:00Z` or seconds since the epoch, as nanoseconds since the epoch; `12:00:00` as a time of the capture's day."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return _within(self, value, param, ctx)
        try:
            return moment(str(value))
        except ValueError as e:
            self.fail(str(e), param, ctx)


class Connection(_NameType):
    """`4711`, `10.0.0.2:51000-10.0.0.1:80` or `1:...`: which connection is meant."""

    name = "n|ip:port-ip:port|id"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> ConnectionName:
        from pcapflow.cli.connections import connection_name
        from pcapflow.connection_names import ConnectionName

        if isinstance(value, ConnectionName):
            return value
        try:
            return connection_name(str(value))
        except ValueError as e:
            self.fail(f"{brief(value)} names no connection: {e}", param, ctx)


class Simulated(_PairType):
    """`json=3`: what is to fail, and at which of its attempts."""

    name = "what=n"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        name, _, number = str(value).partition("=")
        if name not in (*Ledger.NAMES, "process") or not number.isdecimal() or len(number) > _DIGITS or int(number) == 0:
            self.fail(f"{value!r}: write one of {', '.join(Ledger.NAMES)} or process, and =N, N from 1", param, ctx)
        return name, int(number)
