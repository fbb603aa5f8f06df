"""The public Python interface: the same run as the command line's.

Contract: `analyze` and `iter_records` take one path or several (one trace, in that order), raise `CaptureError` for an input
that is no capture and `AccountError` for a defect of ours, and nothing for what the wire said.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

import msgspec

from pcapflow import pipeline
from pcapflow import records as record_types
from pcapflow.cluster.merging import gather
from pcapflow.cluster.tasks import ShardResult, Task, analyze_shard, plan
from pcapflow.entries import RECORD_TYPES, Kinds, is_record_type
from pcapflow.errors import UsageError
from pcapflow.findings.listening import Who
from pcapflow.limits import Limits
from pcapflow.report.documents import NdjsonWriter
from pcapflow.summary import Summary

__all__ = ["analyze", "analyze_shard", "iter_records", "merge", "shards"]

Path = str | os.PathLike[str]

_QUEUE_RECORDS = 1024


def _paths(path: Path | Sequence[Path]) -> list[str]:
    return [os.fspath(path)] if isinstance(path, str | os.PathLike) else [os.fspath(p) for p in path]


def _kinds(kinds: Iterable[str] | None) -> Kinds:
    """Raises `UsageError` for one that there is not."""
    if kinds is None:
        return None
    found = frozenset((kinds,) if isinstance(kinds, str) else kinds)
    for kind in sorted(found):
        if not is_record_type(kind):
            raise UsageError(f"kinds: {kind!r} is no type of record: {', '.join(RECORD_TYPES)} or plugin.NAME")
    return found


def analyze(path: Path | Sequence[Path], *, limits: Limits | None = None) -> Summary:
    """The summary of a capture, or of several that are one trace."""
    result = pipeline.run(_paths(path), limits)
    error = result.account_error()
    if error is not None:
        raise error
    return result.summary


def iter_records(
    path: Path | Sequence[Path], *, limits: Limits | None = None, kinds: Iterable[str] | None = None
) -> Iterator[record_types.AnyRecord]:
    """Every record as it completes, the summary last. kinds: types of records; `json` then gives each body of JSON as a record of its own, which stands in its exchange else. A reader that stops early stops the run."""
    wanted = _kinds(kinds)
    lines: queue.Queue[bytes | BaseException | None] = queue.Queue(_QUEUE_RECORDS)
    stopped = threading.Event()

    def put(item: bytes | BaseException | None) -> None:
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
            result = pipeline.run(_paths(path), limits, write=put_all, kinds=wanted)
            put(msgspec.json.encode(result.summary))
            put(result.account_error())
        except _Stopped:
            pass
        except BaseException as e:  # noqa: BLE001 - whatever it is, the reader's thread raises it
            put(e)

    worker = threading.Thread(target=work, name="pcapflow", daemon=True)
    worker.start()
    try:
        while True:
            item = lines.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield record_types.decode(item)
    finally:
        stopped.set()
        worker.join()


def shards(
    path: Path | Sequence[Path],
    n: int,
    *,
    limits: Limits | None = None,
    kinds: Iterable[str] | None = None,
    records: bool = True,
    spill: str = "",
) -> list[Task]:
    """The run of `analyze` and `iter_records` as n tasks for `analyze_shard`: values that can be pickled. Each reads all captures, and takes its own connections. kinds: types of records; records: whether there are
    any; spill: a URL, or a path that all machines share, for records that are too many for results (64 MiB divided by n, each at the most, compressed); what is there stays, so that results can be merged again.
    """
    who = Who((_kinds(kinds),) if records else (), ())
    return plan(_paths(path), n, limits or Limits(), pipeline.Options(), who, NdjsonWriter.separator, takes=records, spill=spill)


def merge(results: Iterable[ShardResult], *, ndjson: IO[bytes] | None = None) -> Summary:
    """The summary of a run, of what `analyze_shard` gave for each of its tasks, in any order. ndjson: takes the records, one a line and in order, and the summary last. Raises `WorkerError` for results that are not all
    those of one run.
    """
    writer = NdjsonWriter(ndjson.write) if ndjson is not None else None
    result = gather(list(results), write=writer.records if writer is not None else None)
    error = result.account_error()
    if error is not None:
        raise error
    if writer is not None:
        writer.records([msgspec.json.encode(result.summary)])
    return result.summary


class _Stopped(Exception):
    """The reader of the records went away."""
