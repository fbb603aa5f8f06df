"""Where a chunked body goes on behind a hole in it: at a chunk's line that others confirm (RFC 9112 section 7.1).

Contract: `look` takes the bytes behind the hole in order and returns what shows itself first: a line whose size leads to another, and that to a third; lines that lead to a last
chunk, behind which a message begins or the stream ends (`at_end`); or a segment that begins with a message. `kept_until` gives what the body has from there on. Invariant: kept are
the bytes from the first line of a chain that may be confirmed, at most `http_resync_max_bytes`, reserved in the `http` account; what is found depends on offsets and segments, never on how
they were handed over. Time is linear: a line is looked at once, and at most _CHAINS_MAX chains wait for their next line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from pcapflow.budget import Account
from pcapflow.protocols.http1.search import FORM_OF, find_message
from pcapflow.streams.events import StreamData, Where, place

_LINE = re.compile(rb"(?<=\r\n)([0-9a-fA-F]{1,8})[ \t]{0,4}(?:;[^\r\n]{0,60})?\r\n")
"""A chunk's line, stricter than what is accepted in sequence: what was before it ended with a line break."""
_FIRST_LINE = re.compile(rb"(?:\r?\n)?(([0-9a-fA-F]{1,8})[ \t]{0,4}(?:;[^\r\n]{0,60})?\r\n)")
"""The same where the hole ends: it may have the line break, or a part of it."""
_LINE_BYTES = 80
"""No line of these is longer, with the line break in front of it."""
_TRAILER = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}:[^\r\n]{0,1024}\r\n){0,16}\r\n")
_TRAILER_BYTES = 4 << 10
_BEGINS = {"client": re.compile(rb"[A-Z]{3,16} [^\s]"), "server": re.compile(rb"HTTP/1\.[0-9] ")}
_BEGINS_BYTES = 18
"""What shows that a message begins is no longer."""
_CHAINS_MAX = 64
_CHAIN_BYTES = 320
_LINES = 3
"""So many lines that lead to one another are chunks."""
_FIRST_WINDOW, _WINDOW = 512, 64 << 10
"""Bytes looked at at one time: few where a search begins, which may begin again soon."""
PIECE_BYTES = 320
"""Reserved for the place of a segment of which something is kept (tests/protocols/test_resync.py measures it)."""


class Shown(NamedTuple):
    """Where the body goes on; None where it does not: a message begins at `until`. What shows it is known up to `until`, at the packet that brought the byte `told`."""

    goes_on: int | None
    until: int
    told: int


class _Piece(NamedTuple):
    """A segment of which something is kept: where it ends, when it was captured (ns), its acknowledgement number, and the packet that carried it."""

    end: int
    ts: int
    ack: int
    origin: int


_end = attrgetter("end")


