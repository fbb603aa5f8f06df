"""Options for what a run writes beside its report, and the files behind them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pcapflow.cli.output import descriptor, is_table, open_folder, open_output
from pcapflow.errors import UsageError
from pcapflow.limits import Limits

if TYPE_CHECKING:
    from pcapflow.report.sinks import Sink

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--html", metavar="FILE", type=click.Path(), default=None, help="A page for a browser: timeline, memory, connections, exchanges, drops."),
    click.option("--har", metavar="FILE", type=click.Path(), default=None, help="The HTTP exchanges as HAR 1.2, with bodies up to har_body_max_bytes."),
    click.option("--parquet", metavar="DIR", type=click.Path(), default=None, help="The records as Parquet tables, one a record type (pcapflow[parquet])."),
    click.option("--prometheus", metavar="FILE", type=click.Path(), default=None, help="Counters and high-water marks for node_exporter's textfile collector (pcapflow[prometheus])."),
)


FILES = ("html", "har", "prometheus")
"""Those that name a file."""


def sink_options(command: _Command) -> _Command:
    """Adds them to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass
class Sinks:
    """What a command line asks for. collect: for `pipeline.run`, where the exchanges' own bytes are wanted."""

    sinks: list[Sink] = field(default_factory=list)
    collect: Callable[..., Any] | None = None

    def options(self) -> dict[str, Any]:
        """Arguments of `pipeline.run`."""
        return {"sinks": self.sinks, **({"collect": self.collect} if self.collect is not None else {})}


def open_sinks(given: Mapping[str, Any], limits: Limits, stack: ExitStack) -> Sinks:
    """Open the files that options name; they appear when the stack is left without an error."""
    found = Sinks()
    if given["parquet"] is not None:
        _needs("pyarrow", "parquet")
        from pcapflow.report.parquet import ParquetTables

        found.sinks.append(ParquetTables(stack.enter_context(open_folder(given["parquet"]))))
    if given["prometheus"] is not None:
        _needs("prometheus_client", "prometheus")
        from pcapflow.report.prometheus import Prometheus

        found.sinks.append(Prometheus(stack.enter_context(open_output(given["prometheus"])).write))
    if given["html"] is not None:
        from pcapflow.report.html import Page

        found.sinks.append(Page(stack.enter_context(open_output(given["html"])).write, limits))
    if given["har"] is not None:
        from pcapflow.report.har import Har, HarCollector

        found.sinks.append(Har(stack.enter_context(open_output(given["har"])).write))
        found.collect = HarCollector
    return found


def refuse_one_place_twice(outputs: Mapping[str, str | None]) -> None:
    """Two outputs in one place would be neither. outputs: by the option that names each; `-` is standard output."""
    taken: dict[str, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        other = taken.setdefault(_place(path), option)
        if other != option:
            raise UsageError(f"{option} {path}: {other} goes there already")


def refuse_place_of_tables(outputs: Mapping[str, str | None], folder: str | None) -> None:
    """A file that a table would take the place of."""
    for option, path in outputs.items():
        if folder is not None and path is not None and is_table(Path(path).name) and _place(str(Path(path).parent)) == _place(folder):
            raise UsageError(f"{option} {path}: a table of --parquet may go there")


def _place(path: str) -> str:
    number = 1 if path == "-" else descriptor(path)
    if number is not None:
        return f"descriptor {number}"
    try:
        return os.path.realpath(path)
    except OSError:
        return path  # in a working folder that is gone


def _needs(module: str, option: str) -> None:
    if find_spec(module) is None:
        raise UsageError(f"--{option} needs {module}, which is not installed: pip install 'pcapflow[{option}]'")


