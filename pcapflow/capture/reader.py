"""One capture, block by block, whatever its format.

Contract: `open_capture` tells the format by what the file begins with and gives a `CaptureReader`; it raises `CaptureError` only for what is
no capture. Damage after that is said in `CaptureInfo`: `cut_short` for a last record that is not whole, `damaged_at` (offset in the capture,
decompressed) for the first place at which no record can begin; reading goes on behind it where the next records prove themselves,
and what lay between is in `skipped_bytes`.

Invariant: the buffer is `block_size` bytes, or one record (`record_max_bytes` at the most) where that is larger; no length field asks for
more. Each byte of the capture is looked at a fixed number of times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from pcapflow.budget import Ledger
from pcapflow.capture.block import PAD, PacketBlock
from pcapflow.capture.source import Source
from pcapflow.errors import CaptureError
from pcapflow.limits import Limits

_COLUMN_BYTES_PER_PACKET = 512
"""What the columns of one packet take in all stages together, measured on tiny packets; reserved with the block."""
_PROOF = 1 << 20
"""Bytes behind a record that prove it, at the most: some records in a row."""
NEAR = 7 * 86_400
"""Seconds from the last packet's time within which a record behind damage must be."""
_LINK_TYPES_MAX = 64
"""Different link types of one capture that the report names."""

_I64 = npt.NDArray[np.int64]


def file_header(source: Source, size: int) -> bytes:
    """The first bytes of a capture, so many; raises CaptureError where there are fewer."""
    room = bytearray(size)
    got = source.fill(memoryview(room), at_least=size)
    if got < size:
        raise CaptureError(source.path, f"is not a capture: its header is cut after {got} bytes")
    return bytes(room)


@dataclass(slots=True)
class CaptureInfo:
    """What the report says of one capture file."""

    path: str
    format: str = "pcap"
    compression: str | None = None
    link_types: list[int] = field(default_factory=list)
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
    by_link_type: dict[int, int] = field(default_factory=dict)
    """Packets of each of them."""

    def saw(self, link_type: int, packets: int = 0) -> None:
        """The capture has an interface of that link type, and so many more packets."""
        if link_type not in self.by_link_type:
            if len(self.link_types) >= _LINK_TYPES_MAX:
                return
            self.link_types.append(link_type)
            self.by_link_type[link_type] = 0
        self.by_link_type[link_type] += packets


class Scan(NamedTuple):
    """What a format found at the front of the buffer: where packet records begin; where the first byte is that is not done with; how many bytes
    what begins there takes, 0 where that is not known; how many of them nobody needs to see; and why nothing can begin there.
    """

    starts: list[int]
    used: int
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


class Format(Protocol):
    """How records lie in a file. May keep what a section of it says, never a view into the buffer."""

    info: CaptureInfo
    link_type: int
    """The LINKTYPE of every record, where `Records.link_types` is None."""

    def begin(self, source: Source) -> None:
        """Read the file's header, if it has one that is no record; raises CaptureError where it is none."""
        ...

    def scan(self, buffer: bytearray, have: int, most: int) -> Scan:
        """Find at most so many packet records in buffer[:have], which begins where a record does."""
        ...

    def records(self, buffer: bytearray, starts: list[int]) -> Records:
        """The columns of the records that begin there."""
        ...

    def resume(self, buffer: bytearray, begin: int, have: int, *, ended: bool) -> int:
        """Where in buffer[begin:have] the first record begins that proves itself, -1 where none does. ended: nothing comes after it."""
        ...


class CaptureReader:
    """Reads one capture."""

    def __init__(self, source: Source, form: Format, ledger: Ledger) -> None:
        self.info = form.info
        self._source = source
        self._format = form
        self._ledger = ledger
        self._grown = 0
        form.begin(source)

    def blocks(self, first_packet: int, limits: Limits) -> Iterator[PacketBlock]:
        """The capture's packets, the first of them numbered first_packet. Each block is valid until the next is asked for."""
        room = max(limits.block_size, 1 << 12)
        reserved = room + limits.block_packets * _COLUMN_BYTES_PER_PACKET
        account = self._ledger.blocks
        if not account.reserve(reserved):
            raise CaptureError(self._source.path, f"one block needs {reserved} bytes, more than the memory limit leaves")
        try:
            yield from self._blocks(first_packet, room, limits.block_packets)
        finally:
            account.release(reserved + self._grown)
            self._grown = 0

    def _blocks(self, number: int, room: int, most: int) -> Iterator[PacketBlock]:
        source, info, form = self._source, self.info, self._format
        buffer = bytearray(room + PAD)
        have = 0
        begin = source.position
        """Offset of buffer[0] in the capture."""
        searching = False
        to_skip = 0
        while True:
            if not source.ended and have < room:
                have += source.fill(memoryview(buffer)[have:room])
            info.bytes = source.position
            if to_skip:
                scan = Scan([], min(to_skip, have))
                to_skip -= scan.used
            elif searching:
                found = form.resume(buffer, 1, have, ended=source.ended)
                searching = found < 0
                scan = Scan([], found if found >= 0 else have if source.ended else max(0, have - min(_PROOF, room // 2)))
                info.skipped_bytes += scan.used
            else:
                scan = form.scan(buffer, have, most)
            if scan.starts:
                block = self._block(buffer, scan.starts, number)
                number += len(block)
                yield block
            if scan.damage:
                self._damaged(begin + scan.used, scan.damage)
                searching = True
            if scan.used:
                buffer[: have - scan.used] = buffer[scan.used : have]
                have -= scan.used
                begin += scan.used
            to_skip += scan.skip
            if scan.used or scan.damage or scan.skip:
                continue
            # not one whole record
            if source.ended:
                info.cut_short = ((have > 0 or to_skip > 0) and not searching) or source.truncated
                if source.corrupt and not source.truncated:
                    self._damaged(begin, f"the compressed data is damaged ({source.corrupt})")
                return
            if have == room and scan.wanted <= room and not searching:
                raise AssertionError(f"{info.format}: no way on at byte {begin}")
            if scan.wanted > room:
                if not self._ledger.blocks.reserve(scan.wanted - room):
                    self._damaged(begin, f"a record of {scan.wanted} bytes does not fit in the memory limit")
                    searching = True
                    continue
                # a new one: the block handed out before may still look into the old one
                grown = bytearray(scan.wanted + PAD)
                grown[:have] = buffer[:have]
                buffer = grown
                self._grown += scan.wanted - room
                room = scan.wanted

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
        return PacketBlock(buffer, records.offsets, records.caplen, records.wirelen, records.ts, number, link_type, kinds, one, many, frame=number)
