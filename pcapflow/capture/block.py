"""The value that the capture stage hands on: a block of packet records, as columns.

Invariant: `offsets[i] + caplen[i] <= have` for every row, and `buffer` has at least `PAD` bytes beyond `have`, so that a
header gather of up to `PAD` bytes at any row's start stays inside. A block is valid only until the next one is asked
for: the buffer is used again, so nobody keeps a view into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

_I64 = npt.NDArray[np.int64]

PAD = 256
"""Bytes of room behind the data of a block: the widest header gather (link, IPv6 and TCP headers) is smaller."""


class PacketBlock(msgspec.Struct):
    """Packet records, of one capture or of several that overlap in time.

    buffer: the bytes read; offsets: int64 (n,), where each packet's data begins in it; caplen, wirelen: int64 (n,), bytes
    captured and bytes on the wire; ts: int64 (n,), nanoseconds since the epoch; first_packet: number of row 0 in the
    trace, from 1; link_type: the LINKTYPE number of all rows, or of the first, where `link_types`, int64 (n,), has that of each;
    file: which capture of the trace all rows are from, from 0, where `files`, int64 (n,), has not that of each; interface: the pcapng interface of all
    rows, where `interfaces`, int64 (n,), has not that of each; frame: number of row 0 in its capture, where `frames`, int64 (n,), has not that of each;
    clock: int64 (n,), the capture clock (`capture.clock`), which whoever reads a capture has not worked out yet.
    """

    buffer: bytearray
    offsets: _I64
    caplen: _I64
    wirelen: _I64
    ts: _I64
    first_packet: int
    link_type: int
    link_types: _I64 | None = None
    interface: int = 0
    interfaces: _I64 | None = None
    file: int = 0
    files: _I64 | None = None
    frame: int = 1
    frames: _I64 | None = None
    clock: _I64 | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    def rows(self, start: int, stop: int) -> PacketBlock:
        """The packets from row start to row stop, in the same buffer."""
        if (start, stop) == (0, len(self)):
            return self
        some = slice(start, stop)

        def part(column: _I64 | None) -> _I64 | None:
            return None if column is None else column[some]

        return msgspec.structs.replace(
            self,
            offsets=self.offsets[some],
            caplen=self.caplen[some],
            wirelen=self.wirelen[some],
            ts=self.ts[some],
            first_packet=self.first_packet + start,
            link_types=part(self.link_types),
            interfaces=part(self.interfaces),
            files=part(self.files),
            frame=self.frame + start,
            frames=part(self.frames),
            clock=part(self.clock),
        )


def gather(buffer: bytearray, at: _I64, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A value of that type, (n,), from each place in the buffer of a block; at: int64 (n,), up to `PAD` bytes beyond a packet's data."""
    rows = np.ndarray((len(buffer) - dtype.itemsize + 1,), dtype=f"V{dtype.itemsize}", buffer=buffer, strides=(1,))
    return rows[at].view(dtype)


def joined(blocks: Sequence[PacketBlock], number: int, order: _I64 | None = None) -> PacketBlock:
    """The packets of several blocks as one with a buffer of its own, one block after the other or in that order (int64 (n,), rows as they lie one
    after the other); number: of the first packet.
    """
    buffer = bytearray(sum(len(block.buffer) for block in blocks) + PAD)
    at = 0
    offsets = []
    for block in blocks:
        buffer[at : at + len(block.buffer)] = block.buffer
        offsets.append(block.offsets + at)
        at += len(block.buffer)

    def column(parts: list[_I64]) -> _I64:
        whole = np.concatenate(parts)
        return whole if order is None else whole[order]

    def each(name: str, many: str) -> tuple[int, _I64 | None]:
        """A column that a block may have as one value for all of its rows."""
        values = column([np.full(len(b), getattr(b, name)) if getattr(b, many) is None else getattr(b, many) for b in blocks])
        return int(values[0]), None if bool((values == values[0]).all()) else values

    def frames(block: PacketBlock) -> _I64:
        return np.arange(block.frame, block.frame + len(block)) if block.frames is None else block.frames

    link_type, link_types = each("link_type", "link_types")
    file, files = each("file", "files")
    number_in_file = column([frames(b) for b in blocks])
    interface, interfaces = each("interface", "interfaces")
    return PacketBlock(
        buffer,
        column(offsets),
        column([b.caplen for b in blocks]),
        column([b.wirelen for b in blocks]),
        column([b.ts for b in blocks]),
        number,
        link_type,
        link_types,
        interface,
        interfaces,
        file,
        files,
        int(number_in_file[0]),
        number_in_file,
    )
