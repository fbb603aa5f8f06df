"""Classic pcap files: micro- and nanoseconds, both byte orders (draft-ietf-opsawg-pcap).

Contract: `PcapReader` takes a `Source` and gives `PacketBlock` values; it raises `CaptureError` only for a file header
that is none. Damage after the header ends the reading and is said in `CaptureInfo`: `cut_short` for a last record that
is not whole, `damaged_at` (file offset) for a record header that cannot be one. Invariant: the buffer is
`block_size` bytes, or one record (`record_max_bytes` at the most) where that is larger; no length field asks for more.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pcapflow.budget import Ledger
from pcapflow.capture import linktypes
from pcapflow.capture.block import PAD, PacketBlock
from pcapflow.capture.source import Source
from pcapflow.errors import CaptureError
from pcapflow.limits import Limits

FILE_HEADER = 24
RECORD_HEADER = 16
_COLUMN_BYTES_PER_PACKET = 512
"""What the columns of one packet take in all stages together, measured on tiny packets; reserved with the block."""

_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""First four bytes to byte order and nanoseconds per unit of the fraction."""

_OTHER_FORMATS = (
    (b"\x0a\x0d\x0d\x0a", "is a pcapng capture, which this version does not read"),
    (b"\x34\xcd\xb2\xa1", "is a pcap capture in Kuznetzov's format, which this version does not read"),
    (b"\xa1\xb2\xcd\x34", "is a pcap capture in Kuznetzov's format, which this version does not read"),
    (b"snoop\0\0\0", "is a snoop capture, which this version does not read"),
    (b"\x1f\x8b", "is compressed with gzip; decompress it first: gzip -dc FILE | pcapflow analyze -"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd; decompress it first: zstd -dc FILE | pcapflow analyze -"),
    (b"\xfd7zXZ\0", "is compressed with xz; decompress it first: xz -dc FILE | pcapflow analyze -"),
    (b"BZh", "is compressed with bzip2; decompress it first: bzip2 -dc FILE | pcapflow analyze -"),
)


@dataclass(slots=True)
class CaptureInfo:
    """What the report says of one capture file."""

    path: str
    format: str = "pcap"
    link_types: list[int] = field(default_factory=list)
    snaplen: int = 0
    bytes: int = 0
    packets: int = 0
    first_ts: int | None = None
    last_ts: int | None = None
    cut_short: bool = False
    damaged_at: int | None = None
    damage: str = ""


class PcapReader:
    """Reads one classic pcap capture block by block."""

    def __init__(self, source: Source, limits: Limits, ledger: Ledger) -> None:
        self.info = CaptureInfo(source.path)
        self._source = source
        self._limits = limits
        self._ledger = ledger
        self._grown = 0
        head = bytearray(FILE_HEADER)
        got = source.fill(memoryview(head), at_least=FILE_HEADER)
        self._order, self._fraction, self.link_type = _file_header(source.path, bytes(head[:got]), self.info)

    def blocks(self, first_packet: int) -> Iterator[PacketBlock]:
        """The capture's packets, the first of them numbered first_packet. Each block is valid until the next is asked for."""
        room = max(self._limits.block_size, 1 << 12)
        reserved = room + self._limits.block_packets * _COLUMN_BYTES_PER_PACKET
        account = self._ledger.blocks
        if not account.reserve(reserved):
            raise CaptureError(self._source.path, f"one block needs {reserved} bytes, more than the memory limit leaves")
        try:
            yield from self._blocks(first_packet, room)
        finally:
            account.release(reserved + self._grown)

    def _blocks(self, number: int, room: int) -> Iterator[PacketBlock]:
        source, info = self._source, self.info
        buffer = bytearray(room + PAD)
        have = 0
        begin = source.position
        """File offset of buffer[0]."""
        while True:
            if not source.ended and have < room:
                have += source.fill(memoryview(buffer)[have:room])
            info.bytes = source.position
            starts, used = self._scan(buffer, have)
            if starts:
                block = self._block(buffer, starts, number)
                number += len(block)
                yield block
            if info.damaged_at is not None:
                info.damaged_at += begin
                info.bytes = info.damaged_at
                return
            if used:
                buffer[: have - used] = buffer[used:have]
                have -= used
                begin += used
                continue
            if starts:
                continue
            # not one whole record
            wanted = self._caplen(buffer) + RECORD_HEADER if have >= RECORD_HEADER else 0
            if source.ended:
                info.cut_short = have > 0
                return
            if wanted > room:
                if not self._ledger.blocks.reserve(wanted - room):
                    info.damaged_at = begin
                    info.damage = f"a record of {wanted} bytes does not fit in the memory limit"
                    return
                # a new one: the block handed out before may still look into the old one
                grown = bytearray(wanted + PAD)
                grown[:have] = buffer[:have]
                buffer = grown
                self._grown += wanted - room
                room = wanted

    def _caplen(self, buffer: bytearray) -> int:
        caplen: int = struct.unpack_from(self._order + "I", buffer, 8)[0]
        return caplen

    def _scan(self, buffer: bytearray, have: int) -> tuple[list[int], int]:
        """Offsets of the whole records in buffer[:have], and where the last of them ends."""
        caplen_at = struct.Struct(self._order + "8xI").unpack_from
        biggest = self._limits.record_max_bytes
        starts: list[int] = []
        append = starts.append
        at = 0
        last = have - RECORD_HEADER
        for _ in range(self._limits.block_packets):
            if at > last:
                break
            caplen = caplen_at(buffer, at)[0]
            end = at + RECORD_HEADER + caplen
            if end > have or caplen > biggest:
                if caplen > biggest:
                    self.info.damaged_at = at
                    self.info.damage = f"a record claims {caplen} bytes"
                break
            append(at)
            at = end
        return starts, at

    def _block(self, buffer: bytearray, starts: list[int], number: int) -> PacketBlock:
        at = np.array(starts, dtype=np.int64)
        # every record header in one take, through a view in which each byte begins a 16-byte row
        rows = np.ndarray((len(buffer) - RECORD_HEADER,), dtype="V16", buffer=buffer, strides=(1,))
        head = rows[at].view(f"{self._order}u4").reshape(-1, 4).astype(np.int64)
        ts = head[:, 0] * 1_000_000_000 + head[:, 1] * self._fraction
        info = self.info
        info.packets += len(at)
        first, last = int(ts.min()), int(ts.max())
        info.first_ts = first if info.first_ts is None else min(first, info.first_ts)
        info.last_ts = last if info.last_ts is None else max(last, info.last_ts)
        return PacketBlock(buffer, at + RECORD_HEADER, head[:, 2], head[:, 3], ts, number, self.link_type)


def _file_header(path: str, head: bytes, info: CaptureInfo) -> tuple[str, int, int]:
    """Byte order, nanoseconds per fraction unit and link type; raises CaptureError where it is no pcap header."""
    if not head:
        raise CaptureError(path, "is empty")
    for magic, problem in _OTHER_FORMATS:
        if head.startswith(magic):
            raise CaptureError(path, problem)
    if head[:4] not in _MAGIC:
        raise CaptureError(path, f"is not a capture (it begins with {head[:4].hex(' ')})")
    if len(head) < FILE_HEADER:
        raise CaptureError(path, f"is not a capture: its header is cut after {len(head)} bytes")
    order, fraction = _MAGIC[head[:4]]
    major, minor, snaplen, network = struct.unpack(order + "HH8xII", head[4:])
    if (major, minor) not in ((2, 4), (2, 3)):
        raise CaptureError(path, f"is a pcap capture of version {major}.{minor}, which this version does not read")
    # the upper bits say whether frames carry a checksum (FCS), not what they are
    link_type = network & 0xFFFF
    info.snaplen = snaplen
    info.link_types = [link_type]
    return order, fraction, link_type


def link_type_names(info: CaptureInfo) -> list[str]:
    """The names that the report shows."""
    return [linktypes.name(number) for number in info.link_types]
