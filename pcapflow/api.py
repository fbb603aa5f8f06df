"""The public Python interface: the same run as the command line's.

Contract: every function takes one path or several (one trace, in that order; `-` is standard input, a directory stands for the captures in it), and the command line's options as keywords (`keywords.RunOptions`). It raises
`CaptureError` for an input that is no capture, `UsageError` for an option that is not of its form, `OutputError` for what cannot be written and `AccountError` for a defect of ours, and nothing for what the wire said. What the command
line says as a warning is a `CaptureWarning`. A run may go on in any thread, and several at one time, but for `process_limit`, which is the process's.
"""

from __future__ import annotations

import os
import queue
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any, TypeVar, Unpack

import msgspec

from pcapflow import pipeline
from pcapflow import records as record_types
from pcapflow.cli.sinks import load_sinks, open_sinks, refuse_clashes
from pcapflow.cluster.merging import gather
from pcapflow.cluster.tasks import ShardResult, Task, analyze_shard, plan
from pcapflow.entries import RECORD_TYPES, Kinds, is_record_type
from pcapflow.errors import CaptureWarning, UsageError
from pcapflow.findings.listening import Who
from pcapflow.keywords import OutputOptions, Path, RunOptions, settings_of
from pcapflow.limits import Limits
from pcapflow.report.documents import NdjsonWriter
from pcapflow.rows import ConnectionRow, ExchangeRow, connection_row, exchange_row
from pcapflow.summary import Summary

__all__ = ["analyze", "analyze_shard", "connections", "exchanges", "iter_records", "merge", "shards"]

_QUEUE_RECORDS = 1024
_Row = TypeVar("_Row")


class Report(Summary, tag="summary", tag_field="record"):
    """A summary that shows itself in a notebook as at a terminal."""

    def _repr_html_(self) -> str:
        from pcapflow.report.terminal import as_html  # noqa: PLC0415 - rich, which few need

        return as_html(self)


def _report(result: pipeline.Result) -> Report:
    """Of a run that is over. Raises what it ends with, and says what it warns of."""
    for warning in result.warnings:
        warnings.warn(warning, CaptureWarning, stacklevel=3)
    error = result.account_error()
    if error is not None:
        raise error
    if result.asked_to_stop:
        raise KeyboardInterrupt
    if result.out_of_memory:
        raise MemoryError("the process has no memory left")
    return Report(**{name: getattr(result.summary, name) for name in Summary.__struct_fields__})


def _paths(path: Path | Sequence[Path]) -> list[str]:
    return [os.fspath(path)] if isinstance(path, str | os.PathLike) else [os.fspath(p) for p in path]


def _kinds(kinds: Iterable[str] | None) -> Kinds:
    """Raises `UsageError` for one that there is not."""
    if kinds is None:
        return None
    found = frozenset((kinds,) if isinstance(kinds, str) else kinds)
    for kind in sorted(found):
        if not is_record_type(kind):
            raise UsageError(f"kinds: {kind!r} is not a record type: {', '.join(RECORD_TYPES)} or plugin.NAME")
    return found


def analyze(path: Path | Sequence[Path], **options: Unpack[OutputOptions]) -> Report:
    """The summary of a capture, or of several that are one trace; and what the options name beside it: a page, a HAR file, tables."""
    limits, run, given = settings_of("analyze", options, OutputOptions.__annotations__)
    paths = _paths(path)
    refuse_clashes(paths, None, given)
    loaded = load_sinks(given)
    with ExitStack() as stack:
        result = pipeline.run(paths, limits, run, sinks=open_sinks(loaded, limits, stack, given))
    return _report(result)


def exchanges(path: Path | Sequence[Path], **options: Unpack[RunOptions]) -> list[ExchangeRow]:
    """Every HTTP exchange as a flat row, for a data frame. All are in memory at the end: `iter_records` gives one at a time."""
    return _rows("exchanges", path, "http", exchange_row, options)


