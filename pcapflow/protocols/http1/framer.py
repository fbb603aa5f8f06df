"""HTTP/1 message framing of one direction (RFC 9112 sections 6 and 7), which survives gaps.

Contract: `read` takes `StreamData` from a position and yields what it finds (`events`); `position` is then how far it came: to the end, or not as far
where it was paused. `gap` and `end` take the other two events of a stream. Behind a head it goes on as `follows` says, which whoever takes the head sets. Body
bytes that nobody wants are skipped by counting and never joined.

Invariant: kept between calls is at most one unfinished line or head (`http_head_max_bytes`), reserved in the `http` account.
What it does depends on offsets and segments, never on how the stream was handed over. What looks at segments is the search for a message after a gap: a head that begins at
the first byte of one is believed (`search`); behind bytes that are of no message one may begin at any byte (`surplus`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pcapflow.anomalies import Anomaly
from pcapflow.drops import Drop, DropReason
from pcapflow.protocols.host import Host
from pcapflow.protocols.http.body import BEGINS_BYTES
from pcapflow.protocols.http.cache import CACHED_HEAD_BYTES
from pcapflow.protocols.http.message import Head, HeadRead
from pcapflow.protocols.http1.chunks import between_chunks
from pcapflow.protocols.http1.events import (
    BodyBegins,
    BodyBytes,
    BodyEnds,
    BodyGap,
    BodyRead,
    Event,
    GivenUp,
    HeadCut,
    HeadsLost,
    Odd,
    TrailerLine,
)
from pcapflow.protocols.http1.first_line import MAY_BEGIN, request_line, status_line
from pcapflow.protocols.http1.head import cut_head, read_head, simple_response
from pcapflow.protocols.http1.search import FORM_OF, WINDOW, begins_with, find_message, message_follows, stands_alone, surplus_follows
from pcapflow.protocols.http1.stash import Stash
from pcapflow.protocols.http1.state import Refusal, State
from pcapflow.streams.events import NEVER, StreamData, StreamEnd, StreamGap, Where, place
from pcapflow.unread import Reading, Unread, UnreadReason

if TYPE_CHECKING:
    from pcapflow.protocols.http1.behind_hole import BehindHole

_BREAKS_THE_RULES = frozenset((DropReason.HTTP_MALFORMED_HEAD, DropReason.HTTP_MALFORMED_CHUNK))
_IN_CHUNKS = frozenset((State.CHUNK_DATA, State.CHUNK_LINE, State.CHUNK_END, State.RESYNC))
_WITHOUT_LINES = frozenset((State.SEARCH, State.RESYNC, State.REFUSED))
_LARGEST_WINDOW = 256 << 10
_SHOWN_BYTES = 40
"""What of bytes that are no message a drop record shows."""
_END_BYTES = 3
"""Bytes of a head's end that may be there while its last one is not."""


