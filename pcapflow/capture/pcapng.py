"""pcapng captures (draft-ietf-opsawg-pcapng): sections of either byte order, interfaces, packet blocks of all three kinds.

Contract: `PcapNg` is a `reader.Format`. Each packet has the link type and the resolution of its interface. Blocks that are not known are gone
over without being kept; of interface statistics the last count of dropped packets of each interface stays. A packet of an interface that was
not described has link type -1.

Invariant: a packet block is accepted only where both of its lengths agree and hold what it captured; at most INTERFACES_MAX interfaces are
kept of a section.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from pcapflow.capture.reader import CaptureInfo, Records, Scan
from pcapflow.capture.source import Source
from pcapflow.errors import CaptureError
from pcapflow.limits import SECOND, Limits

MAGIC = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _STATISTICS, _PACKET, _SECRETS = 0x0A0D0D0A, 1, 2, 3, 5, 6, 10
_PACKETS = frozenset((_OLD_PACKET, _SIMPLE_PACKET, _PACKET))
_KNOWN = frozenset((*range(1, 13), 0x101, 0x102, 0x200, 0x201, 0x202, 0x204, 0xBAD, 0x40000BAD, 0x80000001, _SECTION))
"""Block types that are in use; where the search behind damage takes a block for one."""
_BYTE_ORDER = 0x1A2B3C4D
_SMALLEST = 12
_SECTION_BYTES = 28
_HEADER = 28
"""Bytes of an enhanced or an old packet block before its data."""
INTERFACES_MAX = 4096
_BESIDE_DATA = _HEADER + 4
_BESIDE = 4096
"""Bytes of a packet block that may be header and options."""
_LOOK_INTO = 64 << 10
"""Bytes of a block that is not a packet which are looked at; options beyond are not."""
_CHAIN = 3
_PLAIN = 4_000_000_000 * SECOND
"""Times below this need no care."""


class _Interface:
    """What a description block says: link type, snap length, how many parts of a second (a power of ten, or of two where `binary`) a time counts in,
    and the seconds that are added to it.
    """

    __slots__ = ("binary", "exponent", "link_type", "offset", "snaplen")

    def __init__(self, link_type: int, snaplen: int, resolution: int, offset: int) -> None:
        self.link_type = link_type
        self.snaplen = snaplen
        self.binary = bool(resolution & 0x80)
        self.exponent = resolution & 0x7F
        self.offset = offset


class PcapNg:
    """The format of one pcapng capture."""

    NAME = "pcapng"
    SAYS = (
        "several sections and interfaces, both byte orders; enhanced, simple and old packet blocks; `if_tsresol`, `if_tsoffset`; interface statistics "
        "(`dropped_by_capture`); decryption secrets are counted; other blocks and options are passed over"
    )

    def __init__(self, info: CaptureInfo, limits: Limits) -> None:
        self.info = info
        self.link_type = -1
        self._biggest = limits.record_max_bytes
        self._order = "<"
        self._interfaces: list[_Interface] = []
        self._dropped: dict[int, int] = {}
        """By interface of the section."""
        self._dropped_before = 0
        self._last_ts = 0
        self._foreign = False
        """A section of another version was met: what its blocks are is not known, and only another section ends it."""

    def begin(self, source: Source) -> None:
        """The header is a block like the others, and stays to be read."""
        self.info.format = "pcapng"
        head = source.peek(_SECTION_BYTES)
        if len(head) < _SECTION_BYTES:
            raise CaptureError(source.path, f"is not a capture: its header is cut after {len(head)} bytes")
        if not self._section(bytearray(head), 0, len(head)):
            if self._foreign:
                major, minor = struct.unpack_from(self._order + "HH", head, 12)
                raise CaptureError(source.path, f"is a pcapng capture of version {major}.{minor}, which this version does not read")
            raise CaptureError(source.path, "is not a capture: it begins as pcapng does, and its section header has no byte order")

    # --- blocks

    def scan(self, buffer: bytearray, have: int, most: int) -> Scan:
        """See `Format`. Enhanced packet blocks are taken in runs; what is not one is looked at when the run before it has proved right."""
        starts: list[int] = []
        at = checked = 0
        while True:
            at = self._run(buffer, at, have, most, starts)
            bad = self._wrong(buffer, starts[checked:])
            if bad >= 0:
                bad += checked
                return Scan(starts[:bad], starts[bad], damage="a packet block does not say the same length, a multiple of four, at both ends")
            checked = len(starts)
            if checked >= most or at + _SMALLEST > have:
                return Scan(starts, at)
            kind, size, caplen = struct.unpack_from(self._order + "II12xI", buffer, at)
            if kind == _SECTION:
                if starts or at + _SECTION_BYTES > have:
                    return Scan(starts, at, wanted=_SECTION_BYTES)  # the packets so far belong to the section before
                if not self._section(buffer, at, have):
                    return Scan(starts, at, damage="a section header has no byte order, or is of a version that is not read")
                size = struct.unpack_from(self._order + "I", buffer, at + 4)[0]
            if size < _SMALLEST or size & 3:
                return Scan(starts, at, damage=f"a block of type {kind:#x} claims {size} bytes")
            if kind in _PACKETS:
                if size > self._biggest + _BESIDE:
                    return Scan(starts, at, damage=f"a packet block claims {size} bytes")
                least = 16 if kind == _SIMPLE_PACKET else caplen + _HEADER + 4
                if least > size and at + _HEADER <= have:
                    return Scan(starts, at, damage=f"a packet block of {size} bytes claims {caplen} captured ones")
                if at + size > have:
                    return Scan(starts, at, wanted=size)
                starts.append(at)
                at += size
                continue
            look = min(size, _LOOK_INTO)
            if at + look > have:
                return Scan(starts, at, wanted=look)
            damage = self._other(kind, buffer, at, look)
            if damage:
                return Scan(starts, at, damage=damage)
            if at + size > have:
                return Scan(starts, at, skip=size)
            at += size

    def _run(self, buffer: bytearray, at: int, have: int, most: int, starts: list[int]) -> int:
        """Append where whole enhanced packet blocks begin, from `at` on; where the first block begins that is none, or not whole, or too small."""
        head_at = struct.Struct(self._order + "II12xI").unpack_from
        append = starts.append
        last = have - _HEADER - 4
        for _ in range(most - len(starts)):
            if at > last:
                break
            kind, size, caplen = head_at(buffer, at)
            end = at + size
            if kind != _PACKET or end > have or caplen + _BESIDE_DATA > size:
                break
            append(at)
            at = end
        return at

    def _wrong(self, buffer: bytearray, starts: list[int]) -> int:
        """Index of the first packet block that does not say the same length at both ends, or an odd or too large one; -1 where all are right."""
        if not starts:
            return -1
        at = np.array(starts, dtype=np.int64)
        size = self._words(buffer, at + 4)
        bad = (size & 3 != 0) | (size > self._biggest + _BESIDE)
        wrong = np.flatnonzero(bad | (self._words(buffer, at + size - 4) != size))
        return int(wrong[0]) if len(wrong) else -1

    def _words(self, buffer: bytearray, at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """int64 (n,): the 32-bit numbers at these offsets."""
        rows: npt.NDArray[np.uint32] = np.ndarray((len(buffer) - 3,), dtype=f"{self._order}u4", buffer=buffer, strides=(1,))
        return rows[at].astype(np.int64)

    def _section(self, buffer: bytearray, at: int, have: int) -> bool:
        """A section begins there: its byte order holds, its interfaces are numbered anew. False where it has none, is of another version, or
        too little is there.
        """
        if at + _SECTION_BYTES > have:
            return False
        for order in "<>":
            if struct.unpack_from(order + "I", buffer, at + 8)[0] == _BYTE_ORDER:
                self._order = order
                self._foreign = struct.unpack_from(order + "H", buffer, at + 12)[0] != 1
                if self._foreign:
                    return False
                self._interfaces = []
                self._dropped_before += sum(self._dropped.values())
                self._dropped = {}
                return True
        return False

    def _other(self, kind: int, buffer: bytearray, at: int, size: int) -> str:
        """Take what matters of a block that is not a packet, of which so many bytes are there; what is wrong with it, or nothing."""
        if kind == _INTERFACE:
            if size < 20:
                return f"an interface description of {size} bytes"
            if len(self._interfaces) >= INTERFACES_MAX:
                return f"more than {INTERFACES_MAX} interfaces in one section"
            link_type, snaplen = struct.unpack_from(self._order + "H2xI", buffer, at + 8)
            options = self._options(buffer, at + 16, at + size - 4)
            resolution = options.get(9, b"\6")[0] if options.get(9, b"\6") else 6
            offset = int.from_bytes(options.get(14, b"")[:8], "little" if self._order == "<" else "big", signed=True)
            self._interfaces.append(_Interface(link_type, snaplen, resolution, offset))
            self.info.snaplen = max(self.info.snaplen, snaplen)
            self.info.saw(link_type)
        elif kind == _STATISTICS and size >= 24:
            interface = struct.unpack_from(self._order + "I", buffer, at + 8)[0]
            options = self._options(buffer, at + 20, at + size - 4)
            counts = [options[code] for code in (5, 7) if len(options.get(code, b"")) == 8]
            if counts and interface < len(self._interfaces):
                self._dropped[interface] = sum(struct.unpack(self._order + "Q", count)[0] for count in counts)
                self.info.dropped_by_capture = self._dropped_before + sum(self._dropped.values())
        elif kind == _SECRETS:
            self.info.decryption_secrets += 1
        return ""

    def _options(self, buffer: bytearray, at: int, end: int) -> dict[int, bytes]:
        """Options by code, the first of each; whatever is malformed ends them."""
        found: dict[int, bytes] = {}
        while at + 4 <= end:
            code, size = struct.unpack_from(self._order + "HH", buffer, at)
            if code == 0 or at + 4 + size > end:
                break
            found.setdefault(code, bytes(buffer[at + 4 : at + 4 + size]))
            at += 4 + size + (-size & 3)
        return found

    # --- packets

    def records(self, buffer: bytearray, starts: list[int]) -> Records:
        """See `Format`."""
        at = np.array(starts, dtype=np.int64)
        rows = np.ndarray((len(buffer) - _HEADER,), dtype=f"V{_HEADER}", buffer=buffer, strides=(1,))
        raw = rows[at]
        head = raw.view(f"{self._order}u4").reshape(-1, 7).astype(np.int64)
        kind, size, interface, high, low, caplen, wirelen = head.T
        old = kind == _OLD_PACKET
        if old.any():
            interface = np.where(old, raw.view(f"{self._order}u2").reshape(-1, 14)[:, 4].astype(np.int64), interface)
        simple = kind == _SIMPLE_PACKET
        offsets = at + _HEADER
        if simple.any():
            # type, length, bytes on the wire, data: the captured length is what fits and what the interface keeps
            interface = np.where(simple, 0, interface)
            snaplen = self._interfaces[0].snaplen if self._interfaces and self._interfaces[0].snaplen else self._biggest
            wirelen = np.where(simple, head[:, 2], wirelen)
            caplen = np.where(simple, np.minimum(np.minimum(wirelen, snaplen), size - 16), caplen)
            offsets = np.where(simple, at + 12, offsets)
        first = int(interface[0])
        if first < len(self._interfaces) and not simple.any() and bool((interface == first).all()):
            # one interface, as nearly always
            ts = _nanoseconds((high << 32) | low, self._interfaces[first])
            self._last_ts = int(ts[-1])
            self.link_type = self._interfaces[first].link_type
            return Records(offsets, caplen, wirelen, ts, interfaces=first)
        known = interface < len(self._interfaces)
        which = np.where(known, interface, len(self._interfaces))
        ts = self._times((high << 32) | low, which, simple)
        link_types = np.array([*(i.link_type for i in self._interfaces), -1], dtype=np.int64)[which]
        return Records(offsets, caplen, wirelen, ts, link_types, interface)

    def _times(self, units: npt.NDArray[np.int64], which: npt.NDArray[np.int64], simple: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """ns since the epoch of each packet, by the resolution of its interface; a simple packet has the time of the one before."""
        ts = np.zeros(len(units), dtype=np.int64)
        for number in np.unique(which).tolist():
            rows = which == number
            interface = self._interfaces[number] if number < len(self._interfaces) else _Interface(-1, 0, 6, 0)
            ts[rows] = _nanoseconds(units[rows], interface)
        if simple.any():
            latest = np.maximum.accumulate(np.where(simple, -1, np.arange(len(ts))))
            ts = np.where(latest >= 0, ts[latest], self._last_ts)
        self._last_ts = int(ts[-1])
        return ts

    # --- behind damage

    def resume(self, buffer: bytearray, begin: int, have: int, *, ended: bool) -> int:
        """See `Format`."""
        at = begin
        step = 1 << 10
        while at + _SMALLEST <= have:
            stop = min(at + step, have - _SMALLEST + 1)
            where = np.arange(at, stop, dtype=np.int64)
            kind, size = self._words(buffer, where), self._words(buffer, where + 4)
            likely = np.isin(kind, list(_KNOWN)) & (size >= _SMALLEST) & (size & 3 == 0) & (size <= self._biggest + _BESIDE)
            for found in where[likely | (kind == _SECTION)].tolist():
                if self._proves(buffer, found, have, ended=ended):
                    return int(found)
            at = stop
            step = min(2 * step, 1 << 16)
        return -1

    def _proves(self, buffer: bytearray, at: int, have: int, *, ended: bool) -> bool:
        """Whether some blocks in a row, or those up to the end, say their length twice alike; a section header proves itself."""
        for _ in range(_CHAIN):
            if at == have and ended:
                return True
            if at + 28 > have:
                return False
            kind, size = struct.unpack_from(self._order + "II", buffer, at)
            if kind == _SECTION and any(struct.unpack_from(order + "IH", buffer, at + 8) == (_BYTE_ORDER, 1) for order in "<>"):
                return True
            if self._foreign or kind not in _KNOWN or size < _SMALLEST or size & 3 or at + size > have:
                return False
            if struct.unpack_from(self._order + "I", buffer, at + size - 4)[0] != size:
                return False
            at += size
        return True


def _nanoseconds(units: npt.NDArray[np.int64], interface: _Interface) -> npt.NDArray[np.int64]:
    """ns since the epoch; what no year would have is cut to what 62 bits hold."""
    exponent = interface.exponent
    if not interface.binary and exponent <= 9 and interface.offset == 0 and int(units.min()) >= 0 and int(units.max()) < _PLAIN // 10 ** (9 - exponent):
        return np.asarray(units * 10 ** (9 - exponent), dtype=np.int64)
    raw = units.astype(np.uint64)
    if interface.binary and exponent < 64:
        shift = np.uint64(exponent)
        seconds = raw >> shift
        fraction = raw & ((np.uint64(1) << shift) - np.uint64(1))
        less = max(0, exponent - 33)  # so that a fraction times a billion stays within 64 bits
        part = ((fraction >> np.uint64(less)) * np.uint64(SECOND)) >> np.uint64(exponent - less)
    elif interface.binary:
        seconds = part = np.zeros_like(raw)  # all that 64 bits can say is less than a second
    elif exponent <= 9:
        per_second = np.uint64(10**exponent)
        seconds, part = raw // per_second, raw % per_second * np.uint64(10 ** (9 - exponent))
    elif exponent <= 19:
        per_second = np.uint64(10**exponent)
        seconds, part = raw // per_second, raw % per_second // np.uint64(10 ** (exponent - 9))
    else:
        seconds = part = np.zeros_like(raw)
    whole = np.minimum(seconds, np.uint64(4_000_000_000)).astype(np.int64) + min(max(interface.offset, -(1 << 32)), 1 << 32)
    return np.asarray(np.clip(whole, 0, 4_600_000_000) * SECOND + part.astype(np.int64), dtype=np.int64)
