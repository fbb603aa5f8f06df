"""The public Python interface: the same run as the command line's.

Contract: `analyze` and `iter_records` take one path or several (one trace, in that order), raise `CaptureError` for an input
that is no capture and `AccountError` for a defect of ours, and nothing for what the wire said.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from pcapflow import pipeline, records
from pcapflow.limits import Limits
from pcapflow.summary import Summary

Path = str | os.PathLike[str]

_QUEUE_RECORDS = 1024


def _paths(path: Path | Sequence[Path]) -> list[str]:
    return [os.fspath(path)] if isinstance(path, str | os.PathLike) else [os.fspath(p) for p in path]


def analyze(path: Path | Sequence[Path], *, limits: Limits | None = None) -> Summary:
    """The summary of a capture, or of several that are one trace."""
    result = pipeline.run(_paths(path), limits)
    error = result.account_error()
    if error is not None:
        raise error
    return result.summary


def iter_records(
    path: Path | Sequence[Path], *, limits: Limits | None = None, kinds: Iterable[str] | None = None
) -> Iterator[records.AnyRecord]:
    """Every record as it completes, the summary last. kinds: types of records; `json` then gives each body of JSON as a record of its own, which stands in its exchange else. A reader that stops early stops the run."""
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
            result = pipeline.run(_paths(path), limits, write=put_all, kinds=frozenset(kinds) if kinds is not None else None)
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
            yield records.decode(item)
    finally:
        stopped.set()
        worker.join()


class _Stopped(Exception):
    """The reader of the records went away."""
