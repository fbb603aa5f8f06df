"""Several captures as one trace, in the order of time.

Contract: `Trace` takes paths, of which a directory stands for the captures in it, and gives `PacketBlock` values whose packets are numbered
from 1 on. Captures are taken in the order of their first packets; those that overlap in time (two interfaces captured side by side) are merged
packet by packet. It raises `CaptureError` before the first block where an input cannot be read as a capture; in a directory such files
are left out and named in `skipped`.

Invariant: a capture's own packets stay in its own order; of packets with the same time those of the capture that comes first in order
come first. A block is valid until the next one is asked for. At one time only those captures are open that overlap, and the more they are, the
smaller are their blocks. What is kept of each capture is reserved in the `blocks` account.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from operator import attrgetter
from typing import NamedTuple, Self

import numpy as np
from msgspec import structs

from pcapflow.budget import Ledger
from pcapflow.capture.block import PacketBlock
from pcapflow.capture.folders import files_in, is_set, path_cost
from pcapflow.capture.input import Input
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.merge import Merge
from pcapflow.capture.reader import COLUMN_BYTES_PER_PACKET, CaptureInfo
from pcapflow.capture.source import STDIN, Source, Tee
from pcapflow.errors import CaptureError
from pcapflow.files import is_url
from pcapflow.limits import Limits
from pcapflow.memory_scale import memory_for
from pcapflow.sizes import typed_size

_PROBE = 1 << 12
"""Bytes of a block that is only to tell a capture's first time."""
_SIDE_BY_SIDE = 8
"""The blocks of captures that overlap in time are so many times smaller, and smaller yet where more of them do."""
_SMALLEST_BLOCK = 1 << 12
_FEWEST_PACKETS = 16
_PURSE = 32 << 10
"""Kept of several captures for the first block of one that begins when connections have taken all memory; and again when there is room."""
_MERGED_COLUMN_BYTES = 128
"""Of a packet that waits to be merged: the columns of the later stages are the merged block's."""
INPUT_BYTES = 2 << 10
"""What a run keeps of each capture, its part of the report included, a path of common length included (measured in tests)."""
_NEVER = (1 << 63) - 1
_place = attrgetter("place")


def captures_in(folder: str, limits: Limits, ledger: Ledger, interrupt: Interrupt) -> tuple[list[str], list[str]]:
    """The captures in a directory, by name, and its other files."""
    captures: list[str] = []
    others: list[str] = []
    for path in files_in(folder, ledger.blocks.reserve, interrupt):
        probe = Input(path, 0)
        try:
            probe.open(limits, ledger, interrupt)
        except CaptureError as e:
            if e.unreadable:
                raise
            others.append(path)
        else:
            captures.append(path)
        finally:
            probe.close()
    return captures, others


class Reading(NamedTuple):
    """What a run read; it can cross a process."""

    infos: list[CaptureInfo]
    """Of each capture, in the order in which they are taken."""
    skipped: list[str]
    """Files of directories that are no captures."""
    versions: list[str]
    """See `Source.version`."""


