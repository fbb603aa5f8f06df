"""Bytes of HTTP/1 that are refused: what begins no message, and a body whose chunks cannot be read.

Contract: `no_message` and `refuse_chunks` give up what is under way and say how many bytes are passed over; `refused_body` counts the bytes of such a body up to the next message. What is passed over
depends on offsets and segments, never on how the stream was handed over. Invariant: every byte that is passed over is unread with a reason.
"""

from __future__ import annotations

from pcapflow.drops import DropReason
from pcapflow.protocols.http1.events import BodyBytes
from pcapflow.protocols.http1.framing import Framing, why_unread
from pcapflow.protocols.http1.search import FORM_OF, begins_with, find_message
from pcapflow.protocols.http1.state import Refusal, State
from pcapflow.streams.events import StreamData

_SHOWN_BYTES = 40
"""What of bytes that are no message a drop record shows."""


def no_message(framer: Framing, data: StreamData, base: int, told: int, shown: bytes) -> int:
    """What stands at a position begins no message, as the byte at another told; shown: what is there up to that byte, which no cut of the stream changes. The
    next message is looked for from there on, but not before the segment in front of that byte's. Returns how many bytes are passed over.
    """
    ends, last = data.piece_ends(), framer.stash.last
    piece = data.piece(max(told, 0))
    segment = ends[piece - 2] if piece > 1 else 0
    if not piece and base < 0 <= told and last is not None:
        segment = last.offset - data.start
    begin = max(segment, base) if told >= 0 else 0
    refusal = Refusal(DropReason.HTTP_MALFORMED_HEAD, "", 0, told - base + 1, repr(shown[:_SHOWN_BYTES]))
    framer.refuse(refusal, data, base, begin - base)
    if begin < 0 and framer.stash.keep(framer.services.ledger.http, shown[begin - base : -base], last):
        framer.state = State.HEAD if begins_with(framer.stash.data, FORM_OF[framer.side]) else State.SEARCH
    return begin - base


def refuse_chunks(framer: Framing, refusal: Refusal, data: StreamData, position: int) -> int:
    """An answer's first chunk, at a position, has no line that can be read: its bytes are counted up to the next message, which is looked for from the segment on that told. Returns how many come before."""
    at = position + refusal.n - 1
    told, piece = framer.where(data, max(at, 0)), data.piece(max(at, 0))
    passed = max(data.piece_ends()[piece - 1] if piece else 0, position) - position
    framer.say_given_up(refusal, data.start + position, told)
    framer.refused_for = refusal.reason
    framer.searches_for = why_unread(refusal)
    framer.state = State.REFUSED
    if passed:
        framer.reading.read -= passed
        framer.not_read(framer.searches_for, passed, data, position)
        framer.add(BodyBytes(passed, b"", told.packet))
    return passed


def refused_body(framer: Framing, data: StreamData, position: int, stop: int) -> int:
    """Bytes of such an answer, from a position up to stop. Returns where it is then."""
    found = min(find_message(data, position, FORM_OF[framer.side], stop), stop)
    if found > 0:  # what came of the message before it may be in the same event
        last = data.piece(found - 1)
        framer.packet, framer.seen = data.packet(last), framer.until(data, last)
    if found > position:
        framer.add(BodyBytes(found - position, b"", framer.packet))
        framer.not_read(framer.searches_for, found - position, data, position)
    if found < stop:
        framer.resynchronised = True
        framer.end_body(data.packet(data.piece(found)), framer.seen, whole=False)  # the next message tells that it is over
    return found
