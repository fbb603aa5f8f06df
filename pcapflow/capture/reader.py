"""One capture, block by block, whatever its format.

Contract: `open_capture` tells the format by what the file begins with and gives a `CaptureReader`; it raises `CaptureError` only for what is
no capture. Damage after that is said in `CaptureInfo`: `cut_short` for a last record that is not whole, `damaged_at` (offset in the capture,
decompressed) for the first place at which no record can begin; reading goes on behind it where the next records prove themselves,
and what lay between is in `skipped_bytes`.

Invariant: the buffer is `block_size` bytes, or one record (`record_max_bytes` at the most) where that is larger, or what a search behind damage
needs (`resync.ROOM`); no length field asks for more. Each byte of the capture is looked at a fixed number of times. What is read, and where damage
ends, depends on the capture's bytes alone, never on how much of it is at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from pcapflow.budget import Ledger
from pcapflow.capture import resync
from pcapflow.capture.block import PAD, PacketBlock
from pcapflow.capture.source import Source
from pcapflow.errors import CaptureError
from pcapflow.limits import Limits
from pcapflow.memory_scale import memory_for
from pcapflow.sizes import typed_size

COLUMN_BYTES_PER_PACKET = 512
"""What the columns of one packet take in all stages together, measured on tiny packets; reserved with the block."""
_LINK_TYPES_MAX = 16
"""Different link types of one capture that the report names."""

_I64 = npt.NDArray[np.int64]


def file_header(source: Source, size: int) -> bytes:
    """The first bytes of a capture, so many; raises CaptureError where there are fewer."""
    room = bytearray(size)
    got = source.fill(memoryview(room), at_least=size)
    if got < size:
        raise CaptureError(source.path, f"is not a capture: its header is cut after {got} bytes")
    return bytes(room)


class CaptureInfo(msgspec.Struct):
    """What the report says of one capture file."""

    path: str
    format: str = "pcap"
    compression: str | None = None
    link_types: list[int] = msgspec.field(default_factory=list)
    snaplen: int = 0
    bytes: int = 0
    packets: int = 0
    first_ts: int | None = None
    last_ts: int | None = None
    cut_short: bool = False
    damaged_at: int | None = None
    damage: str = ""
    skipped_bytes: int = 0
    dropped_by_capture: int | None = None
    decryption_secrets: int = 0
    by_link_type: dict[int, int] = msgspec.field(default_factory=dict)
    """Packets of each of them."""

    def saw(self, link_type: int, packets: int = 0) -> None:
        """The capture has an interface of that link type, and so many more packets."""
        if link_type not in self.by_link_type:
            if len(self.link_types) - (-1 in self.by_link_type) >= _LINK_TYPES_MAX and link_type >= 0:
                return
            # that of packets whose interface nobody described stays last: no block says when it was met
            self.link_types.insert(len(self.link_types) - (-1 in self.by_link_type), link_type)
            self.by_link_type[link_type] = 0
        self.by_link_type[link_type] += packets


class Scan(NamedTuple):
    """What a format found from a place in the buffer on: where packet records begin; where the first byte is that is not done with; how many bytes
    what begins there takes, 0 where that is not known; how many bytes from there on nobody needs to see; and why nothing can begin there.
    """

    starts: list[int]
    at: int
    wanted: int = 0
    skip: int = 0
    damage: str = ""


class Records(NamedTuple):
    """Packet records as columns, int64 (n,) each: where the data begins in the buffer, captured and wire bytes, ns since the epoch, the
    LINKTYPE of each, or None where all have the format's only one, and the interface of each, or that of all.
    """

    offsets: _I64
    caplen: _I64
    wirelen: _I64
    ts: _I64
    link_types: _I64 | None = None
    interfaces: _I64 | int = 0


Keep = Callable[[int], bool]
"""Whether there is room for so many bytes."""


class Format(Protocol):
    """How records lie in a file. May keep what a section of it says, never a view into the buffer."""

    info: CaptureInfo
    link_type: int
    """The LINKTYPE of every record, where `Records.link_types` is None."""

    def begin(self, source: Source, keep: Keep) -> None:
        """Read the file's header, if it has one that is no record; raises CaptureError where it is none. keep: asked before so many bytes more are kept
        of what the file says, up to the end of its blocks.
        """
        ...

    def scan(self, buffer: bytearray, at: int, have: int, most: int) -> Scan:
        """Find at most so many packet records in buffer[at:have], which begins where a record does."""
        ...

    def records(self, buffer: bytearray, starts: list[int]) -> Records:
        """The columns of the records that begin there: all that were found since the buffer was last moved."""
        ...

    def moved(self) -> None:
        """The buffer's bytes are elsewhere now: what was found before is done with."""
        ...

    def resume(self, buffer: bytearray, begin: int, have: int, last: int, *, ended: bool) -> resync.Found:
        """Where in buffer[begin:have] the first record begins that proves itself. last: where the last record before began, -1 where it is not in
        the buffer any more; ended: nothing comes behind it.
        """
        ...


