"""pcapng captures (draft-ietf-opsawg-pcapng): sections of either byte order, interfaces, packet blocks of all three kinds.

Contract: `PcapNg` is a `reader.Format`. Each packet has the link type and the resolution of its interface. Blocks that are not known are gone
over without being kept; of interface statistics the last count of dropped packets of each interface stays. A packet of an interface that was
not described before it has link type -1.

Invariant: a packet block is accepted only where both of its lengths agree and hold what it captured; at most INTERFACES_MAX interfaces are
kept of a section, as far as there is memory for them, and the packets of others have link type -1. What a packet's interface is depends on the blocks before it, however many of
them are at hand.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcapflow.capture import resync
from pcapflow.capture.block import gather
from pcapflow.capture.pcapng_times import nanoseconds
from pcapflow.capture.reader import CaptureInfo, Keep, Records, Scan
from pcapflow.capture.source import Source
from pcapflow.errors import CaptureError
from pcapflow.limits import Limits

MAGIC = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _STATISTICS, _PACKET, _SECRETS = 0x0A0D0D0A, 1, 2, 3, 5, 6, 10
_PACKETS = frozenset((_OLD_PACKET, _SIMPLE_PACKET, _PACKET))
_LAST_IN_ROW = 12
_KNOWN_BEYOND = (0x101, 0x102, 0x200, 0x201, 0x202, 0x204, 0xBAD, 0x40000BAD, 0x80000001)
"""Block types that are in use; where the search behind damage takes a block for one."""
_BYTE_ORDER = 0x1A2B3C4D
_MARK_OF_A_SECTION = np.dtype("V6")
"""Byte order and version."""
_SMALLEST = 12
_SHORTEST = 16
"""Bytes that tell what a block is: a section header is known by its first 14."""
_SECTION_BYTES = 28
_HEADER = 28
"""Bytes of an enhanced or an old packet block before its data."""
INTERFACES_MAX = 4096
_BESIDE_DATA = _HEADER + 4
_BESIDE = 4096
"""Bytes of a packet block that may be header and options."""
_LOOK_INTO = 64 << 10
"""Bytes of a block that is not a packet which are looked at; options beyond are not."""
_CHAIN = 4
_FEW = 16
"""So few blocks are looked at one by one: calls of numpy cost more."""
_MOST_DROPPED = (1 << 63) - 1
"""What a report can hold."""


_INTERFACE_ROW = np.dtype([("link_type", "u2"), ("snaplen", "u4"), ("resolution", "u1"), ("offset", "i8"), ("dropped", "i8")])
"""What is kept of an interface: what its description says, as it stands there (resolution: how many parts of a second, a power of ten, or of two where
the highest bit is set; offset: seconds that are added), and how many packets it lost.
"""
_FIRST_ROWS = 16
_MICROSECONDS = 6
"""The resolution of packets whose interface is not described."""


def _no_room(_: int) -> bool:
    return False


class _Mark(NamedTuple):
    """From that place in the buffer on: the section's byte order, where its interfaces begin among those kept, and how many are described."""

    at: int
    order: str
    base: int
    described: int


