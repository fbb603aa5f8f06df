"""Copies of a packet: the same one, seen at two places of its way. They are no retransmissions.

`-i any` on a bridge, both ports of a mirror, a routed packet on two VLANs, captures of both ends given together: each shows packets twice. Contract:
`Copies.leave_out` takes the segments of each block, in order, and returns those that are no copy of one before. A copy has the same addresses, ports,
tunnel, IP identification, sequence and acknowledgement numbers, flags, window, TCP checksum and length as an earlier segment; hop limit, link header
and VLAN may differ, and the checksum at another place of capture (file, interface, VLAN): a sender's own capture has none yet. A sender that sends
again takes another identification; where there is none (IPv6, identification 0) it takes another place and the same checksum, or less than
SAME_WITHIN for a segment that carries something. What holds more bytes than the first is no copy, nor is what holds others, as far as a few words of
the payload tell.

Invariant: what is known is a table of fixed size, one earlier segment a slot, taken by whoever comes later to it; the answer does not depend on where
blocks end. Compared exactly: a fingerprint only finds the slot.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pcapflow.budget import Ledger
from pcapflow.capture.block import PacketBlock, gather
from pcapflow.decode.segments import FIN, RST, SYN, SegmentColumns
from pcapflow.limits import Limits

SAME_WITHIN = 1_000_000
"""Nanoseconds within which the same segment at the same place is a copy, where nothing else tells."""
_IDENTITY = 8
_NUMBERS = 5
"""The column of sequence and acknowledgement numbers."""
_TS, _PLACE, _TAG, _LENGTH, _BEGIN, _REST = range(_IDENTITY, _IDENTITY + 6)
_WIDTH = _IDENTITY + 6
_BYTES = 8 * _WIDTH
_ROW = np.dtype(f"V{_BYTES}")
"""A row as one value, which is faster to move."""
_WORD = 8
_MIX = np.array(
    [
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0xD6E8FEB86659FD93,
        0xA0761D6478BD642F,
        0xE7037ED1A0B428DB,
        0x8EBC6AF09C88C6E3,
        0x589965CC75374CC3,
    ],
    dtype=np.uint64,
)
_SLL, _SLL2 = 113, 276
_U16, _U32, _WORDS = np.dtype(">u2"), np.dtype(">u4"), np.dtype("<u8")

_U64 = npt.NDArray[np.uint64]
_I64 = npt.NDArray[np.int64]
_Bool = npt.NDArray[np.bool_]


class Copies:
    """Over one run: how many copies there were, their payload bytes, and what differed: file, interface, VLAN tag, or nothing."""

    __slots__ = ("_bits", "_ledger", "_table", "by_file", "by_interface", "by_vlan", "bytes", "count")

    def __init__(self, limits: Limits, ledger: Ledger) -> None:
        self.count = self.bytes = self.by_file = self.by_interface = self.by_vlan = 0
        self._ledger = ledger
        self._bits = max(1, limits.copies_window.bit_length() - 1)
        self._table: _U64 | None = None

    def close(self) -> None:
        """The capture ended."""
        if self._table is not None:
            self._ledger.blocks.release(self._table.nbytes)
            self._table = None

    def _known(self) -> _U64:
        """The table; without slots where the budget refuses it, so that nothing is a copy."""
        if self._table is None:
            slots = 1 << self._bits if self._ledger.blocks.reserve(_BYTES << self._bits) else 0
            self._table = np.zeros((slots, _WIDTH), dtype=np.uint64)
        return self._table

    def leave_out(self, block: PacketBlock, segments: SegmentColumns) -> SegmentColumns:
        """The segments of a block that are no copies."""
        n = len(segments)
        table = self._known()
        if not n or not len(table):
            return segments
        rows = _rows(block, segments)
        slot = (rows[:, :_IDENTITY] @ _MIX >> np.uint64(64 - self._bits)).astype(np.int64)
        order = np.argsort(slot.astype(np.uint16) if self._bits <= 16 else slot, kind="stable")
        ordered = slot[order]
        change = np.empty(n, dtype=bool)
        change[0] = True
        np.not_equal(ordered[1:], ordered[:-1], out=change[1:])
        # the segment that had the slot before: the one before it in the block, or the one of the blocks before
        first = order[change]
        slots = slot[first]
        drop = np.zeros(n, dtype=bool)
        numbers = rows[:, _NUMBERS]
        likely = (numbers[first] == table[:, _NUMBERS][slots]).nonzero()[0]
        if len(likely):
            self._judge(first[likely], rows[first[likely]], table[slots[likely]], segments, drop)
        again = (~change).nonzero()[0]
        again = again[numbers[order[again]] == numbers[order[again - 1]]]
        if len(again):
            self._judge(order[again], rows[order[again]], rows[order[again - 1]], segments, drop)
        ends = np.ones(n, dtype=bool)
        ends[:-1] = change[1:]
        last = order[ends]
        table.view(_ROW)[slot[last]] = rows.view(_ROW)[last]
        if not drop.any():
            return segments
        self.count += int(np.count_nonzero(drop))
        self.bytes += int(segments.payload_len[drop].sum())
        return segments.take(np.flatnonzero(~drop))

    def _judge(self, these: _I64, now: _U64, earlier: _U64, segments: SegmentColumns, drop: _Bool) -> None:
        """Mark those that are copies of the segment beside them."""
        (length, checksum), (known, known_checksum) = _split(now[:, _LENGTH]), _split(earlier[:, _LENGTH])
        same = (now[:, :_IDENTITY] == earlier[:, :_IDENTITY]).all(axis=1) & (length <= known)
        as_long = length == known
        same &= np.where(as_long, now[:, _REST] == earlier[:, _REST], True) & (
            (now[:, _BEGIN] == earlier[:, _BEGIN]) | (~as_long & (length < _WORD))
        )
        other_file = (now[:, _PLACE] >> np.uint64(48)) != (earlier[:, _PLACE] >> np.uint64(48))
        other_interface = (now[:, _PLACE] << np.uint64(16)) != (earlier[:, _PLACE] << np.uint64(16))
        other_vlan = now[:, _TAG] != earlier[:, _TAG]
        elsewhere = other_file | other_interface | other_vlan
        at_once = np.abs(now[:, _TS].astype(np.int64) - earlier[:, _TS].astype(np.int64)) < SAME_WITHIN
        telling = (segments.payload_len[these] > 0) | ((segments.flags[these] & (SYN | FIN | RST)) != 0)
        identified = segments.ip_id[these] != 0
        same &= (checksum == known_checksum) | (identified & elsewhere)
        copies = same & (identified | elsewhere | (at_once & telling))
        drop[these[copies]] = True
        self.by_file += int(np.count_nonzero(copies & other_file))
        self.by_interface += int(np.count_nonzero(copies & ~other_file & other_interface))
        self.by_vlan += int(np.count_nonzero(copies & ~other_file & ~other_interface & other_vlan))


def _rows(block: PacketBlock, s: SegmentColumns) -> _U64:
    """uint64 (n, _WIDTH): what identifies each segment, and when and where it was captured."""
    buffer = block.buffer
    # window and checksum, the last but the urgent pointer of the plain header
    head = gather(buffer, s.payload_at - s.options - 6, _U32).astype(np.int64)
    rows: _U64 = np.empty((len(s), _WIDTH), dtype=np.uint64)
    numbers = rows.view(np.int64)
    rows[:, 0] = s.src_lo
    rows[:, 1] = s.dst_lo
    rows[:, 2] = s.src_hi
    rows[:, 3] = s.dst_hi
    np.bitwise_or(s.sport << 48 | s.dport << 32, head >> 16, out=numbers[:, 4])
    np.bitwise_or(s.seq << 32, s.ack, out=numbers[:, _NUMBERS])
    np.bitwise_or(s.ip_id << 40 | (s.flags & 0xFF) << 32, (s.payload_len + s.snapped) & 0xFFFF_FFFF, out=numbers[:, 6])
    rows[:, 7] = s.tunnel
    numbers[:, _TS] = block.ts[s.row]
    rows[:, _PLACE] = _places(block, s)
    rows[:, _TAG] = s.tag
    np.bitwise_or(s.payload_len << 16, head & 0xFFFF, out=numbers[:, _LENGTH])
    _sample(buffer, s, rows)
    return rows


def _split(column: _U64) -> tuple[_U64, _U64]:
    """Payload lengths and checksums of `_LENGTH`."""
    return column >> np.uint64(16), column & np.uint64(0xFFFF)


def _sample(buffer: bytearray, s: SegmentColumns, rows: _U64) -> None:
    """A few words of each payload: the first, and two within and the last as one."""
    at, n = s.payload_at, s.payload_len
    room = np.maximum(n - _WORD, 0)
    places = np.empty((4, len(n)), dtype=np.int64)
    places[0] = at
    np.add(at, room // 3, out=places[1])
    np.add(at, room * 2 // 3, out=places[2])
    np.add(at, room, out=places[3])
    words = gather(buffer, places.reshape(-1), _WORDS).reshape(places.shape)
    beyond = (np.maximum(_WORD - n, 0) << 3).astype(
        np.uint64
    )  # bits of the first word that are not the payload's; all of them, and nothing is left
    np.left_shift(words[0], beyond, out=rows[:, _BEGIN])
    rest = words[1] * _MIX[0] ^ words[2] * _MIX[1] ^ words[3] * _MIX[2]
    np.multiply(rest, n > _WORD, out=rows[:, _REST])


def _places(block: PacketBlock, s: SegmentColumns) -> Any:
    """Of each segment, or of all: file, pcapng interface, and what a cooked header says of the interface, in 16, 16 and 32 bits."""
    row = s.row
    file: Any = block.file if block.files is None else block.files[row]
    interface: Any = block.interface if block.interfaces is None else block.interfaces[row]
    place: Any = (file & 0xFFFF) << 48 | (interface & 0xFFFF) << 32
    kinds: Any = block.link_type if block.link_types is None else block.link_types[row]
    for link_type, at, kind in ((_SLL2, 4, _U32), (_SLL, 0, _U16)):
        cooked = kinds == link_type
        if cooked is True or (cooked is not False and np.any(cooked)):
            place = place | np.where(cooked, gather(block.buffer, block.offsets[row] + at, kind).astype(np.int64), 0)
    return place.astype(np.uint64) if isinstance(place, np.ndarray) else np.uint64(place & 0xFFFF_FFFF_FFFF_FFFF)
