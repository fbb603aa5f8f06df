"""What a run writes beside its report: each sink once, with its option, what it needs, and where it goes.

Contract: `load_sinks` imports what is asked for, `open_sinks` opens the files, in that order: nothing is half done while something is imported, which a
signal may end at once. Invariant: options, help, extras and the refusal of outputs that would be lost come from SINKS.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from pcapflow.cli.options import limit_option
from pcapflow.cli.output import descriptor, is_table, open_folder, open_output, refuse_overwriting, refuse_overwriting_tables, status_of
from pcapflow.cli.values import Duration, Size
from pcapflow.errors import UsageError
from pcapflow.files import is_folder, is_url, place_of
from pcapflow.limits import Limits

if TYPE_CHECKING:
    from pcapflow.report.sinks.base import Sink

_Command = TypeVar("_Command", bound=Callable[..., Any])

Make = Callable[[Any, Limits], "Sink"]
"""Makes a sink from what it writes to."""


def _html() -> Make:
    from pcapflow.report.sinks.html import Page

    return lambda out, limits: Page(out.write, limits)


def _har() -> Make:
    from pcapflow.report.sinks.har import Har

    return lambda out, _: Har(out.write)


def _parquet() -> Make:
    from pcapflow.report.sinks.parquet import ParquetTables

    return lambda create, _: ParquetTables(create)


def _prometheus() -> Make:
    from pcapflow.report.sinks.prometheus import Prometheus

    return lambda out, _: Prometheus(out.write)


def _sqlite() -> Make:
    from pcapflow.report.sinks.sqlite import SqliteTables

    return lambda database, _: SqliteTables(database)


@contextmanager
def _open_database(path: str, _: Mapping[str, Any]) -> Iterator[Any]:
    from pcapflow.report.sinks.sqlite import Database

    if path in ("", "-", ":memory:") or path.startswith("file:") or is_url(path) or is_folder(path):
        raise UsageError(f"--sqlite {path}: is not a file for a database")
    database = Database(path)
    try:
        yield database
    finally:
        database.close()


def _postgres() -> Make:
    from pcapflow.report.sinks.postgres import PostgresTables

    return lambda server, _: PostgresTables(server)


@contextmanager
def _open_server(dsn: str, given: Mapping[str, Any]) -> Iterator[Any]:
    from pcapflow.report.sinks.postgres_server import Server

    server = Server(dsn, given["sink_timeout"] / 1_000_000_000, given["sink_overload"])
    try:
        yield server
    finally:
        server.close()


class SinkOption:
    """One sink on the command line."""

    def __init__(
        self,
        name: str,
        text: str,
        load: Callable[[], Make],
        needs: str = "",
        *,
        is_folder: bool = False,
        opens: Callable[[str, Mapping[str, Any]], AbstractContextManager[Any]] | None = None,
        metavar: str = "FILE",
    ) -> None:
        """name: the option, and the extra that brings what it needs; load imports it; needs: a module that is not there without the extra; is_folder: it
        writes tables into a folder, not one file; opens: what it writes to, where that is no file that appears when it is whole.
        """
        self.name = name
        self.text = text
        self.load = load
        self.needs = needs
        self.is_folder = is_folder
        self.metavar = "DIR" if is_folder else metavar
        self.opens = opens or (lambda path, _: open_folder(path) if is_folder else open_output(path))

    @property
    def is_file(self) -> bool:
        """Whether it goes to a path."""
        return self.metavar != "DSN"

    def option(self) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """For click."""
        text = f"{self.text} (pcapflow[{self.name}])." if self.needs else f"{self.text}."
        return click.option(f"--{self.name}", metavar=self.metavar, type=click.Path() if self.is_file else str, default=None, help=text)


SINKS = (
    SinkOption("html", "Also write an HTML page with problems, endpoints, exchanges, connections, drops and a timeline", _html),
    SinkOption("har", "Also write the HTTP exchanges as HAR 1.2, for browser developer tools", _har),
    SinkOption("parquet", "Also write the records as Parquet tables, one per record type", _parquet, "pyarrow", is_folder=True),
    SinkOption("sqlite", "Also add the records to the tables of an SQLite database, alongside earlier runs", _sqlite, opens=_open_database),
    SinkOption("postgres", "Also add the records to a PostgreSQL database", _postgres, "psycopg", opens=_open_server, metavar="DSN"),
    SinkOption(
        "prometheus", "Also write counters and high-water marks for the node_exporter textfile collector", _prometheus, "prometheus_client"
    ),
)


_HAR_BODY = limit_option("--har-body-max", "har_body_max_bytes", Size(), "Maximum bytes of each body that --har writes.")
_WAITING = (
    click.option(
        "--sink-timeout",
        metavar="DURATION",
        type=Duration(),
        default="60s",
        show_default=True,
        help="How long --postgres waits for a server that accepts no data.",
    ),
    click.option(
        "--sink-overload",
        type=click.Choice(["fail", "drop"]),
        default="fail",
        show_default=True,
        help="What to do after --sink-timeout: fail ends the run, drop discards records and counts them.",
    ),
)


def sink_options(command: _Command) -> _Command:
    """Adds them to a command."""
    found: Any = command
    for option in reversed((*(sink.option() for sink in SINKS), _HAR_BODY, *_WAITING)):
        found = option(found)
    return cast("_Command", found)


Loaded = list[tuple[SinkOption, str, Make]]
"""Sinks that are asked for, where they go, and what makes them."""


def load_sinks(given: Mapping[str, Any]) -> Loaded:
    """Import what options ask for. Raises `UsageError` where something of it is not installed."""
    found: Loaded = []
    for sink in SINKS:
        path = given[sink.name]
        if path is None:
            continue
        if sink.needs and find_spec(sink.needs) is None:
            raise UsageError(f"--{sink.name} needs {sink.needs}, which is not installed: pip install 'pcapflow[{sink.name}]'")
        found.append((sink, path, sink.load()))
    return found


def open_sinks(loaded: Loaded, limits: Limits, stack: ExitStack, given: Mapping[str, Any]) -> list[Sink]:
    """Open what they write to; the files appear when the stack is left without an error."""
    found = []
    for sink, path, make in loaded:
        out: Any = stack.enter_context(sink.opens(path, given))
        found.append(make(out, limits))
    return found


def refuse_clashes(captures: Sequence[str], report: str | None, given: Mapping[str, Any]) -> None:
    """Two outputs in one place, or one in the place of what is to be read. report: where that goes, None for standard output."""
    files = {f"--{sink.name}": given[sink.name] for sink in SINKS if sink.is_file and not sink.is_folder}
    refuse_one_place_twice({"the report": report or "-", **files})
    for sink in SINKS:
        if sink.is_folder:
            refuse_place_of_tables({"the report": report or "-", **files}, given[sink.name])
            refuse_overwriting_tables(captures, given[sink.name])
    refuse_overwriting(captures, {"-o": report or "-", **files})


def refuse_one_place_twice(outputs: Mapping[str, str | None]) -> None:
    """Two outputs in one place would be neither. outputs: by the option that names each; `-` is standard output."""
    taken: dict[Place, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        other = taken.setdefault(place(path), option)
        if other != option:
            way_out = f"; give {option} a file, or write the report to one (-o FILE)" if (other, path) == ("the report", "-") else ""
            raise UsageError(f"{option} {path}: {other} goes there already{way_out}")


def refuse_place_of_tables(outputs: Mapping[str, str | None], folder: str | None) -> None:
    """A file that a table would take the place of, by its name or through a link; and two tables in one place."""
    if folder is None:
        return
    taken = {place(path): f"{option} {path}" for option, path in outputs.items() if path is not None}
    for option, path in outputs.items():
        target = None if path is None else place_of(path)
        if target is not None and is_table(target.name) and place(str(target.parent)) == place(folder):
            raise UsageError(f"{option} {path}: a table of --parquet may go there")
    try:
        links = sorted(entry.path for entry in os.scandir(folder) if is_table(entry.name))
    except OSError:
        return
    for link in links:
        other = taken.setdefault(place(link), link)
        if other != link:
            raise UsageError(f"{other}: a table of --parquet would go there, {link}")


Place = tuple[str, int, int]
"""A path, or nothing and a file's device and number."""


def place(path: str) -> Place:
    """Where bytes that are written to a path go: of a file that is there, by whatever name, which it is; `-` is standard output."""
    status = status_of(path)
    if status is not None and stat.S_ISREG(status.st_mode):
        return "", status.st_dev, status.st_ino
    number = 1 if path == "-" else descriptor(path)
    if number is not None:
        return f"descriptor {number}", 0, 0
    try:
        return os.path.realpath(path), 0, 0
    except OSError:
        return path, 0, 0  # in a working folder that is gone