class CaptureReader:
    """Reads one capture."""

    def __init__(self, source: Source, form: Format, ledger: Ledger) -> None:
        self.info = form.info
        self._source = source
        self._format = form
        self._ledger = ledger
        self._grown = 0
        self._room = 0
        self._searching = False
        """The last record was none: where the next one begins is not known."""
        self._search_from = 0
        """Where in the buffer it may."""
        self._to_skip = 0
        form.begin(source, self._keep)

    def blocks(
        self, first_packet: int, limits: Limits, *, column_bytes: int = COLUMN_BYTES_PER_PACKET, packets: int | None = None
    ) -> Iterator[PacketBlock]:
        """The capture's packets, the first of them numbered first_packet. Each block is valid until the next is asked for. column_bytes: what is
        reserved for each packet beside its bytes; packets: how many are read at the most: what follows is neither looked at nor counted.
        """
        room = max(limits.block_size, 1 << 12)
        reserved = room + limits.block_packets * column_bytes
        account = self._ledger.blocks
        if not account.reserve_or_borrow(reserved):
            raise CaptureError(
                self._source.path,
                f"one block needs {reserved:,} bytes, more than the memory limit leaves; the least that works is "
                f"--memory-limit {typed_size(memory_for(room + self._ledger.used))}, or a smaller --block-size",
                unreadable=True,
            )
        self._room = room
        try:
            yield from self._blocks(first_packet, limits.block_packets, packets)
        finally:
            account.release(reserved + self._grown)
            self._grown = 0

    def _keep(self, n: int) -> bool:
        if not self._ledger.blocks.reserve(n):
            return False
        self._grown += n
        return True

    def _blocks(self, number: int, most: int, left: int | None) -> Iterator[PacketBlock]:
        source, info = self._source, self.info
        buffer = bytearray(self._room + PAD)
        have = 0
        begin = source.position
        """Offset of buffer[0] in the capture."""
        while True:
            if not source.ended and have < self._room:
                # behind damage a slow pipe is waited for, so that what is at hand is not searched anew for each byte
                have += source.fill(memoryview(buffer)[have : self._room], at_least=max(1, have // 4) if self._searching else 1)
            info.bytes = source.position
            wished = most if left is None else min(most, left)
            starts, at, wanted = self._find(buffer, begin, have, wished)
            if starts:
                block = self._block(buffer, starts, number)
                number += len(block)
                if left is not None:
                    left -= len(block)
                    if not left:
                        info.bytes = begin + at
                yield block
                if left == 0:
                    return
            buffer[: have - at] = buffer[at:have]
            have -= at
            begin += at
            self._search_from -= at
            self._format.moved()
            if source.interrupted:
                return
            if len(starts) == wished:
                continue
            if source.ended:
                info.cut_short = ((have > 0 or self._to_skip > 0) and not self._searching) or source.truncated
                if source.corrupt and not source.truncated:
                    self._damaged(begin, f"the compressed data is damaged ({source.corrupt})")
                return
            if wanted > self._room:
                grown = self._grow(buffer, begin, have, wanted)
                if grown is None:
                    return
                buffer = grown
            elif have == self._room and not starts and not at:
                raise AssertionError(f"{info.format}: no way on at byte {begin}")

    def _find(self, buffer: bytearray, begin: int, have: int, most: int) -> tuple[list[int], int, int]:
        """All that is whole in buffer[:have]: where packet records begin, at most so many; how far that goes; how many bytes what follows takes, where that is known."""
        form, info = self._format, self.info
        starts: list[int] = []
        at = 0
        while len(starts) < most:
            if self._to_skip:
                n = min(self._to_skip, have - at)
                at += n
                self._to_skip -= n
                if self._to_skip:
                    break
            if self._searching:
                found = form.resume(buffer, self._search_from, have, starts[-1] if starts else -1, ended=self._source.ended)
                self._searching = not found.proven
                self._search_from = found.at
                stop = have if self._searching and self._source.ended else found.at
                info.skipped_bytes += stop - at
                at = stop
                if self._searching:
                    return starts, at, resync.ROOM
            scan = form.scan(buffer, at, have, most - len(starts))
            starts += scan.starts
            at = scan.at
            if scan.damage:
                self._damaged(begin + at, scan.damage)
                self._searching, self._search_from = True, at + 1
            elif scan.skip:
                self._to_skip = scan.skip
            else:
                return starts, at, scan.wanted
        return starts, at, 0

    def _grow(self, buffer: bytearray, begin: int, have: int, wanted: int) -> bytearray | None:
        """A larger buffer with the same bytes, for what takes so many. Where memory is short the capture is damaged there; None where not even
        a search behind it fits, and nothing more can be read.
        """
        more = wanted - self._room
        if not self._ledger.blocks.reserve(more):
            self._damaged(begin, f"a record of {wanted} bytes does not fit in the memory limit")
            if self._searching:
                return None
            self._searching, self._search_from = True, 1
            return buffer
        # a new one: the block handed out before may still look into the old one
        grown = bytearray(wanted + PAD)
        grown[:have] = buffer[:have]
        self._grown += more
        self._room = wanted
        return grown

    def _damaged(self, at: int, why: str) -> None:
        if self.info.damaged_at is None:
            self.info.damaged_at = at
            self.info.damage = why

    def _block(self, buffer: bytearray, starts: list[int], number: int) -> PacketBlock:
        records = self._format.records(buffer, starts)
        info = self.info
        info.packets += len(starts)
        first, last = int(records.ts.min()), int(records.ts.max())
        info.first_ts = first if info.first_ts is None else min(first, info.first_ts)
        info.last_ts = last if info.last_ts is None else max(last, info.last_ts)
        kinds = records.link_types
        link_type = self._format.link_type
        if kinds is None:
            info.saw(link_type, len(starts))
        else:
            different, counts = np.unique(kinds, return_counts=True)
            link_type = int(different[0])
            if len(different) == 1:
                kinds = None
            for kind, count in zip(different.tolist(), counts.tolist(), strict=True):
                info.saw(kind, count)
        one, many = (records.interfaces, None) if isinstance(records.interfaces, int) else (0, records.interfaces)
        return PacketBlock(
            buffer, records.offsets, records.caplen, records.wirelen, records.ts, number, link_type, kinds, one, many, frame=number
        )
