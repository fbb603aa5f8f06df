"""What interrupts a message of HTTP/1: missing bytes, the end of the stream, want of memory.

Contract: `gap` and `end` take those two events of a stream, `give_up` ends a body for which there is no memory; each returns what that means for the message under way. Invariant: every byte that was
kept is then counted, as read or as unread with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from pcapflow.drops import Drop, DropReason
from pcapflow.protocols.http1.events import BodyGap, Event, GivenUp, HeadCut
from pcapflow.protocols.http1.framer import Framer
from pcapflow.protocols.http1.head import cut_head
from pcapflow.protocols.http1.state import State
from pcapflow.streams.events import StreamEnd, StreamGap
from pcapflow.unread import Unread, UnreadReason

_IN_CHUNKS = frozenset((State.CHUNK_DATA, State.CHUNK_LINE, State.CHUNK_END, State.RESYNC))


def gap(framer: Framer, missing: StreamGap) -> Sequence[Event]:
    """Bytes are missing: what that means."""
    n = missing.length
    state = framer.state
    framer.may_be_unsent = False
    framer.packet = missing.packet
    if state is State.OPAQUE:
        return ()
    if state is State.SEARCH:
        _end_search(framer)
        return framer.take_found()
    if state is State.BODY:
        inside = n if framer.until_close else min(n, framer.remaining)
        framer.add(BodyGap(inside, missing.packet))
        if not framer.until_close:
            framer.remaining -= inside
            if framer.remaining == 0:
                framer.end_body(missing.packet, framer.seen or missing.ts, whole=True)
        if n > inside:
            framer.lose(missing.start + inside)
        return framer.take_found()
    if state in _IN_CHUNKS:
        framer.add(BodyGap(n, missing.packet))
        if state is State.CHUNK_DATA and n <= framer.remaining:
            framer.remaining -= n
            framer.state = State.CHUNK_DATA if framer.remaining else State.CHUNK_END
            return framer.take_found()
        framer.stash_is_read()
        framer.behind_hole().begin(framer, missing.start, missing.start + n)
        return framer.take_found()
    if state is not State.HEAD:
        framer.add(BodyGap(n, missing.packet))
        framer.end_body(missing.packet, framer.seen or missing.ts, whole=False)
        framer.stash_is_read()
    elif framer.stash.data:
        _report_cut_head(framer, missing.packet, framer.seen or missing.ts, UnreadReason.BEHIND_LOSS)
    framer.lose(missing.start)
    return framer.take_found()


def end(framer: Framer, over: StreamEnd) -> Sequence[Event]:
    """The stream ended: what that means."""
    if framer.state is State.BODY and framer.until_close:
        whole = over.kind == "fin"
        framer.end_body(over.packet, max(over.ts, framer.waited) if whole else framer.seen or over.ts, whole=whole)
    elif framer.state is State.SEARCH:
        _end_search(framer)
    elif framer.state not in (State.HEAD, State.OPAQUE):
        if framer.state is State.RESYNC:
            framer.behind_hole().end(framer, over, framer.seen or over.ts)
        else:
            framer.end_body(over.packet, framer.seen or over.ts, whole=False)
            framer.stash_is_read()
    elif framer.stash.data and framer.state is State.HEAD:
        reason = UnreadReason.MALFORMED if over.kind == "fin" else UnreadReason.BEHIND_LOSS
        _report_cut_head(framer, over.packet, framer.seen or over.ts, reason)
    framer.opaque()
    framer.ended = over.kind
    return () if framer.found is None else framer.take_found()


def give_up(framer: Framer, held: int) -> Sequence[Event]:
    """There is no memory for the exchange whose body is under way: the next message is looked for. held: bytes that it wanted."""
    framer.may_be_unsent = False
    offset = framer.begun_at
    drop = Drop(DropReason.HTTP_MEMORY, *framer.services.ledger.http.refusal(), "an exchange whose body is under way")
    framer.end_body(framer.packet, framer.seen, whole=False, refused=drop.reason)
    framer.add(GivenUp(drop, framer.packet, framer.seen, offset, held))
    framer.stash_is_read()
    if framer.hole is not None:
        framer.hole.lose(framer, None, UnreadReason.LIMIT_REACHED)
        framer.hole.close()
    framer.lose(offset, UnreadReason.LIMIT_REACHED)
    return framer.take_found()


def _report_cut_head(framer: Framer, packet: int, ts: int, reason: UnreadReason) -> None:
    """No more of the head that was kept will come: what its whole lines say. reason: why they are not read where that is nothing."""
    where = framer.stash.where
    assert where is not None
    head = cut_head(framer.stash.data, framer.side, framer.services.heads.rules)
    if head is not None:
        framer.add(HeadCut(head, where, packet, ts, framer.resynchronised))
        framer.stash_is_read()
    else:
        framer.add(Unread(reason.value, None, len(framer.stash.data), where.offset, where.packet))
        framer.stash.clear(framer.services.ledger.http)


def _end_search(framer: Framer) -> None:
    """No more comes of a start line that may have begun."""
    where = framer.stash.where
    if where is not None:
        framer.add(Unread(framer.searches_for.value, None, len(framer.stash.data), where.offset, where.packet))
        framer.stash.clear(framer.services.ledger.http)
