"""How a run is divided: into how many parts, and what each has of its limits.

Contract: `divide` decides when the captures are open and the sinks have what they need, and gives a `Division`. Invariant: what all parts may take together, and what waits between them, is
within the run's memory limit; one worker has the limits of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcapflow.budget import Ledger
from pcapflow.capture.block import PacketBlock, gather
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.trace import Trace
from pcapflow.decode import columns
from pcapflow.decode.segments import SYN, DecodeCounts, SegmentColumns
from pcapflow.decode.shares import BUCKETS, BYTE_COST, SYN_COST, buckets_of, costs_of
from pcapflow.errors import PcapflowError
from pcapflow.findings.listening import Who
from pcapflow.limits import Limits
from pcapflow.memory_scale import LEAST_SHARE, common_of, shares_of
from pcapflow.options import Options
from pcapflow.process_memory import FIXED_BYTES, address_limit, container_limit
from pcapflow.processors import processors
from pcapflow.shard import WHOLE, Part
from pcapflow.workers.job import Job

QUEUE_BYTES = 2 << 20
"""Of each worker: a few blocks' records."""
_COMPRESSED = 4
"""Times that a capture which is compressed is larger, about."""
_SMALL = 8 << 20
"""Captures of fewer bytes for each worker are not looked at: starting one takes a quarter of a second."""
_WORTH = 500_000_000
"""Nanoseconds of work for each worker, from which on starting it, and decoding the packets once more, takes less than it saves."""
_SYN_COUNTED = 4_000
"""Nanoseconds that another process saves of the beginning of a connection, which is counted and nothing else (`protocols.known_exchanges`)."""
_SAMPLE = 8 << 20
"""Bytes of the captures that are looked at before, to tell how much each connection is of the whole."""


_FIRST = np.dtype("<u4")
_ANSWER = np.frombuffer(b"HTTP", dtype=_FIRST)[0]
_JSON = np.frombuffer(b'{"[{["', dtype="<u2")
"""What segments begin with whose bytes are parsed, some of them."""
_HEAD_BYTES, _HEADS = 512, 64


class Division:
    """One run's."""

    def __init__(self, parts: list[Part], limits: Limits, whole: Limits, ledger: Ledger, queue: int = 0, fed: int = 0) -> None:
        """limits: of each part; whole: of the run; queue: bytes of entries of each part that may wait for others; fed: bytes of the capture that may wait for the slowest, 0 where each reads it
        itself. Both are reserved.
        """
        self.workers = len(parts)
        self.part = parts[0]
        self.limits = limits
        self._whole = whole
        self._others = parts[1:]
        self._ledger = ledger
        self._queue, self._fed = queue, fed

    def jobs(self, paths: Sequence[str], options: Options, who: Who, separator: bytes | None, *, takes: bool) -> list[Job]:
        """Of all parts but the first. takes: whether somebody takes entries; separator: what stands between them."""
        between = separator or b"\n"
        return [
            Job(
                list(paths),
                self.limits,
                self._whole,
                options,
                part,
                who,
                takes,
                between,
                self._queue,
                fed_bytes=self._fed,
            )
            for part in self._others
        ]

    def release(self) -> None:
        """Nothing waits any more."""
        self._ledger.output.release(self.workers * self._queue)
        self._ledger.blocks.release(self._fed)