class PcapNg:
    """The format of one pcapng capture."""

    NAME = "pcapng"
    SAYS = (
        "several sections and interfaces, both byte orders; enhanced, simple and old packet blocks; `if_tsresol`, `if_tsoffset`; interface statistics "
        "(`dropped_by_capture`); decryption secrets are counted; other blocks and options are skipped"
    )

    def __init__(self, info: CaptureInfo, limits: Limits) -> None:
        self.info = info
        self.link_type = -1
        self._biggest = limits.record_max_bytes
        self._order = "<"
        self._interfaces = np.zeros(_FIRST_ROWS, dtype=_INTERFACE_ROW)
        """Of the sections in the buffer, one after the other; the first `_described`."""
        self._described = 0
        self._base = 0
        """Where those of the section at hand begin."""
        self._marks = [_Mark(0, "<", 0, 0)]
        self._latest = -1
        """Where in the buffer the last packet begins that was found; -1 for none."""
        self._keep: Keep = _no_room
        self._dropped_sum = 0
        """Of all interfaces of all sections."""
        self._last_ts = 0
        self._foreign = False
        """A section of another version was met: what its blocks are is not known, and only another section ends it."""

    def begin(self, source: Source, keep: Keep) -> None:
        """The header is a block like the others, and stays to be read."""
        self.info.format = "pcapng"
        self._keep = keep
        head = source.peek(_SECTION_BYTES)
        if len(head) < _SECTION_BYTES:
            raise CaptureError(source.path, f"is not a capture: its header is cut after {len(head)} bytes")
        if not self._section(bytearray(head), 0, len(head)):
            if self._foreign:
                major, minor = struct.unpack_from(self._order + "HH", head, 12)
                raise CaptureError(source.path, f"is a pcapng capture of version {major}.{minor}, which this version does not read")
            raise CaptureError(source.path, "is not a capture: it begins as pcapng does, and its section header has no byte order")

    # --- blocks

    def scan(self, buffer: bytearray, at: int, have: int, most: int) -> Scan:
        """See `Format`. Enhanced packet blocks are taken in runs; what is not one is looked at when the run before it has proved right."""
        starts: list[int] = []
        checked = 0
        while True:
            at = self._run(buffer, at, have, most, starts)
            bad = self._wrong(buffer, starts[checked:])
            if bad >= 0:
                bad += checked
                self._latest = starts[bad - 1] if bad else self._latest
                return Scan(
                    starts[:bad], starts[bad], damage="a packet block does not say the same length, a multiple of four, at both ends"
                )
            checked = len(starts)
            if starts:
                self._latest = starts[-1]
            if checked >= most or at + _SMALLEST > have:
                return Scan(starts, at)
            kind, size, caplen = struct.unpack_from(self._order + "II12xI", buffer, at)
            if kind == _SECTION:
                if at + _SECTION_BYTES > have:
                    return Scan(starts, at, wanted=_SECTION_BYTES)
                if not self._section(buffer, at, have):
                    return Scan(starts, at, damage="a section header has no byte order, or is of a version that is not read")
                size = struct.unpack_from(self._order + "I", buffer, at + 4)[0]
            if size < _SMALLEST or size & 3:
                return Scan(starts, at, damage=f"a block of type {kind:#x} claims {size} bytes")
            if kind in _PACKETS:
                if size > self._biggest + _BESIDE:
                    return Scan(starts, at, damage=f"a packet block claims {size} bytes")
                if size < (16 if kind == _SIMPLE_PACKET else _HEADER + 4):
                    return Scan(starts, at, damage=f"a packet block claims {size} bytes")
                if kind != _SIMPLE_PACKET and at + _HEADER <= have and caplen + _HEADER + 4 > size:
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
        if len(starts) < _FEW:
            word = struct.Struct(self._order + "I").unpack_from
            for i, start in enumerate(starts):
                length = word(buffer, start + 4)[0]
                if length & 3 or length > self._biggest + _BESIDE or word(buffer, start + length - 4)[0] != length:
                    return i
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
                if self._marks[-1].at > self._latest:
                    self._described = self._base  # no packet at hand is of the section before
                self._base = self._described
                self._mark(at)
                return True
        return False

    def _mark(self, at: int) -> None:
        """From there on there is another section, or an interface more."""
        if self._marks[-1].at > self._latest:
            self._marks.pop()  # no packet is between
        self._marks.append(_Mark(at, self._order, self._base, self._described - self._base))

    def _has_room(self) -> bool:
        """Whether one more interface can be kept."""
        rows = self._interfaces
        if self._described - self._base >= INTERFACES_MAX:
            return False
        if self._described == len(rows):
            if not self._keep(rows.nbytes):
                return False
            self._interfaces = np.concatenate((rows, np.zeros_like(rows)))
        return True

    def _other(self, kind: int, buffer: bytearray, at: int, size: int) -> str:
        """Take what matters of a block that is not a packet, of which so many bytes are there; what is wrong with it, or nothing."""
        if kind == _INTERFACE:
            if size < 20:
                return f"an interface description of {size} bytes"
            link_type, snaplen = struct.unpack_from(self._order + "H2xI", buffer, at + 8)
            if self._has_room():
                options = self._options(buffer, at + 16, at + size - 4)
                resolution = options[9][0] if options.get(9) else _MICROSECONDS
                offset = int.from_bytes(options.get(14, b"")[:8], "little" if self._order == "<" else "big", signed=True)
                self._interfaces[self._described] = (link_type, snaplen, resolution, offset, 0)
                self._described += 1
                self._mark(at)
            self.info.snaplen = max(self.info.snaplen, snaplen)
            self.info.saw(link_type)
        elif kind == _STATISTICS and size >= 24:
            interface = struct.unpack_from(self._order + "I", buffer, at + 8)[0]
            options = self._options(buffer, at + 20, at + size - 4)
            counts = [options[code] for code in (5, 7) if len(options.get(code, b"")) == 8]
            if counts and interface < self._described - self._base:
                lost = min(sum(struct.unpack(self._order + "Q", count)[0] for count in counts), _MOST_DROPPED)
                row = self._interfaces[self._base + interface]
                self._dropped_sum += lost - int(row["dropped"])
                row["dropped"] = lost
                self.info.dropped_by_capture = min(self._dropped_sum, _MOST_DROPPED)
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
        raw = gather(buffer, at, np.dtype(f"V{_HEADER}"))
        marks = self._marks
        mark = np.searchsorted([m.at for m in marks], at, side="right") - 1
        first = marks[int(mark[0])]
        swapped = np.array([m.order != first.order for m in marks])[mark]
        head = _numbers(raw, first.order, swapped, 4)
        kind, size, interface, high, low, caplen, wirelen = head.T
        old = kind == _OLD_PACKET
        if old.any():
            interface = np.where(old, _numbers(raw, first.order, swapped, 2)[:, 4], interface)
        simple = kind == _SIMPLE_PACKET
        if simple.any():
            interface = np.where(simple, 0, interface)
        known = interface < np.array([m.described for m in marks])[mark]
        which = np.where(known, np.array([m.base for m in marks])[mark] + interface, -1)
        offsets = at + _HEADER
        if simple.any():
            # type, length, bytes on the wire, data: the captured length is what fits and what the interface keeps
            snaplens = np.where(which >= 0, self._interfaces["snaplen"][which], 0).astype(np.int64)
            snaplens[snaplens == 0] = self._biggest
            wirelen = np.where(simple, head[:, 2], wirelen)
            caplen = np.where(simple, np.minimum(np.minimum(wirelen, snaplens), size - 16), caplen)
            offsets = np.where(simple, at + 12, offsets)
        elif which[0] >= 0 and bool((which == which[0]).all()):
            # one interface, as nearly always
            only = self._interfaces[int(which[0])]
            ts = nanoseconds((high << 32) | low, int(only["resolution"]), int(only["offset"]))
            self._last_ts = int(ts[-1])
            self.link_type = int(only["link_type"])
            return Records(offsets, caplen, wirelen, ts, interfaces=int(interface[0]))
        ts = self._times((high << 32) | low, which, simple)
        link_types = np.where(which >= 0, self._interfaces["link_type"][which].astype(np.int64), -1)
        return Records(offsets, caplen, wirelen, ts, link_types, interface)

    def moved(self) -> None:
        """See `Format`. Of the sections before the one at hand no packet is left."""
        kept = self._described - self._base
        if self._base:
            self._interfaces[:kept] = self._interfaces[self._base : self._described].copy()
        self._base, self._described, self._latest = 0, kept, -1
        self._marks = [_Mark(0, self._order, 0, kept)]

    def _times(self, units: npt.NDArray[np.int64], which: npt.NDArray[np.int64], simple: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """ns since the epoch of each packet, by the resolution of its interface; a simple packet has the time of the one before."""
        resolutions = np.where(which >= 0, self._interfaces["resolution"][which], _MICROSECONDS)
        offsets = np.where(which >= 0, self._interfaces["offset"][which], 0)
        order = np.lexsort((offsets, resolutions))
        resolutions, offsets = resolutions[order], offsets[order]
        another = np.flatnonzero((np.diff(resolutions) != 0) | (np.diff(offsets) != 0)) + 1
        ts = np.zeros(len(units), dtype=np.int64)
        for rows, at in zip(np.split(order, another), [0, *another.tolist()], strict=True):
            ts[rows] = nanoseconds(units[rows], int(resolutions[at]), int(offsets[at]))
        if simple.any():
            latest = np.maximum.accumulate(np.where(simple, -1, np.arange(len(ts))))
            ts = np.where(latest >= 0, ts[latest], self._last_ts)
        self._last_ts = int(ts[-1])
        return ts

    # --- behind damage

    def resume(self, buffer: bytearray, begin: int, have: int, last: int, *, ended: bool) -> resync.Found:
        """See `Format`. A block is plausible that says the same length twice; a section header proves itself."""
        biggest = min(self._biggest + _BESIDE, resync.RECORD_MAX)

        def plausible(at: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
            kind, size = self._words(buffer, at), self._words(buffer, at + 4)
            sections = np.flatnonzero(kind == _SECTION)
            if len(sections):
                proven = _are_sections(buffer, at[sections])
            likely = (size >= _SMALLEST) & (size & 3 == 0) & (size <= biggest)
            likely[likely] = _are_known(kind[likely])
            if self._foreign:
                likely[:] = False  # what the blocks of this section are is not known
            if len(sections):
                likely[sections] = proven
                size[sections] = 0
            return likely, size

        def ends(at: npt.NDArray[np.int64], size: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
            good: npt.NDArray[np.bool_] = self._words(buffer, at - 4) == size
            return good

        return resync.first_proven(resync.Shape(_SHORTEST, _CHAIN, plausible, ends), begin, have, ended=ended)


def _numbers(raw: npt.NDArray[np.void], order: str, swapped: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.int64]:
    """int64 (n, _HEADER / size): headers, (n,), as numbers of so many bytes; those that are swapped have the other byte order."""
    found = raw.view(f"{order}u{size}").reshape(len(raw), -1).astype(np.int64)
    if swapped.any():
        found[swapped] = raw[swapped].view(f"{'<' if order == '>' else '>'}u{size}").reshape(-1, found.shape[1])
    return found


def _are_known(kinds: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """bool (n,): whether blocks of these types, int64 (n,), are in use."""
    known: npt.NDArray[np.bool_] = (kinds > 0) & (kinds <= _LAST_IN_ROW)
    others = ~known
    if others.any():
        known[others] = np.isin(kinds[others], _KNOWN_BEYOND)
    return known


def _are_sections(buffer: bytearray, at: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """bool (n,): whether section headers that this version reads begin at these places, int64 (n,)."""
    found = gather(buffer, at + 8, _MARK_OF_A_SECTION).view(np.uint8).reshape(-1, 6)
    marks = [np.frombuffer(struct.pack(order + "IH", _BYTE_ORDER, 1), dtype=np.uint8) for order in "<>"]
    good: npt.NDArray[np.bool_] = (found == marks[0]).all(axis=1) | (found == marks[1]).all(axis=1)
    return good
