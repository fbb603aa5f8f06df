"""HTTP/1 message framing of one direction (RFC 9112 sections 6 and 7), which survives gaps.

Contract: `read` takes `StreamData` from a position and yields what it finds (`events`); `position` is then how far it came: to the end, or not as far
where it was paused. `interruptions` has the other two events of a stream. Behind a head it goes on as `follows` says, which whoever takes the head sets. Body
bytes that nobody wants are skipped by counting and never joined.

Invariant: kept between calls is at most one unfinished line or head (`http_head_max_bytes`), reserved in the `http` account.
What it does depends on offsets and segments, never on how the stream was handed over. What looks at segments is the search for a message after a gap: a head that begins at
the first byte of one is believed (`search`); behind bytes that are of no message one may begin at any byte (`surplus`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator, Mapping, Sequence

from pcapflow.anomalies import Anomaly
from pcapflow.drops import Drop, DropReason
from pcapflow.protocols.host import Host
from pcapflow.protocols.http.body import BEGINS_BYTES
from pcapflow.protocols.http.cache import CACHED_HEAD_BYTES
from pcapflow.protocols.http.message import Head, HeadRead
from pcapflow.protocols.http1.chunks import between_chunks
from pcapflow.protocols.http1.events import BodyBegins, BodyBytes, BodyRead, Event, GivenUp, Odd, TrailerLine
from pcapflow.protocols.http1.first_line import MAY_BEGIN, request_line, status_line
from pcapflow.protocols.http1.framing import Framing
from pcapflow.protocols.http1.head import read_head, simple_response
from pcapflow.protocols.http1.refused import no_message, refuse_chunks, refused_body
from pcapflow.protocols.http1.search import FORM_OF, WINDOW, find_message, message_follows, stands_alone, surplus_follows
from pcapflow.protocols.http1.state import Refusal, State
from pcapflow.streams.events import StreamData, Where, place
from pcapflow.unread import Reading, Unread, UnreadReason

_WITHOUT_LINES = frozenset((State.SEARCH, State.RESYNC, State.REFUSED))
_LARGEST_WINDOW = 256 << 10
_END_BYTES = 3
"""Bytes of a head's end that may be there while its last one is not."""