def divide(limits: Limits, options: Options, trace: Trace, ledger: Ledger, *, alone: bool, takes: bool) -> Division:
    """For captures that are open; ledger: of the run, which is the first part's from here on. alone: the run cannot be divided; takes: somebody takes entries."""
    most = 1 if alone else _most(limits, options, trace, ledger)
    readable = trace.size is not None and not trace.has_stdin
    found = sampled([info.path for info in trace.infos], limits, trace.size or 0, counts_alone=not takes) if most > 1 and readable else None
    workers = options.workers or 1 if found is None else options.workers or max(1, found.cost // _WORTH)
    workers = min(workers, most)
    queue = min(QUEUE_BYTES, limits.memory_limit // (8 * workers)) if takes else 0
    fed = 2 * (limits.block_size + limits.record_max_bytes) if trace.is_read_once else 0
    if workers == 1 or not ledger.output.has_room(workers * queue + fed) or not ledger.blocks.reserve(fed):
        return Division([WHOLE], limits, limits, ledger)
    ledger.output.reserve(workers * queue)
    bounds = replace(limits, **shares_of(limits.as_dict(), limits.memory_limit - ledger.used, workers))
    costs = found.costs if found is not None else None
    parts = [Part(number, workers, costs, takes, trace.is_read_once) for number in range(workers)]
    ledger.leave(bounds, *common_of(bounds.memory_limit))
    return Division(parts, bounds, limits, ledger, queue, fed)


def _most(limits: Limits, options: Options, trace: Trace, ledger: Ledger) -> int:
    """How many processes may share the run at the most. One where they would have to share what can be read once, or what fails on purpose."""
    fails = options.simulate or options.process_limit is not None or address_limit() is not None
    size = trace.size
    # of several, each process would undo the compression, with memory of its share alone
    fails = fails or (len(trace.infos) > 1 and (trace.is_compressed or trace.has_stdin))
    unknown = size is None or trace.has_stdin
    if options.workers == 1 or fails or options.looks_for is not None or (unknown and not (options.workers and trace.is_read_once)):
        return 1
    larger = _COMPRESSED if trace.is_read_once else 1
    wanted = options.workers or min(processors(), (size or 0) * larger // _SMALL, _fitting(limits, container_limit()))
    return max(1, min(wanted, (limits.memory_limit - ledger.used) // LEAST_SHARE))


def _fitting(limits: Limits, container: int | None) -> int:
    """How many processes the memory of a control group holds, each with what Python and the libraries take."""
    return 1 << 20 if container is None else 1 + max(0, container - limits.memory_limit - FIXED_BYTES) // FIXED_BYTES


class _Sample(NamedTuple):
    """What a run will cost, if the captures go on as they begin."""

    costs: npt.NDArray[np.int64]
    """int64 (BUCKETS,), of the connections of each."""
    cost: int
    """Of all together, in nanoseconds, about; bytes that nobody parses cost nothing."""


def sampled(paths: Sequence[str], limits: Limits, size: int, *, counts_alone: bool = False) -> _Sample | None:
    """The beginning of captures of so many bytes; None where nothing can be read. counts_alone: nobody takes entries."""
    costs = np.zeros(BUCKETS, dtype=np.int64)
    payload = seen = syns = 0
    parsed = False
    try:
        with Trace(paths[:1], limits, Ledger(limits), Interrupt()) as trace:
            for block in trace.blocks():
                segments = columns.decode(block, DecodeCounts())
                costs += np.bincount(buckets_of(segments), weights=costs_of(segments), minlength=BUCKETS).astype(np.int64)
                payload += int(segments.payload_len.sum())
                syns += int(np.count_nonzero(segments.flags & SYN))
                parsed = parsed or _holds_json(block, segments)
                seen = trace.position
                if seen >= _SAMPLE:
                    break
    except PcapflowError:
        return None
    if not seen:
        return None
    times = max(1, size // seen)
    less = (0 if parsed else BYTE_COST * payload) + ((SYN_COST - _SYN_COUNTED) * syns if counts_alone else 0)
    return _Sample(costs * times, max(0, int(costs.sum()) - less) * times)


def _holds_json(block: PacketBlock, segments: SegmentColumns) -> bool:
    """Whether some segment begins as JSON, or as the head of an answer that says that it holds some."""
    at = segments.payload_at[segments.payload_len >= _FIRST.itemsize]
    firsts = gather(block.buffer, at, _FIRST)
    heads = at[firsts == _ANSWER][:_HEADS].tolist()
    return bool(np.isin(firsts & 0xFFFF, _JSON).any()) or any(b"json" in block.buffer[i : i + _HEAD_BYTES].lower() for i in heads)
