"""Several captures as one trace, in the order of time.

Contract: `Trace` takes paths, of which a directory stands for the captures in it, and gives `PacketBlock` values whose packets are numbered
from 1 on. Captures are taken in the order of their first packets; those that overlap in time (two interfaces captured side by side) are merged
packet by packet. It raises `CaptureError` before the first block where an input cannot be read as a capture; in a directory such files
are left out and named in `passed_over`.

Invariant: a capture's own packets stay in its own order; of packets with the same time those of the capture that comes first in order
come first. A block is valid until the next one is asked for. At one time only those captures are open that overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from pcapflow.budget import Ledger
from pcapflow.capture.block import PacketBlock, joined
from pcapflow.capture.formats import open_capture
from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.reader import CaptureInfo, CaptureReader
from pcapflow.capture.source import STDIN, Source, open_source
from pcapflow.errors import CaptureError
from pcapflow.limits import Limits

_PROBE = 1 << 16
"""Bytes of a block that is only to tell a capture's first time."""
_NEVER = 1 << 62


class _Input:
    """One capture, and where its reading is."""

    def __init__(self, path: str, number: int) -> None:
        self.path = path
        self.number = number
        """Its place on the command line."""
        self.place = 0
        """Its place in the trace."""
        self.first_ts = -1
        self.info = CaptureInfo(path)
        self.size: int | None = None
        self.source: Source | None = None
        self.reader: CaptureReader | None = None
        self.blocks: Iterator[PacketBlock] = iter(())
        self.block: PacketBlock | None = None
        self.at = 0
        """Rows of the block that are taken."""
        self.order: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        """The greatest time up to each row, which is what is merged by."""
        self.latest = -1

    def open(self, limits: Limits, ledger: Ledger, interrupt: Interrupt) -> None:
        """Find out what it is."""
        if self.source is None:
            self.source = open_source(self.path, interrupt)
            self.size = self.source.size
            self.reader = open_capture(self.source, limits, ledger)
            self.info = self.reader.info

    def start(self, limits: Limits) -> None:
        """Read its first block."""
        assert self.reader is not None
        self.blocks = self.reader.blocks(1, limits)
        self.advance()

    def advance(self) -> None:
        """The next block; None at the end."""
        self.block = next(self.blocks, None)
        self.at = 0
        if self.block is not None:
            self.block.file = self.place
            self.order = np.maximum(np.maximum.accumulate(self.block.ts), self.latest)
            self.latest = int(self.order[-1])

    def close(self) -> None:
        """Done with it."""
        self.blocks = iter(())
        self.block = None
        if self.source is not None:
            self.source.close()


def captures_in(folder: str, limits: Limits, ledger: Ledger, interrupt: Interrupt) -> tuple[list[str], list[str]]:
    """The captures in a directory, by name, and its other files."""
    captures: list[str] = []
    others: list[str] = []
    for path in sorted(str(p) for p in Path(folder).iterdir() if p.is_file()):
        probe = _Input(path, 0)
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


def passed_over(files: Sequence[str]) -> str:
    """What to say of files in a directory that are no captures; nothing for none."""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0]}{more}: not a capture, passed over" if files else ""