class Framer:
    """One direction of an HTTP/1 connection."""

    __slots__ = (
        "_begun_at", "_cache", "_found", "_hole", "_kept_at", "_peeks", "_refused", "_seen", "_waited", "_window", "first", "follows", "known_at", "may_be_unsent", "packet", "paused", "paused_body", "position", "reading", "remaining",
        "resynchronised", "searches_for", "services", "side", "simple_from", "skip_until", "stash", "state", "surplus", "until_close", "wanted",
    )  # fmt: skip

    surplus: bool
    """Behind the head that was yielded its segment goes on with bytes that begin no message: a body, if it has one."""
    _kept_at: Where | None
    """The place of the first byte that was kept from before the data at hand; set where heads and lines are looked for."""
    _refused: DropReason
    """Why the chunks of the body under way are not read, where its state is that."""
    _peeks: int
    """How many bytes more of a body are shown that nobody looks at; set where a body begins."""

    def __init__(self, services: Host, side: str, reading: Reading, *, search: bool) -> None:
        """side: `client` or `server`; reading: where it counts what it reads; search: it begins in the middle of a stream."""
        self.services = services
        self.side = side
        self.reading = reading
        self._found: list[Event] | None = None
        """What was found and not yielded yet."""
        self.position = 0
        """How far `read` came."""
        self.follows = ""
        """What follows the head that was yielded: `none`, `length`, `chunked`, `close`, `refused` (nobody can know), `no-memory`, or `opaque` for what is not HTTP/1."""
        self.simple_from = NEVER
        """The packet from which on a first answer may be one to a request of HTTP/0.9."""
        self.state = State.SEARCH if search else State.HEAD
        self.searches_for = UnreadReason.BEFORE_PROTOCOL
        """Why what a search passes over is not read."""
        self.paused = False
        """It goes no further than to the next message."""
        self.paused_body = False
        """It goes no further than to the body."""
        self.may_be_unsent = False
        """The body may never come: a message where it should begin means that."""
        self.first = not search
        """Nothing came before the message at hand."""
        self.resynchronised = False
        """The next message was found by a search that passed something over."""
        self._hole: BehindHole | None = None
        """Reads a chunked body behind a hole, where there was one."""
        self.remaining = 0
        self.until_close = False
        self.wanted = False
        """Somebody looks at the body."""
        self.known_at = 0
        """The packet that showed that this is HTTP: nothing was said of what came before."""
        self.skip_until = 0
        """Data of earlier packets came before it was known that this is HTTP."""
        self._begun_at = 0
        """Stream offset at which the message under way begins."""
        self._seen = 0
        """When it had come as far as the events before tell; 0 for nothing of it."""
        self._waited = 0
        """When the latest of its bytes was captured that waited behind a hole; 0 for none."""
        self.stash = Stash()
        """A line or head that has begun: where the stream ends, or has a hole, it may be told of."""
        self._window = WINDOW
        """Bytes joined at one time: more where messages are short, few where long bodies are skipped."""
        self._cache: Mapping[bytes, Head] = services.heads.requests if side == "client" else services.heads.responses
        self.packet = 0
        """The one that brought the body's latest bytes; of those at hand, where the services want bodies packet by packet."""

    def opaque(self) -> None:
        """What follows is not HTTP/1."""
        self.state = State.OPAQUE
        self.stash.clear(self.services.ledger.http)

    # --- events in

    # One function: each window of every stream passes here; a generator within this one would cost more than the step.
    def read(self, data: StreamData, position: int, stop: int | None = None) -> Iterator[Event]:
        """What is found in data from a position on, up to stop where not to its end."""
        n = data.length if stop is None else stop
        if self.skip_until:
            until = min(self._skip(data), n)
            if until > position:
                self._not_read(UnreadReason.BEFORE_PROTOCOL, until - position, data, position)
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
                self._window = WINDOW
                self.position = position
                return
            if self.may_be_unsent:
                self._look_for_message(data, position)
            elif state is State.SEARCH:
                position = self._search(data, position, n)
                self._window = WINDOW
            elif state is State.BODY or state is State.CHUNK_DATA:
                begin = position
                position = yield from self._body(data, position, n)
                self.reading.read += position - begin
            elif state is State.REFUSED:
                position = self._refused_body(data, position, n)
            elif state is State.RESYNC:
                position = yield from self._behind_hole().read(self, data, position, n)
                self._window = WINDOW
            else:
                size = min(self._window, n - position)
                before = self.stash.data
                stashed = len(before)
                view = before + data.take(position, size) if stashed else data.take(position, size)
                self._kept_at = self.stash.where
                used = yield from self._messages(data, position - stashed, view)
                self.reading.read += used
                if self.state is State.OPAQUE:
                    position += used - stashed
                elif used or self.state in _WITHOUT_LINES:
                    if not self.stash.data or self.stash.data is before:
                        if used < stashed:
                            # a head that is refused may end within what was kept: a first line may be longer than a head
                            self._not_read(self.searches_for, stashed - used, data, position - stashed + used)
                        self.stash.clear(self.services.ledger.http)
                    position += max(0, used - stashed)
                elif size == n - position:
                    self._keep(data, position - stashed, view)
                    position = n
                # more where a message is longer or it all was of use, so that what lies behind a message is not joined again for each
                self._window = min(self._window * 4 if not used or 2 * used > len(view) else max(WINDOW, 4 * used), _LARGEST_WINDOW)
            if self._found:
                yield from self.take_found()
        self.position = n
        if self.stash.data or not (self.state is State.HEAD or self.state is State.SEARCH):
            last = data.piece(n - 1)
            self.packet = data.packet(last)
            kept = self.stash.where
            if kept is not None and kept.offset >= data.start and (self.state is State.HEAD or self.state is State.SEARCH):
                # it began here: what came before was of another message
                self._begun_at, self._seen, self._waited = kept.offset, 0, 0
            self._seen = self._until(data, last)
            if data.waited:
                self._waited = self._seen
        else:
            self._seen = self._waited = 0

    def add(self, event: Event) -> None:
        """Something was found, which is yielded soon."""
        if self._found is None:
            self._found = [event]
        else:
            self._found.append(event)

    def take_found(self) -> Sequence[Event]:
        """What was found and not yielded yet."""
        found, self._found = self._found, None
        return found or ()

    def gap(self, gap: StreamGap) -> Sequence[Event]:
        """Bytes are missing: what that means."""
        n = gap.length
        state = self.state
        self.may_be_unsent = False
        self.packet = gap.packet
        if state is State.OPAQUE:
            return ()
        if state is State.SEARCH:
            self._end_search()
            return self.take_found()
        if state is State.BODY:
            inside = n if self.until_close else min(n, self.remaining)
            self.add(BodyGap(inside, gap.packet))
            if not self.until_close:
                self.remaining -= inside
                if self.remaining == 0:
                    self.end_body(gap.packet, self._seen or gap.ts, whole=True)
            if n > inside:
                self.lose(gap.start + inside)
            return self.take_found()
        if state in _IN_CHUNKS:
            self.add(BodyGap(n, gap.packet))
            if state is State.CHUNK_DATA and n <= self.remaining:
                self.remaining -= n
                self.state = State.CHUNK_DATA if self.remaining else State.CHUNK_END
                return self.take_found()
            self._stash_is_read()
            self._behind_hole().begin(self, gap.start, gap.start + n)
            return self.take_found()
        if state is not State.HEAD:
            self.add(BodyGap(n, gap.packet))
            self.end_body(gap.packet, self._seen or gap.ts, whole=False)
            self._stash_is_read()
        elif self.stash.data:
            self._report_cut_head(gap.packet, self._seen or gap.ts, UnreadReason.BEHIND_LOSS)
        self.lose(gap.start)
        return self.take_found()

    def end(self, end: StreamEnd) -> Sequence[Event]:
        """The stream ended: what that means."""
        if self.state is State.BODY and self.until_close:
            whole = end.kind == "fin"
            self.end_body(end.packet, max(end.ts, self._waited) if whole else self._seen or end.ts, whole=whole)
        elif self.state is State.SEARCH:
            self._end_search()
        elif self.state not in (State.HEAD, State.OPAQUE):
            if self.state is State.RESYNC:
                self._behind_hole().end(self, end, self._seen or end.ts)
            else:
                self.end_body(end.packet, self._seen or end.ts, whole=False)
                self._stash_is_read()
        elif self.stash.data and self.state is State.HEAD:
            reason = UnreadReason.MALFORMED if end.kind == "fin" else UnreadReason.BEHIND_LOSS
            self._report_cut_head(end.packet, self._seen or end.ts, reason)
        self.opaque()
        return () if self._found is None else self.take_found()

    def give_up(self, held: int) -> Sequence[Event]:
        """There is no memory for the exchange whose body is under way: the next message is looked for. held: bytes that it wanted."""
        self.may_be_unsent = False
        offset = self._begun_at
        drop = Drop(DropReason.HTTP_MEMORY, *self.services.ledger.http.refusal(), "an exchange whose body is under way")
        self.end_body(self.packet, self._seen, whole=False, refused=drop.reason)
        self.add(GivenUp(drop, self.packet, self._seen, offset, held))
        self._stash_is_read()
        if self._hole is not None:
            self._hole.lose(self, None, UnreadReason.LIMIT_REACHED)
            self._hole.close()
        self.lose(offset, UnreadReason.LIMIT_REACHED)
        return self.take_found()

    def _stash_is_read(self) -> None:
        """What was kept is of a message's framing, of which no more comes."""
        self.reading.read += len(self.stash.data)
        self.stash.clear(self.services.ledger.http)

    def _not_read(self, reason: UnreadReason, n: int, data: StreamData, position: int) -> None:
        """n bytes from a position of data on are not read; below 0 that is in what was kept from before."""
        if n:
            packet = self._where(data, position).packet
            self.add(Unread(reason.value, None, n, data.start + position, packet))

    def lose(self, offset: int, reason: UnreadReason = UnreadReason.BEHIND_LOSS) -> None:
        """Framing is lost from an offset on, for that reason: look for the next message."""
        self.stash.clear(self.services.ledger.http)
        self.searches_for = reason
        self.state = State.SEARCH
        self.resynchronised = True
        self.first = False
        self.add(HeadsLost(offset))

    # --- what came before it was known that this is HTTP

    def saw(self, seen: int, waited: int) -> None:
        """When those bytes had come, and when the latest of them that waited behind a hole; 0 for none."""
        self._seen, self._waited = seen, waited

    def prepend(self, stash: bytes, where: Where) -> Sequence[Event]:
        """Bytes of a message that a search found there."""
        self.state = State.HEAD
        if not self.stash.keep(self.services.ledger.http, stash, where):
            self.add(Unread(UnreadReason.LIMIT_REACHED.value, None, len(stash), where.offset, where.packet))
            self.lose(where.offset, UnreadReason.LIMIT_REACHED)
        return self.take_found()

    # --- where and when

    def _where(self, data: StreamData, position: int) -> Where:
        """The place of a byte at a position of data; a position below 0 is in what was kept from before."""
        if position < 0:
            assert self._kept_at is not None
            return self._kept_at._replace(offset=data.start + position)
        return place(data, position)

    def _until(self, data: StreamData, piece: int) -> int:
        """When the latest byte was captured that the message under way has up to a piece of data."""
        if not data.waited:
            return max(data.time(piece), self._waited)
        return max(data.latest(data.piece(max(self._begun_at - data.start, 0)), piece), self._waited, self._seen)

    # --- inside

    def _report_cut_head(self, packet: int, ts: int, reason: UnreadReason) -> None:
        """No more of the head that was kept will come: what its whole lines say. reason: why they are not read where that is nothing."""
        where = self.stash.where
        assert where is not None
        head = cut_head(self.stash.data, self.side, self.services.heads.rules)
        if head is not None:
            self.add(HeadCut(head, where, packet, ts, self.resynchronised))
            self._stash_is_read()
        else:
            self.add(Unread(reason.value, None, len(self.stash.data), where.offset, where.packet))
            self.stash.clear(self.services.ledger.http)

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
        ends = data.piece_ends()
        packets, times, acks = data.columns()
        carried = data.origins()
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
                    self._seen = self._waited = 0
                else:
                    offset, _, ts, ack, packet = self._where(data, position)
                self._begun_at = offset
                position = base + stop - 1
                while ends[piece] <= position:
                    piece += 1
                last_ts = self._until(data, piece) if waited or self._waited else times[piece]
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
                    last_ts = self._until(data, piece) if waited or self._waited else times[piece]
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
                shown = view[at:stop] if self.wanted else self._peek(view[at : min(stop, at + self._peeks)])
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
                    if self._hole is not None and self._hole.doubtful:
                        self._hole.search(self, data.start + max(base + begin, 0))
                        return begin
                    if self.remaining < 0 and self.side == "server":
                        return begin + self._refuse_chunks(step.refusal, data, base + begin)
                    self._refuse(step.refusal, data, base + begin, at - begin)
                    return at
                if step.state is None:
                    return at
                if state is State.TRAILER is step.state and self.services.heads.rules.headers.some:
                    yield TrailerLine(view[begin:at])
                self.remaining = step.remaining
                self.state = step.state
                if step.state is State.HEAD:
                    last = data.piece(base + at - 1)
                    if self._hole is not None and self._hole.doubtful:
                        self._hole.needs_message(self, data.start + base + at, self._until(data, last))
                        return at
                    self.end_body(data.packet(last), self._until(data, last), whole=True)
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
        return not b"HTTP/".startswith(begin) and self._where(data, base).packet >= self.simple_from

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
            shown = view[at:stop] if self.wanted else self._peek(view[at : min(stop, at + self._peeks)])
            self.add(BodyBytes(stop - at, shown, self.packet, data.start + base + at))
            at = stop

    def _begin_body(self, head: Head, framing: str) -> None:
        self.wanted = bool(head.form) or self.services.looks_at_all
        self._peeks = 0 if self.wanted or head.codings else BEGINS_BYTES
        self.until_close = framing == "close"
        self.remaining = head.length
        self.state = State.CHUNK_LINE if framing == "chunked" else State.BODY

    def _peek(self, data: bytes) -> bytes:
        """The next of the first bytes of a body that nobody looks at: so many of them are shown."""
        self._peeks -= len(data)
        return data

    def _unknown_head(self, data: StreamData, base: int, view: bytes, at: int) -> tuple[int, Head | None]:
        """The head at `at`, which has the position base, and where it ends. Without a head: how much of view was consumed."""
        if at < len(view) and view[at] not in MAY_BEGIN[self.side]:
            return at + self._no_message(data, base, base, view[at : at + 1]), None
        stash, client = self.stash, self.side == "client"
        # what was kept from before is not looked at again; an end may begin in its last bytes
        searched = max(at, stash.searched - _END_BYTES) if base < 0 else at
        simple = client and self.first and stands_alone(data, base, view, at)
        found = read_head(view, at, searched, client=client, simple=simple, services=self.services)
        if found.head is not None:
            return found.stop, found.head
        line = (
            view.find(b"\n", at, at + self.services.limits.http_head_max_bytes) + 1
        )  # of whatever is refused: where it comes alone, no more is known
        if line > max(at, at + stash.searched if base < 0 else at) and (request_line if client else status_line)(view[at:line]) is None:
            return at + self._no_message(data, base, base + line - 1 - at, view[at:line]), None
        if found.refusal is not None:
            self._refuse(found.refusal, data, base, found.stop - at)
        else:
            stash.searched = len(view) - at
        return found.stop, None

    def _no_message(self, data: StreamData, base: int, told: int, shown: bytes) -> int:
        """What stands at a position begins no message, as the byte at another told; shown: what is there up to that byte, which no cut of the stream changes. The
        next message is looked for from there on, but not before the segment in front of that byte's. Returns how many bytes are passed over.
        """
        ends, last = data.piece_ends(), self.stash.last
        piece = data.piece(max(told, 0))
        segment = ends[piece - 2] if piece > 1 else 0
        if not piece and base < 0 <= told and last is not None:
            segment = last.offset - data.start
        begin = max(segment, base) if told >= 0 else 0
        refusal = Refusal(DropReason.HTTP_MALFORMED_HEAD, "", 0, told - base + 1, repr(shown[:_SHOWN_BYTES]))
        self._refuse(refusal, data, base, begin - base)
        if begin < 0 and self.stash.keep(self.services.ledger.http, shown[begin - base : -base], last):
            self.state = State.HEAD if begins_with(self.stash.data, FORM_OF[self.side]) else State.SEARCH
        return begin - base

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
            yield BodyBytes(n, self._peek(data.take(position, min(n, self._peeks))) if self._peeks else b"", self.packet)
            if n > WINDOW:
                self._window = WINDOW
        if not self.until_close and self.remaining == 0:
            if self.state is State.CHUNK_DATA:
                self.state = State.CHUNK_END
            else:
                if surplus_follows(data, stop, self.side):
                    self.add(Odd(Anomaly.MORE_THAN_LENGTH))
                last = data.piece(stop - 1)
                self.end_body(data.packet(last), self._until(data, last), whole=True)
        return stop

    def _behind_hole(self) -> BehindHole:
        """What reads a chunked body behind a hole."""
        if self._hole is None:
            from pcapflow.protocols.http1.behind_hole import BehindHole  # noqa: PLC0415 - few captures need it

            self._hole = BehindHole(self.services, self.side)
        return self._hole

    def end_body(self, packet: int, ts: int, *, whole: bool, refused: DropReason | None = None) -> None:
        """The body under way is over."""
        self.packet = packet
        if self.state is State.REFUSED:
            refused = self._refused
        self.state = State.HEAD
        self.until_close = False
        if self._hole is not None:
            self._hole.doubtful = False
        self.add(BodyEnds(packet, ts, whole, refused))

    def _search(self, data: StreamData, position: int, stop: int) -> int:
        """The position before stop at which the next message begins, or stop."""
        if self.searches_for is UnreadReason.MALFORMED:
            from pcapflow.protocols.http1.surplus import search  # noqa: PLC0415 - few captures have bytes of no message

            return search(self, self.services.ledger.http, data, position, stop)
        found = min(find_message(data, position, FORM_OF[self.side], stop), stop)
        if found > position:
            self.resynchronised = True
            self._not_read(self.searches_for, found - position, data, position)
        if found < stop:
            self.state = State.HEAD
        return found

    def _end_search(self) -> None:
        """No more comes of a start line that may have begun."""
        where = self.stash.where
        if where is not None:
            self.add(Unread(self.searches_for.value, None, len(self.stash.data), where.offset, where.packet))
            self.stash.clear(self.services.ledger.http)

    def _refuse_chunks(self, refusal: Refusal, data: StreamData, position: int) -> int:
        """An answer's first chunk, at a position, has no line that can be read: its bytes are counted up to the next message, which is looked for from the segment on that told. Returns how many come before."""
        at = position + refusal.n - 1
        told, piece = self._where(data, max(at, 0)), data.piece(max(at, 0))
        passed = max(data.piece_ends()[piece - 1] if piece else 0, position) - position
        self._give_up(refusal, data.start + position, told)
        self._refused = refusal.reason
        self.searches_for = _why_unread(refusal)
        self.state = State.REFUSED
        if passed:
            self.reading.read -= passed
            self._not_read(self.searches_for, passed, data, position)
            self.add(BodyBytes(passed, b"", told.packet))
        return passed

    def _refused_body(self, data: StreamData, position: int, stop: int) -> int:
        """Bytes of such an answer, from a position up to stop. Returns where it is then."""
        found = min(find_message(data, position, FORM_OF[self.side], stop), stop)
        if found > 0:  # what came of the message before it may be in the same event
            last = data.piece(found - 1)
            self.packet, self._seen = data.packet(last), self._until(data, last)
        if found > position:
            self.add(BodyBytes(found - position, b"", self.packet))
            self._not_read(self.searches_for, found - position, data, position)
        if found < stop:
            self.resynchronised = True
            self.end_body(data.packet(data.piece(found)), self._seen, whole=False)  # the next message tells that it is over
        return found

    def _refuse(self, refusal: Refusal, data: StreamData, position: int, passed: int) -> None:
        """Give the message up and look for the next one. The trouble begins at that position of data; so many bytes from there on are passed over, which
        the caller counts as read.
        """
        reason = _why_unread(refusal)
        self.reading.read -= passed
        self._not_read(reason, passed, data, position)
        told = self._where(data, max(position + refusal.n - 1, 0))
        if self.state is not State.HEAD:
            self.end_body(told.packet, told.ts, whole=False, refused=refusal.reason)
        self._give_up(refusal, data.start + position, told)
        self.lose(data.start + position, reason)

    def _give_up(self, refusal: Refusal, offset: int, told: Where) -> None:
        """Say what is refused, from that offset of the stream on; told: the place of the byte that showed it."""
        drop = Drop(refusal.reason, refusal.limit, refusal.value, refusal.detail)
        self.add(GivenUp(drop, max(told.packet, self.known_at), told.ts, offset, refusal.n))

    def _keep(self, data: StreamData, base: int, view: bytes) -> None:
        """Keep an unfinished line or head until more comes; where memory is short, give it up."""
        account = self.services.ledger.http
        piece = data.piece(base + len(view) - 1)  # which need not be the last of data
        last = place(data, max(data.piece_ends()[piece - 1] if piece else 0, base))
        if not self.stash.keep(account, view, self._where(data, base) if base >= 0 else None, last):
            refusal = Refusal(DropReason.HTTP_MEMORY, *account.refusal(), len(view), f"{len(view)} bytes of a head")
            self._refuse(refusal, data, base, len(view))
            self.reading.read += len(view)


def _why_unread(refusal: Refusal) -> UnreadReason:
    """Why the bytes of what is refused are not read."""
    return UnreadReason.MALFORMED if refusal.reason in _BREAKS_THE_RULES else UnreadReason.LIMIT_REACHED
