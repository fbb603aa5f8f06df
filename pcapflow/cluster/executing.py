"""A run on an executor: anything with the interface of `concurrent.futures`.

Contract: `analyze_on` gives what `pipeline.run` gives, and raises what that does, and `WorkerError` for a task that failed, which it names. `dask_executor` is that of a scheduler of Dask's. Invariant: no
scheduler, queue or retry is here; a result leaves the executor as soon as it is done; nothing that was put down elsewhere is left.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, as_completed
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar, cast

from pcapflow import pipeline
from pcapflow.budget import Ledger
from pcapflow.cluster.kept import remove
from pcapflow.cluster.merging import gather
from pcapflow.cluster.tasks import ShardResult, Task, analyze_shard, plan
from pcapflow.entries import Kinds
from pcapflow.errors import PcapflowError, UsageError, WorkerError
from pcapflow.limits import Limits
from pcapflow.options import Options
from pcapflow.report.sinks.base import Sink, Writer, to_each

_ANSWERS = 10
"""Seconds in which a scheduler does."""
Progress = Callable[[int, int], object]
"""Takes how many tasks are done, and of how many."""
_T = TypeVar("_T")
_R = TypeVar("_R")


def analyze_on(
    executor: Executor,
    paths: Sequence[str],
    shards: int,
    limits: Limits | None = None,
    options: Options | None = None,
    *,
    write: Callable[[list[Any]], object] | None = None,
    kinds: Kinds = None,
    sinks: Sequence[Sink] = (),
    separator: bytes | None = None,
    spill: str = "",
    progress: Progress | None = None,
) -> pipeline.Result:
    """Analyze captures as one trace, in so many tasks. write, kinds, sinks, separator: see `pipeline.run`; sinks that want packets (`Sink.block`) get none. spill: a URL, or a path of all machines, for records that are
    too many for results.
    """
    limits, options = limits or Limits(), options or Options()
    ledger = Ledger(limits)
    for sink in sinks:
        sink.begin(ledger)
    writer = Writer(write, kinds, separator) if write is not None else None
    who = pipeline.wanted(writer, sinks, options)
    take = to_each(writer, sinks)
    alone = writer is not None and pipeline.is_alone(writer, who)
    tasks = plan(paths, shards, limits, options, who, separator or b"\n", takes=take is not None, spill=spill)
    try:
        found = _shards_done(executor, tasks, progress)
        return gather(found, write=write if alone else None, take=None if alone else take, sinks=sinks)
    finally:
        for task in tasks if spill else ():
            remove(task.url)


def _shards_done(executor: Executor, tasks: list[Task], progress: Progress | None) -> list[ShardResult]:
    found: list[ShardResult] = []
    for _, result in done(executor, analyze_shard, tasks, lambda task: task.name):
        found.append(result)
        if progress is not None:
            progress(len(found), len(tasks))
    return found


def done(
    executor: Executor,
    do: Callable[[_T], _R],
    tasks: Sequence[_T],
    name_of: Callable[[_T], str],
    failed: Callable[[_T, WorkerError], _R] | None = None,
) -> Iterator[tuple[int, _R]]:
    """What came of each task, as it is done, with its place. The first that fails ends it: the others are cancelled; unless somebody says what comes of one that failed."""
    futures: dict[Future[_R], int] = {}
    try:
        for place, task in enumerate(tasks):
            futures[executor.submit(do, task)] = place
        # no list beside that one holds a future, and with it a result
        for future in as_completed(list(futures)):
            place = futures.pop(future)
            try:
                result = future.result()
            except (Exception, CancelledError) as e:  # noqa: BLE001 - said, with the task's name
                problem = _failed(name_of(tasks[place]), e)
                if failed is None:
                    raise problem from None
                yield place, failed(tasks[place], problem)
                continue
            del future
            yield place, result
            del result
    finally:
        for future in futures:
            future.cancel()


def _failed(name: str, problem: BaseException) -> WorkerError:
    if isinstance(problem, PcapflowError):
        return WorkerError(f"{name}: {problem}", problem.exit_status)
    kind = type(problem).__name__
    if kind == "KilledWorker":
        return WorkerError(
            f"{name}: the worker was killed at it, and so was each that tried it again, most likely because memory ran short"
        )
    if kind in ("BrokenProcessPool", "CancelledError", "FutureCancelledError"):
        return WorkerError(f"{name}: its process is gone ({kind})")
    said = str(problem).strip().splitlines()
    return WorkerError(f"{name}: {kind}{f': {said[0]}' if said else ''}")


class Cluster(NamedTuple):
    """A scheduler's workers."""

    executor: Executor
    threads: int
    """How many tasks they do at one time."""


@contextmanager
def dask_executor(address: str) -> Iterator[Cluster]:
    """Of a scheduler of Dask's, by its address, such as tcp://host:8786. Raises `UsageError` where Dask is not installed, `WorkerError` where nobody answers, or has no workers."""
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError("--cluster needs distributed, which is not installed: pip install 'pcapflow[dask]'") from None
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # what fails is said by whoever asked for it
    try:
        try:
            client: Any = cast("Any", Client)(address, timeout=_ANSWERS, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as e:
            said = str(e).strip().splitlines()
            raise WorkerError(f"--cluster {address}: no scheduler answers there: {said[0] if said else type(e).__name__}") from None
        with client:
            threads = sum(client.nthreads().values())
            if not threads:
                raise WorkerError(f"--cluster {address}: the scheduler has no workers: start some (dask worker {address} --nthreads 1)")
            with client.get_executor(pure=False) as executor:
                yield Cluster(executor, threads)
    finally:
        logger.setLevel(level)
