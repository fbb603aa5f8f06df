"""One report a capture, each a task of its own.

Contract: `plan` names the tasks, `analyze_one` does one, anywhere where its capture can be read and its report written, and says what came of it: it raises nothing for what a capture is or says. Invariant:
a report is there whole, or not at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, NamedTuple

import msgspec
from msgspec.structs import replace

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.capture.folders import is_set
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.source import STDIN
from pcapflow.capture.trace import captures_in
from pcapflow.cluster.whole_file import folder_at, placed
from pcapflow.entries import Kinds
from pcapflow.errors import DAMAGED, INTERNAL, NOT_A_CAPTURE, OUT_OF_MEMORY, CaptureError, PcapflowError, UsageError, WorkerError
from pcapflow.files import is_url, remove_what_is_left
from pcapflow.limits import Limits
from pcapflow.options import Options
from pcapflow.report.documents import NdjsonWriter
from pcapflow.report.sinks.base import Sink


class Separate(NamedTuple):
    """One capture's."""

    path: str
    limits: Limits
    options: Options
    kinds: Kinds
    ndjson: str
    """Where the report goes; empty for nowhere."""
    tables: str
    """The folder of its Parquet tables; empty for none."""


class Outcome(NamedTuple):
    """What came of it."""

    path: str
    status: int
    said: str = ""
    """What is wrong; empty for nothing."""
    warnings: tuple[str, ...] = ()
    packets: int = 0
    connections: int = 0
    requests: int = 0
    drops: int = 0


def plan(captures: Sequence[str], limits: Limits, options: Options, kinds: Kinds, ndjson: str, tables: str) -> list[Separate]:
    """ndjson, tables: folders, made where there are none, or URLs; of each one of them is given at the least. Raises `PcapflowError`."""
    pipeline.check(options)
    options = replace(options, workers=1)  # several tasks at one time are as many
    tasks: dict[str, Separate] = {}
    for path in _expanded(captures, limits):
        name = (path.partition("?")[0] if is_url(path) else path).rpartition("/")[2]
        if name in tasks:
            raise UsageError(f"{path}: its report would overwrite the report of {tasks[name].path}: both files are named {name}")
        report = f"{ndjson.rstrip('/')}/{name}.ndjson" if ndjson else ""
        tasks[name] = Separate(path, limits, options, kinds, report, f"{tables.rstrip('/')}/{name}" if tables else "")
    for folder in filter(None, (ndjson, tables)):
        folder_at(folder)
    return list(tasks.values())


def _expanded(captures: Sequence[str], limits: Limits) -> Iterator[str]:
    """A folder stands for the captures in it."""
    ledger = Ledger(limits)
    for path in captures:
        if path == STDIN:
            raise UsageError("-: a capture on standard input has no name for a report of its own")
        if not is_set(path):
            yield path
            continue
        found, _ = captures_in(path, limits, ledger, Interrupt())
        if not found:
            raise CaptureError(path, "is a directory without captures")
        yield from found


def analyze_one(task: Separate) -> Outcome:
    """See above."""
    try:
        with ExitStack() as stack:
            write = stack.enter_context(placed(task.ndjson)).write if task.ndjson else None
            result = _analyzed(task, NdjsonWriter(write) if write is not None else None, _sinks(task, stack))
    except PcapflowError as e:
        return Outcome(task.path, e.exit_status, str(e))
    except MemoryError:
        return Outcome(task.path, OUT_OF_MEMORY, f"{task.path}: the process ran out of memory")
    except Exception as e:  # noqa: BLE001 - one capture's defect is not the others'
        return Outcome(task.path, INTERNAL, f"{task.path}: internal error: {type(e).__name__}: {e}; please report it with the capture")
    summary = result.summary
    status = DAMAGED if result.damaged else NOT_A_CAPTURE if result.nothing_decoded else 0
    drops = sum(one.count for one in summary.drops.by_reason.values())
    return Outcome(
        task.path, status, "", tuple(result.warnings), summary.decode.packets, summary.tcp.connections, summary.http.requests, drops
    )


def _sinks(task: Separate, stack: ExitStack) -> list[Sink]:
    if not task.tables:
        return []
    from pcapflow.report.sinks.parquet import ParquetTables  # noqa: PLC0415 - an extra

    made: set[str] = set()

    def create(name: str) -> IO[bytes]:
        folder_at(task.tables)
        made.add(name)
        return stack.enter_context(placed(f"{task.tables}/{name}"))

    stack.push(lambda kind, *_: _remove_later_tables(task.tables, made) if kind is None else None)  # when all have taken their places
    return [ParquetTables(create)]


def _remove_later_tables(folder: str, made: set[str]) -> None:
    """Of an earlier run that had more rows: `http.1.parquet` beside a new `http.parquet`."""
    tables = {name.partition(".")[0] for name in made}
    for path in () if is_url(folder) else Path(folder).glob("*.parquet"):
        if path.name not in made and path.name.partition(".")[0] in tables and path.name.split(".")[1].isdecimal():
            with suppress(OSError):
                path.unlink()


def _analyzed(task: Separate, writer: NdjsonWriter | None, sinks: list[Sink]) -> pipeline.Result:
    result = pipeline.run(
        [task.path],
        task.limits,
        task.options,
        write=writer.records if writer is not None else None,
        kinds=task.kinds,
        sinks=sinks,
        separator=NdjsonWriter.separator,
    )
    if result.out_of_memory:
        raise MemoryError
    if result.asked_to_stop:
        raise KeyboardInterrupt
    error = result.account_error()
    if error is not None:
        raise error
    if writer is not None:
        writer.records([msgspec.json.encode(result.summary)])
    return result


def lost(task: Separate) -> Outcome:
    """Of one whose process was killed."""
    return Outcome(task.path, OUT_OF_MEMORY, f"{task.path}: its process was killed, most likely because memory ran short")


def failed(task: Separate, problem: WorkerError) -> Outcome:
    """Of one that a cluster could not do; problem: which names it."""
    return Outcome(task.path, problem.exit_status, str(problem))


def clean_up_after(task: Separate) -> None:
    """What a killed process had under way."""
    for target in filter(None, (task.ndjson, f"{task.tables}/x" if task.tables else "")):
        remove_what_is_left(Path(target).parent)
    remove_what_is_left(tempfile.gettempdir())
