"""Captures written: pcap (tcpdump.org's savefile format) and pcapng (draft-ietf-opsawg-pcapng), with the link layer, times and order that packets had.

Contract: `CaptureWriter.add` takes one packet after another, and writes to a callable that waits where its reader is slow. Raises `OutputError` for what the format cannot say. The same
packets are the same bytes each time. Invariant: nothing is kept but which interfaces there are.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from pcapflow.errors import OutputError, UsageError

Out = Callable[[bytes], object]
_SNAPLEN = 262_144
"""What Wireshark takes at the most."""
_NG = (".pcapng", ".ntar")
_MICROSECONDS, _NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
_SECOND = 10**9
_INTERFACES_MOST = 65_536


class Packet(NamedTuple):
    """One packet."""

    ts: int
    """Nanoseconds since the epoch."""
    wirelen: int
    link_type: int
    interface: tuple[int, int]
    """The capture and its interface: what they are the same for was captured at one place."""
    data: bytes


class CaptureWriter:
    """What both formats have."""

    def __init__(self, write: Out) -> None:
        self._write = write
        self.places: set[tuple[int, int]] = set()

    def add(self, packet: Packet) -> None:
        """The next packet."""
        raise NotImplementedError

    def begin(self) -> None:
        """Write what a capture without packets has too."""


class Pcap(CaptureWriter):
    """One link type."""

    def __init__(self, write: Out, *, nanoseconds: bool) -> None:
        """nanoseconds: else times are written in microseconds."""
        super().__init__(write)
        self._unit = 1 if nanoseconds else 1000
        self._link_type = -1

    def begin(self) -> None:
        """See `CaptureWriter`."""
        if self._link_type < 0:
            self._header(1)

    def _header(self, link_type: int) -> None:
        self._link_type = link_type
        magic = _NANOSECONDS if self._unit == 1 else _MICROSECONDS
        self._write(struct.pack("<IHHiIII", magic, 2, 4, 0, 0, _SNAPLEN, link_type))

    def add(self, packet: Packet) -> None:
        """See `CaptureWriter`."""
        if self._link_type < 0:
            self._header(packet.link_type)
        elif packet.link_type != self._link_type:
            raise UsageError("-o: the packets have several link types, and a pcap file has one; give a name that ends in .pcapng")
        self.places.add(packet.interface)
        seconds, rest = divmod(packet.ts, _SECOND)
        if not 0 <= seconds < 1 << 32:
            raise OutputError("-o: a packet has a time that a pcap file cannot say; give a name that ends in .pcapng")
        self._write(struct.pack("<IIII", seconds, rest // self._unit, len(packet.data), packet.wirelen) + packet.data)


class Pcapng(CaptureWriter):
    """Any number of interfaces."""

    def __init__(self, write: Out) -> None:
        super().__init__(write)
        self._ids: dict[tuple[tuple[int, int], int], int] = {}
        self._begun = False

    def begin(self) -> None:
        """See `CaptureWriter`."""
        if not self._begun:
            self._begun = True
            self._block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))

    def add(self, packet: Packet) -> None:
        """See `CaptureWriter`."""
        self.begin()
        key = packet.interface, packet.link_type
        number = self._ids.get(key, -1)
        if number < 0:
            if len(self._ids) >= _INTERFACES_MOST:
                raise OutputError(f"-o: the packets are of more than {_INTERFACES_MOST:,} interfaces")
            number = self._ids[key] = len(self._ids)
            resolution = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)
            self._block(1, struct.pack("<HHI", packet.link_type, 0, 0) + resolution)
        if not 0 <= packet.ts < 1 << 64:
            raise OutputError("-o: a packet has a time before 1970, which is not written")
        n = len(packet.data)
        head = struct.pack("<IIIII", number, packet.ts >> 32, packet.ts & 0xFFFFFFFF, n, packet.wirelen)
        self._block(6, head + packet.data + bytes(-n % 4))

    def _block(self, kind: int, body: bytes) -> None:
        size = struct.pack("<I", len(body) + 12)
        self._write(struct.pack("<I", kind) + size + body + size)


def writer_for(name: str, write: Out, *, nanoseconds: bool) -> CaptureWriter:
    """Of the format that a name asks for by its ending; pcap where it says nothing."""
    return Pcapng(write) if _plain(name).endswith(_NG) else Pcap(write, nanoseconds=nanoseconds)


def _plain(name: str) -> str:
    """Without the ending of a compression."""
    name = name.lower()
    return next((name.removesuffix(ending) for ending in _COMPRESSIONS if name.endswith(ending)), name)


class Compressing:
    """Compresses what is written, as the name of the file says by its ending; `close` writes the rest."""

    def __init__(self, name: str, write: Out) -> None:
        """Raises `UsageError` for a compression that is not written."""
        self._write = write
        ending = name.lower().rpartition(".")[2]
        if ending == "lz4":
            raise UsageError(f"-o {name}: lz4 is read, not written; write .gz, .zst, .xz or .bz2")
        make = _COMPRESSIONS.get("." + ending)
        self._compressor: Any = make() if make is not None else None

    def write(self, data: bytes) -> None:
        """More bytes."""
        if self._compressor is not None:
            data = self._compressor.compress(data)
        if data:
            self._write(data)

    def close(self) -> None:
        """No more come."""
        if self._compressor is not None:
            self._write(self._compressor.flush())


def _gzip() -> Any:
    return zlib.compressobj(wbits=31)  # without a time: the same bytes each time


def _xz() -> Any:
    return lzma.LZMACompressor(preset=1)


def _bz2() -> Any:
    return bz2.BZ2Compressor()


def _zstd() -> Any:
    from pcapflow.zstd import zstd_compressor  # noqa: PLC0415 - the backport takes a while, and few files are zstd

    return zstd_compressor()


_COMPRESSIONS: dict[str, Callable[[], Any]] = {".gz": _gzip, ".zst": _zstd, ".xz": _xz, ".bz2": _bz2}