class ChunkSearch:
    """One direction's."""

    __slots__ = (
        "_account",
        "_chains",
        "_earliest",
        "_kept",
        "_last",
        "_limit",
        "_lines_from",
        "_message",
        "_pieces",
        "_purge_at",
        "_reserved",
        "_side",
        "_start",
        "_trailer",
        "base",
        "lost",
    )

    def __init__(self, account: Account, limit: int, side: str) -> None:
        """side: `client` or `server`."""
        self._account = account
        self._limit = limit
        self._side = side
        self._reserved = 0
        self._message = -1, -1
        """Where the data begin in which the next segment that begins with a message was looked for, and its position there."""
        self._kept = bytearray()
        self._pieces: list[_Piece] = []
        self.begin(0)

    def begin(self, offset: int, *, last: bool = False) -> None:
        """The search begins at an offset. last: the body's last chunk was read up to there, and a message must follow."""
        self._start = self._lines_from = self.base = offset
        self.lost: Where | None = None
        """The first byte that was looked at and is not delivered."""
        self._chains: dict[int, tuple[int, ...]] = {}
        """By the offset at which a line must stand: the lines that led there."""
        self._earliest: int | None = None
        """The first line of any chain; None where it is not known: chains came or went."""
        self._purge_at = 0
        self._trailer: tuple[tuple[int, ...], int] | None = None
        """The lines that led to a last chunk, and where its trailer begins."""
        self._last: tuple[int, int] | None = (offset, offset) if last else None
        """Where the body goes on whose last chunk was seen, and where what follows that begins."""
        self._drop()

    def _drop(self) -> None:
        self._kept.clear()
        self._pieces.clear()
        self._account.release(self._reserved)
        self._reserved = 0

    # --- looking

    def look(self, data: StreamData, position: int, stop: int) -> Shown | None:
        """Bytes of data from a position up to stop; None where nothing shows, and they are kept as far as they may be wanted."""
        start = data.start
        if self.lost is None:
            self.lost = place(data, position)
        message = self._next_message(data, position)
        end = min(stop, message - start)
        at, window = position, _FIRST_WINDOW
        while at < end:
            n = min(window, end - at)
            window = min(2 * window, _WINDOW)
            tail = self._tail()
            text = bytes(tail) + data.take(at, n)
            self._append(data, at, at + n)
            shown = self._lines(text, start + at - len(tail), max(0, len(tail) - _LINE_BYTES))
            if shown is not None:
                return shown
            at += n
            self._trim(start + at)
        if end < stop:
            if self._last is not None and self._last[1] == message:
                return Shown(self._last[0], message, message)
            return Shown(None, message, message)
        return None

    def _next_message(self, data: StreamData, position: int) -> int:
        """The offset of the next segment that begins with a message; that of the end of data where none does."""
        start, at = self._message
        if start != data.start or at < position:
            at = find_message(data, position, FORM_OF[self._side])
            self._message = data.start, at
        return data.start + at

    def _tail(self) -> bytearray:
        """What was kept and may be the beginning of what comes."""
        wanted = self._trailer[1] if self._trailer is not None else self._last[1] if self._last is not None else self.base + len(self._kept)
        n = min(len(self._kept), max(_LINE_BYTES, self.base + len(self._kept) - wanted))
        return self._kept[len(self._kept) - n :]

    def _lines(self, text: bytes, base: int, fresh: int) -> Shown | None:
        """Lines in text, which begins at the offset base, from the position fresh on: what ends before was looked at, and so was what stands in front of `_lines_from`."""
        first = _FIRST_LINE.match(text) if base == self._start == self._lines_from else None
        found = ((line.start(), line.end(), line[1]) for line in _LINE.finditer(text, fresh))
        for begin, end, size in chain([(first.start(1), first.end(), first[2])] if first is not None else [], found):
            if base + begin < self._lines_from:
                continue
            shown = self._what_follows(text, end, base) if self._trailer is not None or self._last is not None else None
            if shown is not None:
                return shown
            self._lines_from = base + end
            shown = self._line(base + begin, base + end, int(size, 16))
            if shown is not None:
                return shown
        return self._what_follows(text, len(text), base) if self._trailer is not None or self._last is not None else None

    def _line(self, begin: int, end: int, size: int) -> Shown | None:
        """A line between two offsets."""
        lines = (*self._chains.pop(begin, ()), begin)[-_LINES:]
        self._earliest = None
        if not size:
            self._trailer = (lines, end)
            return None
        if len(lines) == _LINES:
            return Shown(self._first_of(lines, end), end, end - 1)
        if len(self._chains) >= _CHAINS_MAX and begin >= self._purge_at:
            self._chains = {at: lines for at, lines in self._chains.items() if at > begin}
            self._purge_at = min(self._chains, default=0)
        if len(self._chains) < _CHAINS_MAX:
            self._chains.setdefault(end + size + 2, lines)
        return None

    def _first_of(self, lines: tuple[int, ...], now: int) -> int:
        """The first of the lines of which all that follows may be kept."""
        return next(at for at in lines if at >= now - self._limit or at == lines[-1])

    def _what_follows(self, text: bytes, stop: int, base: int) -> Shown | None:
        """What of text, up to stop, stands behind a last chunk: its trailer, and a message."""
        if self._trailer is not None:
            lines, at = self._trailer
            begin, end = at - base, min(stop, at - base + _TRAILER_BYTES)
            ended = begin >= 0 and (text.startswith(b"\r\n", begin) or text.find(b"\r\n\r\n", begin, end) >= 0)
            match = _TRAILER.match(text, begin, end) if ended else None
            if match is not None:
                self._trailer, self._last = None, (self._first_of(lines, at), base + match.end())
            elif at < base or stop - (at - base) > _TRAILER_BYTES:
                self._trailer = None
        if self._last is not None:
            goes_on, at = self._last
            match = _BEGINS[self._side].match(text, at - base, stop) if base <= at < base + stop else None
            if match is not None:
                return Shown(goes_on, at, base + match.end() - 1)
            if at < base or base + stop - at >= _BEGINS_BYTES:
                self._last = None
        return None

    def at_end(self, offset: int) -> int | None:
        """Where the body goes on whose last chunk ends the stream, at that offset; None where it does not."""
        return self._last[0] if self._last is not None and self._last[1] == offset else None

    # --- what is kept

    @property
    def looked_to(self) -> int:
        """The offset up to which everything was looked at."""
        return self.base + len(self._kept)

    def _append(self, data: StreamData, begin: int, stop: int) -> None:
        """Data from a position up to stop is looked at."""
        self._kept += data.take(begin, stop - begin)
        ends = data.piece_ends()
        for i in range(bisect_right(ends, begin), len(ends)):
            self._pieces.append(_Piece(data.start + min(ends[i], stop), data.time(i), data.ack(i), data.origin(i)))
            if ends[i] >= stop:
                break

    def _trim(self, now: int) -> None:
        """Everything up to an offset was looked at: keep what may be wanted. Where there is no room for that, the search begins anew."""
        tail = self._tail_from(now)
        keep_from = max(self._wanted_from(now, tail), min(tail, now - self._limit))
        gone = max(0, keep_from - self.base)
        del self._kept[:gone]
        self.base += gone
        del self._pieces[: bisect_right(self._pieces, self.base, key=_end)]
        cost = len(self._kept) + PIECE_BYTES * len(self._pieces) + _CHAIN_BYTES * len(self._chains)
        if cost > self._reserved and not self._account.reserve(cost - self._reserved):
            lost = self.lost
            self.begin(now)
            self.lost = lost
            return
        if cost < self._reserved:
            self._account.release(self._reserved - cost)
        self._reserved = cost

    def _wanted_from(self, now: int, tail: int) -> int:
        """The first byte that a chain, or the last chunk that was seen, may want; where nothing does, the tail's. Segments may have a byte each: chains are asked where they changed, or where what the first one wants is no longer kept."""
        if self._earliest is None or self._earliest < now - self._limit:
            self._earliest = min((self._first_of(lines, now) for lines in self._chains.values()), default=now)
        wanted = [min(self._earliest, tail)]
        if self._trailer is not None:
            wanted.append(self._first_of(self._trailer[0], now))
        if self._last is not None:
            wanted.append(self._last[0])
        return min(wanted)

    def _tail_from(self, now: int) -> int:
        at = now - _LINE_BYTES
        if self._trailer is not None:
            at = min(at, self._trailer[1])
        if self._last is not None:
            at = min(at, self._last[1])
        return at

    def kept_from(self, begin: int, until: int, packet: int) -> StreamData | None:
        """What was kept between two offsets, as that packet delivered it; None for nothing."""
        if until <= begin:
            return None
        data = bytes(self._kept[begin - self.base : until - self.base])
        pieces = self._pieces[bisect_right(self._pieces, begin, key=_end) : bisect_right(self._pieces, until - 1, key=_end) + 1]
        ends = [min(piece.end, until) - begin for piece in pieces]
        return StreamData(
            memoryview(data), begin, len(data), [0, *ends[:-1]], ends, [packet] * len(pieces), [piece.ts for piece in pieces],
            [piece.ack for piece in pieces], None, [piece.origin for piece in pieces],
        )  # fmt: skip

    def place(self, offset: int) -> Where:
        """The place of a byte that is kept."""
        piece = self._pieces[bisect_right(self._pieces, offset, key=_end)]
        return Where(offset, piece.origin, piece.ts, piece.ack, piece.origin)

    def close(self) -> None:
        """Nothing is searched any more."""
        self._drop()
