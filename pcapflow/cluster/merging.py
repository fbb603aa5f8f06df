"""One report of what all shards of a run found.

Contract: `gather` takes their results, in any order, and gives what `pipeline.run` would have given, records to a writer and sinks, in order. Raises `WorkerError` for results that are not those of one
run. Invariant: of the records of each shard one piece is in memory.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pcapflow import pipeline
from pcapflow.cluster.kept import frames
from pcapflow.cluster.tasks import ShardResult
from pcapflow.errors import WorkerError
from pcapflow.findings.ordering import Take
from pcapflow.report.sinks.base import Sink, left_out
from pcapflow.shard import merged
from pcapflow.workers.merge import BEYOND, Merge, Ready

_STEP = 256 << 10


def gather(
    found: Sequence[ShardResult],
    *,
    write: Callable[[list[Any]], object] | None = None,
    take: Take | None = None,
    sinks: Sequence[Sink] = (),
) -> pipeline.Result:
    """write: takes lines, in pieces of one or several with the run's separator between; take: takes entries instead, for sinks, which are given to be finished. The results stay as they are."""
    began = time.perf_counter()
    found = _complete(found)
    whole = merged([copy.deepcopy(one.partial) for one in found])
    for ready in _in_order(found) if write is not None or take is not None else ():
        if write is not None:
            for lines in ready.pieces(_STEP):
                write(lines)
        elif take is not None:
            for entries in ready.entries(_STEP):
                take(entries)
    for sink in sinks:
        sink.finish()
    seconds = max(one.seconds for one in found) + time.perf_counter() - began
    result = pipeline.result_of(whole, found[0].limits, seconds, interrupted=False)
    result.summary.run.workers = len(found)
    result.summary.not_written = left_out(sinks)
    for sink in sinks:
        sink.summary(result.summary)
    return result


def _complete(found: Sequence[ShardResult]) -> list[ShardResult]:
    """All shards of one run, in order, which read the same."""
    if not found:
        raise WorkerError("no results of shards were given")
    found = sorted(found, key=lambda one: one.part)
    first = found[0]
    n = first.part[1]
    if any(one.run != first.run or one.part[1] != n for one in found):
        raise WorkerError("results of several runs were given together; shards of one run are those that one call of `shards` gave")
    missing = sorted(set(range(n)) - {one.part[0] for one in found})
    if missing or len(found) != n:
        which = f"shard {missing[0] + 1} of {n} is missing" if missing else f"{len(found)} results were given of {n} shards"
        raise WorkerError(f"the results are not whole: {which}")
    for one in found[1:]:
        name = f"shard {one.part[0] + 1} of {n}"
        if one.version != first.version:
            raise WorkerError(f"{name} was analyzed by pcapflow {one.version}, shard 1 by {first.version}: install the same everywhere")
        _same_captures(name, one, first)
    return found


def _same_captures(name: str, one: ShardResult, first: ShardResult) -> None:
    theirs, ours = one.partial.read, first.partial.read
    for info, version, other, before in zip(theirs.infos, theirs.versions, ours.infos, ours.versions, strict=False):
        if info.path != other.path or version != before or (info.packets, info.bytes) != (other.packets, other.bytes):
            raise WorkerError(
                f"{info.path}: changed between two shards: shard 1 read {before or other.packets}, {name} read {version or info.packets}", 3
            )
    if len(theirs.infos) != len(ours.infos):
        raise WorkerError(f"shard 1 read {len(ours.infos)} captures, {name} {len(theirs.infos)}: captures came or went meanwhile", 3)


def _in_order(found: Sequence[ShardResult]) -> Iterator[Ready]:
    """The entries of all of them."""
    merge = Merge(len(found))
    streams = {number: frames(one.kept) for number, one in enumerate(found)}
    while streams:
        for number, stream in list(streams.items()):
            if merge.held[number]:
                continue
            frame = next(stream, None)
            if frame is None:
                del streams[number]
                merge.reached(number, (BEYOND, BEYOND))
            else:
                merge.put(number, frame)
        yield merge.ready()