class Trace:
    """The captures of one run. A context: on leaving it everything is closed."""

    def __init__(self, paths: Sequence[str], limits: Limits, ledger: Ledger, interrupt: Interrupt) -> None:
        self._limits = limits
        self._ledger = ledger
        self._interrupt = interrupt
        self.passed_over: list[str] = []
        """Files of directories that are no captures."""
        self._taken = 0
        """Bytes of inputs that are done."""
        self._active: list[_Input] = []
        self._inputs = [_Input(path, number) for number, path in enumerate(self._expanded(paths))]
        try:
            if len(self._inputs) == 1:
                self._inputs[0].open(limits, ledger, interrupt)
            else:
                self._put_in_order()
        except BaseException:
            self.close()
            raise

    def _expanded(self, paths: Sequence[str]) -> list[str]:
        found: list[str] = []
        for path in paths:
            if path != STDIN and Path(path).is_dir():
                captures, others = captures_in(path, self._limits, self._ledger, self._interrupt)
                self.passed_over += others
                if not captures:
                    raise CaptureError(path, "is a directory without captures")
                found += captures
            else:
                found.append(path)
        return found

    def _put_in_order(self) -> None:
        """Look at each capture's first packet."""
        small = replace(self._limits, block_size=min(_PROBE, self._limits.block_size), block_packets=1)
        for one in self._inputs:
            one.open(self._limits, self._ledger, self._interrupt)
            if one.size is None:
                # a pipe cannot be read twice: its first block waits
                one.start(self._limits)
                one.first_ts = int(one.order[0]) if one.block is not None else -1
                continue
            one.start(small)
            one.first_ts = int(one.order[0]) if one.block is not None else -1
            one.close()
            again = _Input(one.path, one.number)
            again.first_ts, again.size = one.first_ts, one.size
            self._inputs[one.number] = again
        self._inputs.sort(key=lambda one: (one.first_ts, one.number))
        for place, one in enumerate(self._inputs):
            one.place = place
            if one.block is not None:
                one.block.file = place

    # --- what a run asks for

    @property
    def infos(self) -> list[CaptureInfo]:
        """Of each capture, in the order in which they are taken."""
        return [one.info for one in self._inputs]

    @property
    def size(self) -> int | None:
        """Bytes of all inputs; None where one is a pipe."""
        sizes = [one.size for one in self._inputs]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def position(self) -> int:
        """Bytes of the inputs read so far."""
        return self._taken + sum(one.source.taken for one in self._active if one.source is not None)

    def blocks(self, most: int | None = None) -> Iterator[PacketBlock]:
        """All packets of all captures, or the first so many."""
        number = 1
        last = _NEVER if most is None else most
        waiting = list(reversed(self._inputs))
        active = self._active
        while waiting or active:
            if not active:
                self._begin(waiting.pop(), others=0)
            # up to here the blocks at hand tell the order
            horizon = min((one.latest for one in active), default=_NEVER)
            while waiting and waiting[-1].first_ts <= horizon:
                self._begin(waiting.pop(), others=len(active))
                horizon = min((one.latest for one in active), default=_NEVER)
            parts: list[tuple[_Input, int, int]] = []
            side: Literal["left", "right"] = "right"
            for one in active:
                stop = int(np.searchsorted(one.order, horizon, side=side))
                if one.latest == horizon:
                    side = "left"  # its next block may begin with the same time, and comes before that of those behind it
                if stop > one.at:
                    parts.append((one, one.at, stop))
                    one.at = stop
            block = _merged(parts, number)
            if block is not None:
                number += len(block)
                beyond = number - 1 - last
                if beyond >= 0:
                    for one, start, stop in parts if len(parts) == 1 else ():
                        one.info.packets -= min(beyond, stop - start)
                    yield block.rows(0, len(block) - beyond)
                    return
                yield block
            for one in list(active):
                if one.block is not None and one.at == len(one.block):
                    one.advance()
                if one.block is None:
                    self._taken += one.source.taken if one.source is not None else 0
                    active.remove(one)
                    one.close()

    def _begin(self, one: _Input, *, others: int) -> None:
        limits = self._limits
        if others:
            # side by side: their blocks share the room of some
            limits = replace(limits, block_size=max(1 << 16, limits.block_size // 8), block_packets=max(1, limits.block_packets // 8))
        one.open(self._limits, self._ledger, self._interrupt)
        if one.block is None:
            one.start(limits)
        self._active.append(one)
        self._active.sort(key=lambda one: (one.first_ts, one.number))

    def close(self) -> None:
        """Close what is open."""
        for one in self._inputs:
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _merged(parts: list[tuple[_Input, int, int]], number: int) -> PacketBlock | None:
    """Rows of several blocks as one, by time; number: of the first packet."""
    if not parts:
        return None
    blocks = [one.block.rows(start, stop) for one, start, stop in parts if one.block is not None]
    if len(blocks) == 1:
        return replace(blocks[0], first_packet=number)
    order = np.argsort(np.concatenate([one.order[start:stop] for one, start, stop in parts]), kind="stable")
    return joined(blocks, number, order)
