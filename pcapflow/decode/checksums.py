"""TCP checksums, of a whole block at once or of one segment (RFC 9293 section 3.1, RFC 8200 section 8.1).

Contract: `wrong` tells which segments have a checksum that does not add up, `adds_up` whether that of one does. A segment whose tail was not captured cannot be checked, and counts as right.
How: one running sum over the even bytes of a part of the block's buffer and one over the odd ones give the sum of any stretch of 16-bit words by two
differences. Invariant: the sums of one part are there at one time, _SPAN bytes and a segment at the most.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pcapflow.capture.block import PacketBlock
from pcapflow.decode.segments import IPV6_TAG, SegmentColumns

_TCP = 6
_HEADER = 20
_SPAN = 256 << 10
"""Bytes of the buffer whose sums are worked out at one time: they take eight times as much, and are reserved by nobody."""


def wrong(block: PacketBlock, segments: SegmentColumns) -> npt.NDArray[np.bool_]:
    """bool (n,): whether the checksum of each segment is wrong."""
    result = np.zeros(len(segments), dtype=bool)
    begins = segments.payload_at - segments.options - _HEADER
    order = np.argsort(begins, kind="stable")
    sorted_begins = begins[order]
    at = 0
    while at < len(order):
        base = int(sorted_begins[at])
        stop = max(at + 1, int(np.searchsorted(sorted_begins, base + _SPAN)))
        rows = order[at:stop]
        result[rows] = _wrong_behind(block, segments.take(rows), base)
        at = stop
    return result


def _wrong_behind(block: PacketBlock, segments: SegmentColumns, base: int) -> npt.NDArray[np.bool_]:
    """The same of segments that begin at or behind a place in the buffer."""
    end = segments.payload_at + segments.payload_len - base
    begin = segments.payload_at - segments.options - _HEADER - base
    pairs = np.frombuffer(block.buffer, dtype=np.uint8, count=(int(end.max()) + 1) // 2 * 2, offset=base).reshape(-1, 2)
    sums = [np.concatenate((np.zeros(1, dtype=np.uint32), np.cumsum(pairs[:, side], dtype=np.uint32))) for side in (0, 1)]
    evens = (sums[0][(end + 1) // 2] - sums[0][(begin + 1) // 2]).astype(np.uint64)
    odds = (sums[1][end // 2] - sums[1][begin // 2]).astype(np.uint64)
    # the first byte of a segment is the high one of its first word
    high, low = np.where(begin & 1, odds, evens), np.where(begin & 1, evens, odds)
    size = (end - begin).astype(np.uint64)
    total = high * np.uint64(256) + low + np.uint64(_TCP) + (size >> np.uint64(16)) + (size & np.uint64(0xFFFF))
    for words in (segments.src_hi, segments.src_lo, segments.dst_hi, segments.dst_lo):
        for shift in (0, 16, 32, 48):
            total += words >> np.uint64(shift) & np.uint64(0xFFFF)
    for _ in range(4):
        total = (total >> np.uint64(16)) + (total & np.uint64(0xFFFF))
    result: npt.NDArray[np.bool_] = (total != 0xFFFF) & (segments.snapped == 0)
    return result


def adds_up(block: PacketBlock, segments: SegmentColumns, i: int) -> bool:
    """Whether the checksum of one segment is right; where few are looked at, the rest of the block costs nothing."""
    end = int(segments.payload_at[i] + segments.payload_len[i])
    begin = int(segments.payload_at[i] - segments.options[i]) - _HEADER
    size = end - begin
    # a sum with end-around carry of 16-bit words is the number that they are, modulo 65,535; it is not 0, since the protocol's number is not
    data = bytes(memoryview(block.buffer)[begin:end]) + b"\0" * (size & 1)
    total = int.from_bytes(data, "big") % 0xFFFF + _TCP + size + int(segments.src_lo[i]) + int(segments.dst_lo[i])
    if int(segments.tag[i]) & IPV6_TAG:
        total += int(segments.src_hi[i]) + int(segments.dst_hi[i])
    return total % 0xFFFF == 0
