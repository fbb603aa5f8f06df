"""A run as tasks: each reads the same captures, takes its own connections, and gives a value.

Contract: `shards` says what is to be done, `analyze_shard` does one part of it, anywhere where the captures can be read. Both are plain functions; what they take and give can be pickled. Raises `PcapflowError`.
Invariant: a task is pure: done again it gives the same, and `merging.merge` makes of all of them the report that one process would have made.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcapflow import __version__, pipeline
from pcapflow.budget import Ledger
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.trace import Trace
from pcapflow.cluster.kept import Keeper, Kept
from pcapflow.decode.shares import BUCKETS
from pcapflow.errors import UsageError, WorkerError
from pcapflow.findings.listening import Who
from pcapflow.limits import Limits
from pcapflow.options import Options
from pcapflow.process_memory import FIXED_BYTES
from pcapflow.shard import Part, Partial
from pcapflow.sizes import typed_size
from pcapflow.workers.division import sampled
from pcapflow.workers.job import Job
from pcapflow.zstd import zstd_compressed, zstd_decompressed

RESULT_BYTES = 64 << 20
"""Of the records of all shards together, compressed, that results hold: whoever merges them has them in memory. More goes to a place that all reach."""
_KILLED_AT = 0.95
"""Of its limit, from which on Dask kills a worker."""
MOST = 1024
"""Shards of one run: each decodes all packets, and whoever merges reads a piece of each at one time."""


class Task(NamedTuple):
    """One shard of a run. A value, for `analyze_shard`."""

    job: Job
    costs: bytes
    """int64, compressed: see `Part.sampled`, which the job's has not; empty for none."""
    run: str
    """The run's name, which no other has."""
    spill: str
    """Where records go that are too many for the result; empty for nowhere."""

    @property
    def url(self) -> str:
        """Where its records go then; empty for nowhere."""
        part = self.job.part
        return f"{self.spill}/{self.run}-{part.number + 1}-of-{part.of}.entries" if self.spill else ""

    @property
    def name(self) -> str:
        """For messages."""
        return f"shard {self.job.part.number + 1} of {self.job.part.of}"


class ShardResult(NamedTuple):
    """What a shard found. A value, for `merge`."""

    run: str
    part: tuple[int, int]
    """Which shard, from 0, of how many."""
    limits: Limits
    partial: Partial
    kept: Kept
    seconds: float
    version: str
    """Of pcapflow."""


def plan(
    paths: Sequence[str], n: int, limits: Limits, options: Options, who: Who, separator: bytes, *, takes: bool, spill: str = ""
) -> list[Task]:
    """The tasks of a run. n: shards; takes: whether somebody takes entries; separator: what stands between them. Raises `PcapflowError`: for captures too that cannot be read from here."""
    if not 1 <= n <= MOST:
        raise UsageError(f"{n} shards: give 1 to {MOST}")
    if not paths:
        raise UsageError("no captures were given")
    pipeline.check(options)
    ledger = Ledger(limits)
    with Trace(paths, limits, ledger, Interrupt()) as trace:
        size = trace.size
        names = [info.path for info in trace.infos]
    if size is None:
        raise UsageError(f"{next(iter(paths))}: can be read once: shards read it each by itself")
    costs = found.costs if n > 1 and (found := sampled(names, limits, size)) is not None else None
    run = uuid.uuid4().hex
    packed = zstd_compressed(costs.tobytes()) if costs is not None else b""
    jobs = [Job(list(paths), limits, limits, options, Part(i, n), who, takes, separator, 0) for i in range(n)]
    return [Task(job, packed, run, spill.rstrip("/")) for job in jobs]


def analyze_shard(task: Task) -> ShardResult:
    """Do one. Raises `PcapflowError`: a capture that cannot be read; records that have no place; less memory here than the limits need."""
    began = time.perf_counter()
    job = task.job
    if task.costs:
        job = job._replace(part=job.part._replace(sampled=costs_in(task)))
    _look_at_memory(job.limits.memory_limit)
    number, n = job.part.number, job.part.of
    keeper = Keeper(job.separator, RESULT_BYTES // n, task.url)
    try:
        partial = pipeline.work(job, keeper)
        kept = keeper.kept()
    finally:
        keeper.close()
    return ShardResult(task.run, (number, n), job.whole, partial, kept, time.perf_counter() - began, __version__)


def costs_in(task: Task) -> npt.NDArray[np.int64]:
    """int64 (BUCKETS,): see `Part.sampled`."""
    return np.frombuffer(zstd_decompressed(task.costs, BUCKETS * np.dtype(np.int64).itemsize), dtype=np.int64)


def _look_at_memory(memory_limit: int) -> None:
    """A worker of Dask is killed that takes more than it may: our own limit is to be reached before."""
    if "distributed" not in sys.modules:
        return
    from distributed import get_worker  # noqa: PLC0415 - there already

    try:
        worker = get_worker()
        has, threads = worker.memory_manager.memory_limit, worker.state.nthreads
    except (ValueError, AttributeError):  # not in a task of Dask's
        return
    needed = threads * (memory_limit + FIXED_BYTES)
    if has and has * _KILLED_AT < needed:
        at_once = f", of which it does {threads} at one time" if threads > 1 else ""
        raise WorkerError(
            f"its worker may take {typed_size(has)}, and a shard{at_once} takes up to {typed_size(memory_limit + FIXED_BYTES)}: give workers more (dask worker --memory-limit), or a smaller --memory-limit"
        )