class Trace:
    """The captures of one run. A context: on leaving it everything is closed."""

    def __init__(self, paths: Sequence[str], limits: Limits, ledger: Ledger, interrupt: Interrupt, source: Source | None = None) -> None:
        """source: where the bytes of the only capture come from, if not from its path."""
        self.limits = limits
        self._ledger = ledger
        self._interrupt = interrupt
        self.skipped: list[str] = []
        """Files of directories that are no captures."""
        self._taken = 0
        """Bytes of inputs that are done."""
        self._active: dict[int, Input] = {}
        """Those that are open, by their places."""
        self._reserved = 0
        self._purse = 0
        self._begun: bytearray | None = None
        """What was read of the only capture to find out what it is, until it is clear whether others get it too."""
        self._most: list[int] | None = None
        """Packets that are read of each at the most, by their places."""
        self._inputs: list[Input] = []
        try:
            if len(paths) == 1 and not is_set(paths[0]):
                self._inputs.append(Input(paths[0], 0))
                self._begun = bytearray()
                self._inputs[0].open(limits, ledger, interrupt, source, self._begun.extend)
            else:
                self._look_at(paths)
                self._put_in_order()
        except BaseException:
            self.close()
            raise

    def _look_at(self, paths: Sequence[str]) -> None:
        """Look at each capture's first packet."""
        small = replace(self.limits, block_size=min(_PROBE, self.limits.block_size), block_packets=1)
        for place, path in enumerate(paths):
            found = len(self._inputs)
            folder = path != STDIN and is_set(path)
            names = files_in(path, self._keep, self._interrupt) if folder else [path]
            for at, name in enumerate(names):
                self._interrupt.check()
                one = Input(name, len(self._inputs))
                if not self._keep(INPUT_BYTES + (0 if folder else path_cost(name))):
                    left = len(names) - at + len(paths) - place - 1
                    needed = self._ledger.used + left * INPUT_BYTES + sum(map(path_cost, paths[place:]))
                    raise CaptureError(
                        name,
                        f"is one capture too many: {len(self._inputs) + 1} of them take {self._reserved:,} bytes and more, more than the memory limit leaves; "
                        f"they need --memory-limit {typed_size(memory_for(needed))} at least",
                        unreadable=True,
                    )
                try:
                    one.probe(small, self._ledger, self._interrupt)
                except CaptureError as e:
                    one.close()
                    if e.unreadable or not folder:
                        raise
                    self.skipped.append(name)
                    continue
                except BaseException:
                    one.close()
                    raise
                self._inputs.append(one)
            if folder and len(self._inputs) == found:
                raise CaptureError(path, "is a directory without captures")

    def _keep(self, n: int) -> bool:
        if not self._ledger.blocks.reserve(n):
            return False
        self._reserved += n
        return True

    def _put_in_order(self) -> None:
        pipes = [one for one in self._inputs if one.size is None]
        for one in pipes:
            # its first block waits until its turn comes
            one.start(self._side_by_side(len(pipes)) if len(pipes) > 1 else self.limits)
            one.first_ts = int(one.order[0]) if one.block is not None else -1
        for one in self._inputs:
            if one.size is not None:
                one.again()
        self._inputs.sort(key=lambda one: (one.first_ts, one.number))
        for place, one in enumerate(self._inputs):
            one.place = place
            if one.block is not None:
                one.block.file = place

    # --- what a run asks for

    @property
    def is_read_once(self) -> bool:
        """Whether there is one capture, of which no other process can read the bytes, or not without undoing its compression too, or fetching it once more."""
        return len(self._inputs) == 1 and (
            self.size is None or self.has_stdin or self._inputs[0].info.compression is not None or is_url(self._inputs[0].path)
        )

    @property
    def has_stdin(self) -> bool:
        """Whether one is standard input: opened again, or by another process, it goes on where this one is, though it be a file."""
        return any(one.path == STDIN for one in self._inputs)

    @property
    def is_compressed(self) -> bool:
        """Whether some capture is."""
        return any(one.compressed for one in self._inputs)

    def share(self, tee: Tee | None) -> None:
        """Whoever gets the bytes of the only capture too, from the first one on; None for nobody."""
        source = self._inputs[0].source
        if source is not None:
            source.tee = tee
        if tee is not None and self._begun is not None:
            tee(memoryview(self._begun))
        self._begun = None

    @property
    def infos(self) -> list[CaptureInfo]:
        """Of each capture, in the order in which they are taken."""
        return [one.info for one in self._inputs]

    @property
    def reading(self) -> Reading:
        """What was read so far."""
        return Reading(self.infos, self.skipped, [one.version for one in self._inputs])

    @property
    def size(self) -> int | None:
        """Bytes of all inputs; None where one is a pipe."""
        sizes = [one.size for one in self._inputs]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def position(self) -> int:
        """Bytes of the inputs read so far."""
        return self._taken + sum(one.source.taken for one in self._active.values() if one.source is not None)

    def blocks(self, most: int | None = None) -> Iterator[PacketBlock]:
        """All packets of all captures, or the first so many."""
        if self._begun is not None:
            self.share(None)
        number = 1
        last = _NEVER if most is None else most
        if most is not None:
            self._most = [most] * len(self._inputs)
            if len(self._inputs) > 1 and self.size is not None:
                self._most = self._shares(most)
        for block in self._in_order():
            some = min(len(block), last - number + 1)
            yield structs.replace(block.rows(0, some), first_packet=number)
            number += some
            if number > last:
                return

    def _shares(self, most: int) -> list[int]:
        """How many packets of each capture are among the first so many of all: what lies behind them is read for the order alone and counts nowhere."""
        shares = np.zeros(len(self._inputs), dtype=np.int64)
        for block in self._in_order():
            files = np.full(len(block), block.file) if block.files is None else block.files
            shares += np.bincount(files[:most], minlength=len(shares))
            most -= len(block)
            if most <= 0:
                break
        self._active = {}
        self._taken = 0
        for one, share in zip(self._inputs, shares.tolist(), strict=True):
            one.close()
            one.again()
            if not share:
                one.open(self.limits, self._ledger, self._interrupt)  # for its header
                one.close()
        return shares.tolist()

    def _in_order(self) -> Iterator[PacketBlock]:
        """All packets of all captures by time. The captures at hand stand in two heaps: by the time of their next packet, and by the end of their
        block, up to the first of which the order is known.
        """
        waiting = [one for one in reversed(self._inputs) if self._most is None or self._most[one.place]]
        ready: list[tuple[int, int, Input]] = []
        ends: list[tuple[int, int, Input]] = []
        merge = Merge(
            self.limits, self._ledger.blocks, may_wait=len(self._inputs) > 1 and all(one.size is not None for one in self._inputs)
        )

        def enter(one: Input) -> None:
            if one.block is not None:
                heappush(ready, (int(one.order[0]), one.place, one))
                heappush(ends, (one.latest, one.place, one))
                return
            self._taken += one.source.taken if one.source is not None else 0
            del self._active[one.place]
            one.close()

        try:
            while waiting or ends:
                while waiting and (not ends or waiting[-1].first_ts <= ends[0][0]):
                    self._begin(waiting[-1])
                    enter(waiting.pop())
                if not ends:
                    continue
                horizon, first, _ = ends[0]
                # the first's next block may begin with the same time, and comes before what those behind it have of that
                while ready and ready[0][:2] <= (horizon, first):
                    one = heappop(ready)[2]
                    stop = int(np.searchsorted(one.order, horizon, side="right" if one.place <= first else "left"))
                    assert one.block is not None
                    merge.take(one.place, one.block, one.order, one.at, stop)
                    one.at = stop
                    if stop < len(one.order):
                        heappush(ready, (int(one.order[stop]), one.place, one))
                while ends and ends[0][2].at == len(ends[0][2].order):
                    one = heappop(ends)[2]
                    yield from merge.before_next(one.place)
                    one.advance()
                    enter(one)
            yield from merge.rest()
        finally:
            merge.close()

    def _side_by_side(self, inputs: int) -> Limits:
        """The limits of each of so many captures that overlap in time."""
        share = max(_SIDE_BY_SIDE, inputs)
        return replace(
            self.limits,
            block_size=max(_SMALLEST_BLOCK, self.limits.block_size // share),
            block_packets=max(min(_FEWEST_PACKETS, self.limits.block_packets), self.limits.block_packets // share),
        )

    def _begin(self, one: Input) -> None:
        others = len(self._active)
        most = None if self._most is None else self._most[one.place]
        limits = self._side_by_side(others + 1) if others else self.limits
        column_bytes = _MERGED_COLUMN_BYTES if others else COLUMN_BYTES_PER_PACKET
        if not self._purse and len(self._inputs) > 1 and self._ledger.blocks.reserve(_PURSE):
            self._purse = _PURSE
        try:
            one.open(self.limits, self._ledger, self._interrupt)
            if not one.begun:
                try:
                    one.start(limits, column_bytes, most)
                except CaptureError:
                    if not self._purse:
                        raise
                    # connections have taken the memory: what is kept for this is enough for small blocks
                    self._ledger.blocks.release(self._purse)
                    self._purse = 0
                    one.start(replace(limits, block_size=_SMALLEST_BLOCK, block_packets=_FEWEST_PACKETS), column_bytes, most)
        except CaptureError as e:
            if not others:
                raise
            raise CaptureError(
                one.path,
                f"{e.problem} (it overlaps in time with {others} other captures, which are read side by side)",
                unreadable=e.unreadable,
            ) from None
        self._active[one.place] = one

    def close(self) -> None:
        """Close what is open."""
        for one in self._inputs:
            one.close()
        self._ledger.blocks.release(self._reserved + self._purse)
        self._reserved = self._purse = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