def connections(path: Path | Sequence[Path], **options: Unpack[RunOptions]) -> list[ConnectionRow]:
    """Every TCP connection as a flat row, for a data frame."""
    return _rows("connections", path, "connection", connection_row, options)


def _rows(function: str, path: Path | Sequence[Path], kind: str, row: Callable[[Any], _Row], given: RunOptions) -> list[_Row]:
    limits, options, _ = settings_of(function, given, RunOptions.__annotations__)
    if options.where is not None and kind != "http":
        raise UsageError("where: selects exchanges, not connections")
    found: list[_Row] = []

    def write(lines: list[Any]) -> None:
        found.extend([row(record_types.decode(line)) for line in lines])

    result = pipeline.run(_paths(path), limits, options, write=write, kinds=frozenset((kind,)))
    _report(result)
    return found


def iter_records(
    path: Path | Sequence[Path], *, kinds: Iterable[str] | None = None, **options: Unpack[RunOptions]
) -> Iterator[record_types.AnyRecord]:
    """Every record as it completes, the summary last. kinds: types of records; `json` then gives each body of JSON as a record of its own, which stands in its exchange else. A reader that stops early stops the run."""
    limits, run, _ = settings_of("iter_records", options, RunOptions.__annotations__)
    wanted = _kinds(kinds)
    if run.where is not None:
        if wanted not in (None, frozenset(("http",))):
            raise UsageError("where: kinds accepts only http with it")
        wanted = frozenset(("http",))
    return _records(_paths(path), limits, run, wanted)


def _records(paths: list[str], limits: Limits, options: pipeline.Options, wanted: Kinds) -> Iterator[record_types.AnyRecord]:
    lines: queue.Queue[bytes | pipeline.Result | BaseException] = queue.Queue(_QUEUE_RECORDS)
    stopped = threading.Event()

    def put(item: bytes | pipeline.Result | BaseException) -> None:
        while not stopped.is_set():
            try:
                lines.put(item, timeout=0.1)
            except queue.Full:
                continue
            return
        raise _Stopped

    def put_all(items: list[bytes]) -> None:
        for item in items:
            put(item)

    def work() -> None:
        try:
            put(pipeline.run(paths, limits, options, write=put_all, kinds=wanted))
        except _Stopped:
            pass
        except BaseException as e:  # noqa: BLE001 - whatever it is, the reader's thread raises it
            put(e)

    worker = threading.Thread(target=work, name="pcapflow", daemon=True)
    worker.start()
    try:
        while True:
            item = lines.get()
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, pipeline.Result):
                yield _report(item)
                return
            yield record_types.decode(item)
    finally:
        stopped.set()
        worker.join()


def shards(
    path: Path | Sequence[Path],
    n: int,
    *,
    kinds: Iterable[str] | None = None,
    records: bool = True,
    spill: str = "",
    **options: Unpack[RunOptions],
) -> list[Task]:
    """The run of `analyze` and `iter_records` as n tasks for `analyze_shard`: values that can be pickled. Each reads all captures, and takes its own connections. kinds: types of records; records: whether there are
    any; spill: a URL, or a path that all machines share, for records that are too many for results (64 MiB divided by n, each at the most, compressed); what is there stays, so that results can be merged again.
    """
    limits, run, _ = settings_of("shards", options, RunOptions.__annotations__)
    who = Who((_kinds(kinds),) if records else (), (), run.where)
    return plan(_paths(path), n, limits, run, who, NdjsonWriter.separator, takes=records, spill=spill)


def merge(results: Iterable[ShardResult], *, ndjson: IO[bytes] | None = None) -> Report:
    """The summary of a run, of what `analyze_shard` gave for each of its tasks, in any order. ndjson: takes the records, one a line and in order, and the summary last. Raises `WorkerError` for results that are not all
    those of one run.
    """
    writer = NdjsonWriter(ndjson.write) if ndjson is not None else None
    result = gather(list(results), write=writer.records if writer is not None else None)
    report = _report(result)
    if writer is not None:
        writer.records([msgspec.json.encode(result.summary)])
    return report


class _Stopped(Exception):
    """The reader of the records went away."""
