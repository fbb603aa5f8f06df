"""The command line's options as keywords of the Python interface.

Contract: `RunOptions` has one key for each option of `pcapflow analyze` that is not about the form of the report; a test holds the two equal. `settings_of` gives what a run takes, and raises
`UsageError` with the keyword's name for a value that the command line would refuse, TypeError for a keyword that there is not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, TypedDict

import click

from pcapflow.cli.cluster import cluster_options
from pcapflow.cli.options import looking, looking_options, run_options, settings, where_option, workers_option
from pcapflow.cli.sinks import SINKS, sink_options
from pcapflow.cli.values import Duration, Moment
from pcapflow.errors import UsageError
from pcapflow.limits import Limits
from pcapflow.options import Options
from pcapflow.suggestions import did_you_mean

Path = str | os.PathLike[str]
Size = int | str
"""Bytes, or `"64MiB"`."""
Seconds = float | timedelta | str
"""Seconds, or `"500ms"`."""
Moments = float | datetime | str
"""Seconds since the epoch, a datetime with a time zone, or what `--from` takes."""


class RunOptions(TypedDict, total=False):
    """How to run. `pcapflow analyze --help-all` says what each means."""

    # what is read
    filter: str
    from_: Moments
    to: Moments
    packets: int
    tunnels: Literal["on", "off"]
    vlan_key: Literal["auto", "on", "off"]
    verify_checksums: bool
    # what is looked for in messages
    headers: str | Iterable[str]
    show_secrets: bool
    sniff_json: bool
    hash_bodies: bool
    shapes: bool
    duplicate_keys: bool
    where: str | Mapping[str, object]
    # memory and limits
    limits: Limits | None
    memory_limit: Size
    process_limit: Size
    ring_size: Size
    ring_ranges: int
    max_connections: int
    gap_timeout: Seconds
    idle_timeout: Seconds
    block_size: Size
    overload: Literal["gap", "drop"]
    overlap: Literal["first", "last", "bsd", "linux", "windows", "solaris"]
    json_parser: Literal["auto", "ijson"]
    workers: int | None


class OutputOptions(RunOptions, total=False):
    """The same, and what is written beside the report."""

    html: Path
    har: Path
    har_body_max: Size
    parquet: Path
    sqlite: Path
    postgres: str
    prometheus: Path
    sink_timeout: Seconds
    sink_overload: Literal["fail", "drop"]


class Settings(NamedTuple):
    """What a run takes; given: the options of sinks, as the command line's functions take them."""

    limits: Limits
    options: Options
    given: dict[str, Any]


def _parameters() -> dict[str, click.Option]:
    """By keyword."""

    def nothing() -> None: ...

    command = click.command(sink_options(looking_options(workers_option(cluster_options(run_options(where_option("")(nothing)))))))
    return {_keyword(param): param for param in command.params if isinstance(param, click.Option) and not param.hidden}


def _keyword(param: click.Option) -> str:
    name = max(param.opts, key=len).removeprefix("--").replace("-", "_")
    return "from_" if name == "from" else name


_PARAMETERS = _parameters()


def settings_of(function: str, given: Mapping[str, Any], known: Iterable[str]) -> Settings:
    """Of keywords; function: whose they are; known: those that it has."""
    known = frozenset(known)
    limits = given.get("limits")
    values: dict[str, Any] = {}
    for keyword, value in given.items():
        if keyword not in known:
            raise TypeError(f"{function}() got an unexpected keyword argument {keyword!r}{did_you_mean(keyword, sorted(known))}")
        if keyword == "limits" or value is None:
            continue
        param = _PARAMETERS[keyword]
        if limits is not None and param.name in Limits().as_dict():
            raise UsageError(f"{keyword}: limits has it already; give one of the two")
        values[str(param.name)] = _converted(keyword, param, value)
    every = {str(param.name): values.get(str(param.name), _default(param)) for param in _PARAMETERS.values()}
    every |= {"simulate": (), "workers": given.get("workers", 1)}
    try:
        bounds, options = settings(every, looking(every))
    except UsageError as e:
        raise UsageError(str(e).removeprefix("--")) from None
    return Settings(limits if limits is not None else bounds, options, {sink.name: None for sink in SINKS} | every)


def _default(param: click.Option) -> Any:
    context = click.Context(click.Command("pcapflow"))
    return param.type_cast_value(context, param.get_default(context))


def _converted(keyword: str, param: click.Option, value: Any) -> Any:
    """A value as the command line's option has it."""
    if param.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{keyword}: {value!r} is neither True nor False")
        return value
    if isinstance(param.type, Duration):
        value = _nanoseconds(value)
    elif isinstance(param.type, Moment):
        value = _moment(keyword, value)
    elif isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif isinstance(value, Mapping):
        value = ",".join(f"{key}={one}" for key, one in value.items())
    elif not isinstance(value, str | int):
        value = ",".join(value)
    try:
        return param.type_cast_value(click.Context(click.Command("pcapflow")), value)
    except click.BadParameter as e:
        raise UsageError(f"{keyword}: {e.message}") from None


def _nanoseconds(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1) * 1000
    return round(value * 1e9) if isinstance(value, int | float) else value


def _moment(keyword: str, value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise UsageError(f"{keyword}: {value!r} has no time zone")
        return value.isoformat()
    return f"{value:.9f}" if isinstance(value, int | float) else value
