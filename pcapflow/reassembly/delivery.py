"""What one stream delivered, and what comes of bytes that it delivered or gave up before.

Contract: `append` and `append_run` take the next bytes, `close_pieces` makes an event of those collected, `repeated` puts bytes below `next`
into their buckets: `late` if their offset was given up (the last `late_ranges` gaps are remembered), else compared with the last delivered
bytes: `conflicting` where the byte differs, `retransmitted` where it is the same or no longer at hand. In-order data is never copied: it
stays in the block and is only remembered as pieces.

Invariant: next = delivered + missing, and everything below `next` was delivered or given up.
"""

from __future__ import annotations

import numpy as np

from pcapflow.reassembly.causes import Conflict
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.path import PATH_BYTES, Path
from pcapflow.reassembly.pending_run import Pieces, Rows, Segment
from pcapflow.reassembly.recent_bytes import History
from pcapflow.reassembly.sizing import Shadow
from pcapflow.streams.events import StreamData, StreamEvent


class Delivery:
    """Offsets and counts are bytes; times are ns of capture time."""

    __slots__ = (
        "captured", "closed_since", "conflicting", "delivered", "dropped", "events", "filled", "gaps", "heard", "history", "late", "missing", "next", "out_of_order", "out_of_window",
        "path", "pieces", "retransmitted", "ring_peak", "shadow", "syn",
    )  # fmt: skip

    def __init__(self) -> None:
        self.next = 0
        self.syn = False
        """Whether offset 0 is known from a SYN."""
        self.history = History()
        self.captured = self.delivered = self.retransmitted = self.conflicting = self.late = self.out_of_window = 0
        self.dropped = self.missing = self.gaps = self.filled = self.out_of_order = self.ring_peak = 0
        self.events: list[StreamEvent] = []
        self.pieces: Pieces | None = None
        self.path: Path | None = None
        """What the network did to it; None for nothing."""
        self.heard = -1
        """What its sender acknowledged last (`duplicate_acks`); -1 for nothing."""
        self.closed_since = -1
        """When its receiver said that it has no room (ns); -1 while it has."""
        self.shadow: Shadow | None = None
        """Made when a hole is given up for want of room."""

    def tell(self, ctx: Context, conflict: Conflict) -> None:
        """Bytes came again and were others."""
        raise NotImplementedError

    def on_path(self, ctx: Context) -> Path:
        """Something is to be counted; where there is no room for it, it is not."""
        if self.path is None:
            if not ctx.ledger.history.reserve(PATH_BYTES):
                return Path()
            self.path = Path()
        return self.path

    def hole_filled(self, ctx: Context) -> None:
        """Its last byte came."""
        self.filled += 1
        self.on_path(ctx).filled()

    def release(self, ctx: Context) -> None:
        """The connection is gone: give back what was kept to tell late bytes, and what was counted."""
        self.history.release(ctx.ledger.history)
        if self.path is not None:
            ctx.ledger.history.release(PATH_BYTES)
            self.path = None

    # --- bytes that are next

    def append(self, at: int, n: int, packet: int, ts: int, ack: int) -> None:
        """The next n bytes are at `at` in the block."""
        pieces = self.pieces
        if pieces is None:
            pieces = self.pieces = Pieces(self.next)
        self.next += n
        self.delivered += n
        pieces.append(at, self.next, packet, ts, ack)

    def append_run(self, rows: Rows, i: int, j: int, n: int) -> None:
        """The next n bytes are those of rows[i:j]."""
        if self.pieces is None:
            self.pieces = Pieces(self.next)
        self.pieces.extend(rows, i, j, self.next)
        self.next += n
        self.delivered += n

    def close_pieces(self, ctx: Context) -> None:
        """Turn the pieces collected so far into one event."""
        if self.pieces is not None:
            data = self.pieces.event(ctx.block.view)
            self.pieces = None
            self.events.append(data)
            self.remember_tail(ctx, data)

    def append_whole(self, ctx: Context, data: StreamData, *, ends: bool) -> None:
        """A whole run that begins at `next`: what its rows, one at a time, would have come to. ends: a FIN follows it."""
        n = data.length
        self.next += n
        self.captured += n
        self.delivered += n
        self.events.append(data)
        if not ends:
            self.remember_tail(ctx, data)

    def remember_tail(self, ctx: Context, data: StreamData) -> None:
        """Data was delivered: keep its tail."""
        keep = ctx.limits.history_bytes
        size = min(keep, data.length)
        self.history.remember(ctx.ledger.history, keep, data.take(data.length - size, size))

    # --- bytes seen before

    def keep_alive(self, n: int) -> None:
        """A keep-alive probe of n garbage bytes just below `next` (RFC 9293 section 3.8.4)."""
        self.captured += n
        self.retransmitted += n

    def repeated(self, ctx: Context, offset: int, at: int, n: int, segment: Segment) -> None:
        """[offset, offset + n) of a segment lies below `next`: put each byte into its bucket."""
        if offset < 0:
            before = min(n, -offset)
            if self.syn:
                self.out_of_window += before
            else:
                self.late += before
            offset += before
            at += before
            n -= before
        if n == 0:
            return
        for low, high, given_up in self.history.parts(offset, offset + n):
            if given_up:
                self.late += high - low
                if self.shadow is not None:
                    self.shadow.late(low, high)
            else:
                self._seen(ctx, low, at + low - offset, high - low, segment)

    def _seen(self, ctx: Context, offset: int, at: int, n: int, segment: Segment) -> None:
        """[offset, offset + n) was delivered: compare with what of it is still at hand."""
        reach = len(self.history.tail) + (self.pieces.length if self.pieces is not None else 0)
        oldest = self.next - min(reach, ctx.limits.history_bytes)
        if offset < oldest:
            unknown = min(n, oldest - offset)
            self.retransmitted += unknown
            offset += unknown
            at += unknown
            n -= unknown
        if n:
            differing = self.count(self._delivered(ctx, offset, offset + n), bytes(ctx.block.view[at : at + n]))
            if differing:
                self.tell(
                    ctx, Conflict(offset, differing, segment.start, segment.end, offset, offset + n, "original", segment.packet, segment.ts)
                )

    def count(self, first: bytes, second: bytes) -> int:
        """Puts the bytes of a second copy into their buckets; how many differ."""
        differing = 0
        if first != second:
            differing = int(np.count_nonzero(np.frombuffer(first, np.uint8) != np.frombuffer(second, np.uint8)))
        self.conflicting += differing
        self.retransmitted += len(first) - differing
        return differing

    def _delivered(self, ctx: Context, start: int, end: int) -> bytes:
        """The delivered bytes [start, end), all of which are in the history or the pieces."""
        pieces = self.pieces
        begin = pieces.start if pieces is not None else self.next
        tail = self.history.tail
        before = tail[len(tail) - (begin - start) : len(tail) - max(0, begin - end)] if start < begin else b""
        if end <= begin or pieces is None:
            return before
        return b"".join((before, *pieces.read(ctx.block.view, max(start - begin, 0), end - begin)))