class Framer(Framing):
    """Reads one direction of an HTTP/1 connection."""

    __slots__ = ("_cache",)

    def __init__(self, services: Host, side: str, reading: Reading, *, search: bool) -> None:
        """See `Framing`."""
        super().__init__(services, side, reading, search=search)
        self._cache: Mapping[bytes, Head] = services.heads.requests if side == "client" else services.heads.responses

    # One function: each window of every stream passes here; a generator within this one would cost more than the step.
    def read(self, data: StreamData, position: int, stop: int | None = None) -> Iterator[Event]:
        """What is found in data from a position on, up to stop where not to its end."""
        n = data.length if stop is None else stop
        if self.skip_until:
            until = min(self._skip(data), n)
            if until > position:
                self.not_read(UnreadReason.BEFORE_PROTOCOL, until - position, data, position)
                position = until
            if position >= n:
                self.position = n
                return
            self.skip_until = 0
        while position < n:
            state = self.state
            if state is State.OPAQUE:
                self.position = position
                return
            if self.paused_body or (self.paused and (state is State.HEAD or state is State.SEARCH)):
                self.window = WINDOW
                self.position = position
                return
            if self.may_be_unsent:
                self._look_for_message(data, position)
            elif state is State.SEARCH:
                position = self._search(data, position, n)
                self.window = WINDOW
            elif state is State.BODY or state is State.CHUNK_DATA:
                begin = position
                position = yield from self._body(data, position, n)
                self.reading.read += position - begin
            elif state is State.REFUSED:
                position = refused_body(self, data, position, n)
            elif state is State.RESYNC:
                position = yield from self.behind_hole().read(self, data, position, n)
                self.window = WINDOW
            else:
                size = min(self.window, n - position)
                before = self.stash.data
                stashed = len(before)
                view = before + data.take(position, size) if stashed else data.take(position, size)
                self.kept_at = self.stash.where
                used = yield from self._messages(data, position - stashed, view)
                self.reading.read += used
                if self.state is State.OPAQUE:
                    position += used - stashed
                elif used or self.state in _WITHOUT_LINES:
                    if not self.stash.data or self.stash.data is before:
                        if used < stashed:
                            # a head that is refused may end within what was kept: a first line may be longer than a head
                            self.not_read(self.searches_for, stashed - used, data, position - stashed + used)
                        self.stash.clear(self.services.ledger.http)
                    position += max(0, used - stashed)
                elif size == n - position:
                    self._keep(data, position - stashed, view)
                    position = n
                # more where a message is longer or it all was of use, so that what lies behind a message is not joined again for each
                self.window = min(self.window * 4 if not used or 2 * used > len(view) else max(WINDOW, 4 * used), _LARGEST_WINDOW)
            if self.found:
                yield from self.take_found()
        self.position = n
        if self.stash.data or not (self.state is State.HEAD or self.state is State.SEARCH):
            last = data.piece(n - 1)
            self.packet = data.packet(last)
            kept = self.stash.where
            if kept is not None and kept.offset >= data.start and (self.state is State.HEAD or self.state is State.SEARCH):
                # it began here: what came before was of another message
                self.begun_at, self.seen, self.waited = kept.offset, 0, 0
            self.seen = self.until(data, last)
            if data.waited:
                self.waited = self.seen
        else:
            self.seen = self.waited = 0

    def saw(self, seen: int, waited: int) -> None:
        """When those bytes had come, and when the latest of them that waited behind a hole; 0 for none."""
        self.seen, self.waited = seen, waited

    def prepend(self, stash: bytes, where: Where) -> Sequence[Event]:
        """Bytes of a message that a search found there."""
        self.state = State.HEAD
        if not self.stash.keep(self.services.ledger.http, stash, where):
            self.add(Unread(UnreadReason.LIMIT_REACHED.value, None, len(stash), where.offset, where.packet))
            self.lose(where.offset, UnreadReason.LIMIT_REACHED)
        return self.take_found()

    def _look_for_message(self, data: StreamData, position: int) -> None:
        """At the first byte of a body that may never have been sent: a message where it should begin means that it was not."""
        self.may_be_unsent = False
        if find_message(data, position, FORM_OF[self.side], position + 1) == position:
            self.add(Odd(Anomaly.BODY_NOT_SENT))
            self.resynchronised = True
            piece = data.piece(position)
            self.end_body(data.packet(piece), data.time(piece), whole=False)

    def _skip(self, data: StreamData) -> int:
        """The position of the first byte that a packet after `skip_until` brought."""
        i = bisect_right(data.columns()[0], self.skip_until)
        return data.piece_ends()[i - 1] if i else 0

    # One function: a table of states that each message passes; a call for each state would cost more than the state.
    def _messages(self, data: StreamData, base: int, view: bytes) -> Generator[Event, None, int]:
        """Heads, lines and short bodies that lie whole in view, which begins at position base. Returns the bytes consumed."""
        at = 0
        size = len(view)
        known = self._cache.get
        begins = MAY_BEGIN[self.side]
        by_packet = self.services.by_packet
        first, ends, packets, times, acks, carried = data.part(max(base, 0), base + size)
        waited = data.waited
        piece = bisect_right(ends, max(base, 0))
        while at < size:
            state = self.state
            if state is State.HEAD:
                if self.paused:
                    return at
                # a head seen before ends where its bytes end, so the plain search is enough for it
                stop = view.find(b"\r\n\r\n", at, at + CACHED_HEAD_BYTES) + 4
                head = known(view[at:stop]) if stop > 3 else None
                if head is None:
                    if self.first and self.side == "server" and self._begins_simply(data, base + at, view, at):
                        stop, head = at, simple_response()
                    else:
                        while view.startswith((b"\n", b"\r\n"), at):
                            at = view.index(b"\n", at) + 1  # empty lines before a message (RFC 9112 section 2.2)
                        stop, head = self._unknown_head(data, base + at, view, at)
                    if head is None:
                        return stop
                self.first = False
                position = base + at
                if position >= 0:
                    while ends[piece] <= position:
                        piece += 1
                    offset, packet, ts, ack = data.start + position, carried[piece], times[piece], acks[piece]
                    self.seen = self.waited = 0
                else:
                    offset, _, ts, ack, packet = self.where(data, position)
                self.begun_at = offset
                position = base + stop - 1
                while ends[piece] <= position:
                    piece += 1
                last_ts = self.until(data, first + piece) if waited or self.waited else times[piece]
                read = HeadRead(head, stop - at, offset, packet, ts, ack, packets[piece], last_ts)
                self.surplus = base + stop < ends[piece] and (view[stop] if stop < size else data.take(base + stop, 1)[0]) not in begins
                yield read
                framing = self.follows
                at = stop
                if framing == "none":
                    continue
                if framing == "refused" or framing == "no-memory":
                    self.add(GivenUp(self._refusal_of(head, framing), packets[piece], times[piece], offset, 0))
                    self.lose(data.start + base + at, UnreadReason.MALFORMED if framing == "refused" else UnreadReason.LIMIT_REACHED)
                    if framing == "no-memory" and message_follows(data, base + at, self.side):
                        self.state = State.HEAD
                    return at
                piecemeal = by_packet or self.paused_body or self.may_be_unsent
                if framing == "length" and at + head.length <= size and not (piecemeal and head.length):
                    stop = at + head.length
                    position = base + stop - 1
                    while ends[piece] <= position:
                        piece += 1
                    last_ts = self.until(data, first + piece) if waited or self.waited else times[piece]
                    if base + stop < ends[piece] and (view[stop] if stop < size else data.take(base + stop, 1)[0]) not in begins:
                        yield Odd(Anomaly.MORE_THAN_LENGTH)
                    yield BodyRead(read, view[at:stop], packets[piece], last_ts)
                    at = stop
                elif framing == "opaque":
                    self.opaque()
                    return at
                else:
                    self._begin_body(head, framing)
                    yield BodyBegins(read, framing)
                    if head.version == "0.9":
                        # an answer without a head: all that is here is its body
                        self._simple_answer(data, base, view, at)
                        return size
                    if piecemeal:
                        return at
            elif state is State.CHUNK_DATA:
                stop = min(size, at + self.remaining)
                if by_packet:
                    while ends[piece] <= base + at:
                        piece += 1
                    self.packet = packets[piece]
                    stop = min(stop, ends[piece] - base)
                shown = view[at:stop] if self.wanted else self._peek(view[at : min(stop, at + self.peeks)])
                yield BodyBytes(stop - at, shown, self.packet, data.start + base + at)
                self.remaining -= stop - at
                at = stop
                if not self.remaining:
                    self.state = State.CHUNK_END
            elif state is State.CHUNK_END or state is State.CHUNK_LINE or state is State.TRAILER:
                step = between_chunks(state, view, at, self.services.limits.http_chunk_line_max_bytes)
                begin, at = at, step.at
                for anomaly in step.odd:
                    yield Odd(anomaly)
                if step.refusal is not None:
                    if self.hole is not None and self.hole.doubtful:
                        self.hole.search(self, data.start + max(base + begin, 0))
                        return begin
                    if self.remaining < 0 and self.side == "server":
                        return begin + refuse_chunks(self, step.refusal, data, base + begin)
                    self.refuse(step.refusal, data, base + begin, at - begin)
                    return at
                if step.state is None:
                    return at
                if state is State.TRAILER is step.state and self.services.heads.rules.headers.some:
                    yield TrailerLine(view[begin:at])
                self.remaining = step.remaining
                self.state = step.state
                if step.state is State.HEAD:
                    last = data.piece(base + at - 1)
                    if self.hole is not None and self.hole.doubtful:
                        self.hole.needs_message(self, data.start + base + at, self.until(data, last))
                        return at
                    self.end_body(data.packet(last), self.until(data, last), whole=True)
                    yield from self.take_found()
            else:
                return at
        return at

    def _refusal_of(self, head: Head, framing: str) -> Drop:
        """Why the body behind a head is not read."""
        if framing == "no-memory":
            return Drop(DropReason.HTTP_MEMORY, *self.services.ledger.http.refusal(), "a response head")
        return Drop(DropReason.HTTP_AMBIGUOUS_LENGTH, "", 0, f"the body's length is not certain: {', '.join(head.anomalies)}")

    def _begins_simply(self, data: StreamData, base: int, view: bytes, at: int) -> bool:
        """Whether an answer without a head begins at a position: to a request of HTTP/0.9, and with something else than a status line."""
        begin = view[at : at + 5]
        return not b"HTTP/".startswith(begin) and self.where(data, base).packet >= self.simple_from

    def _simple_answer(self, data: StreamData, base: int, view: bytes, at: int) -> None:
        """The body of an answer without a head, from `at` on, which has the position base + at; packet by packet where the services want that."""
        ends = data.piece_ends()
        while at < len(view):
            stop = len(view)
            if self.services.by_packet:
                piece = bisect_right(ends, max(base + at, 0))
                self.packet = data.packet(piece)
                stop = min(stop, ends[piece] - base)
            else:
                self.packet = data.packet(-1)
            shown = view[at:stop] if self.wanted else self._peek(view[at : min(stop, at + self.peeks)])
            self.add(BodyBytes(stop - at, shown, self.packet, data.start + base + at))
            at = stop

    def _begin_body(self, head: Head, framing: str) -> None:
        self.wanted = bool(head.form) or self.services.looks_at_all
        self.peeks = 0 if self.wanted or head.codings else BEGINS_BYTES
        self.until_close = framing == "close"
        self.remaining = head.length
        self.state = State.CHUNK_LINE if framing == "chunked" else State.BODY

    def _peek(self, data: bytes) -> bytes:
        """The next of the first bytes of a body that nobody looks at: so many of them are shown."""
        self.peeks -= len(data)
        return data

    def _unknown_head(self, data: StreamData, base: int, view: bytes, at: int) -> tuple[int, Head | None]:
        """The head at `at`, which has the position base, and where it ends. Without a head: how much of view was consumed."""
        if at < len(view) and view[at] not in MAY_BEGIN[self.side]:
            return at + no_message(self, data, base, base, view[at : at + 1]), None
        stash, client = self.stash, self.side == "client"
        # what was kept from before is not looked at again; an end may begin in its last bytes
        searched = max(at, stash.searched - _END_BYTES) if base < 0 else at
        simple = client and self.first and stands_alone(data, base, view, at)
        found = read_head(view, at, searched, client=client, simple=simple, services=self.services)
        if found.head is not None:
            return found.stop, found.head
        # of whatever is refused, its first line: where it comes alone, no more is known
        line = view.find(b"\n", at, at + self.services.limits.http_head_max_bytes) + 1
        if line > max(at, at + stash.searched if base < 0 else at) and (request_line if client else status_line)(view[at:line]) is None:
            return at + no_message(self, data, base, base + line - 1 - at, view[at:line]), None
        if found.refusal is not None:
            self.refuse(found.refusal, data, base, found.stop - at)
        else:
            stash.searched = len(view) - at
        return found.stop, None

    def _body(self, data: StreamData, position: int, stop: int) -> Generator[Event, None, int]:
        """Body bytes from a position up to stop. Returns where it is then."""
        n = stop - position
        if not self.until_close:
            n = min(n, self.remaining)
            self.remaining -= n
        stop = position + n
        if self.wanted:
            at = position
            ends = data.piece_ends()
            while at < stop:
                size = min(_LARGEST_WINDOW, stop - at)
                if self.services.by_packet:
                    piece = bisect_right(ends, at)
                    size = min(size, ends[piece] - at)
                    self.packet = data.packet(piece)
                yield BodyBytes(size, data.take(at, size), self.packet, data.start + at)
                at += size
        else:
            yield BodyBytes(n, self._peek(data.take(position, min(n, self.peeks))) if self.peeks else b"", self.packet)
            if n > WINDOW:
                self.window = WINDOW
        if not self.until_close and self.remaining == 0:
            if self.state is State.CHUNK_DATA:
                self.state = State.CHUNK_END
            else:
                if surplus_follows(data, stop, self.side):
                    self.add(Odd(Anomaly.MORE_THAN_LENGTH))
                last = data.piece(stop - 1)
                self.end_body(data.packet(last), self.until(data, last), whole=True)
        return stop

    def _search(self, data: StreamData, position: int, stop: int) -> int:
        """The position before stop at which the next message begins, or stop."""
        if self.searches_for is UnreadReason.MALFORMED:
            from pcapflow.protocols.http1.surplus import search  # noqa: PLC0415 - few captures have bytes of no message

            return search(self, self.services.ledger.http, data, position, stop)
        found = min(find_message(data, position, FORM_OF[self.side], stop), stop)
        if found > position:
            self.resynchronised = True
            self.not_read(self.searches_for, found - position, data, position)
        if found < stop:
            self.state = State.HEAD
        return found

    def _keep(self, data: StreamData, base: int, view: bytes) -> None:
        """Keep an unfinished line or head until more comes; where memory is short, give it up."""
        account = self.services.ledger.http
        piece = data.piece(base + len(view) - 1)  # which need not be the last of data
        last = place(data, max(data.piece_ends()[piece - 1] if piece else 0, base))
        if not self.stash.keep(account, view, self.where(data, base) if base >= 0 else None, last):
            refusal = Refusal(DropReason.HTTP_MEMORY, *account.refusal(), len(view), f"{len(view)} bytes of a head")
            self.refuse(refusal, data, base, len(view))
            self.reading.read += len(view)
