"""Where in HTTP/1 one direction is, and what was found there: the state that its framer, and who reads the odd parts of it, share.

Contract: whoever reads a stream moves `state` on and adds what it finds (`add`); the framer yields that in order. `lose` and `refuse` end what is under way and begin a search for the next
message, `end_body` ends the body. Invariant: kept between calls is at most one unfinished line or head (`http_head_max_bytes`), reserved in the `http` account.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pcapflow.drops import Drop, DropReason
from pcapflow.protocols.host import Host
from pcapflow.protocols.http1.events import BodyEnds, Event, GivenUp, HeadsLost
from pcapflow.protocols.http1.search import WINDOW
from pcapflow.protocols.http1.stash import Stash
from pcapflow.protocols.http1.state import Refusal, State
from pcapflow.streams.events import NEVER, StreamData, Where, place
from pcapflow.unread import Reading, Unread, UnreadReason

if TYPE_CHECKING:
    from pcapflow.protocols.http1.behind_hole import BehindHole

_BREAKS_THE_RULES = frozenset((DropReason.HTTP_MALFORMED_HEAD, DropReason.HTTP_MALFORMED_CHUNK))


class Framing:
    """One direction of an HTTP/1 connection."""

    __slots__ = (
        "begun_at", "ended", "first", "follows", "found", "hole", "kept_at", "known_at", "may_be_unsent", "packet", "paused", "paused_body", "peeks", "position", "reading", "refused_for", "remaining",
        "resynchronised", "searches_for", "seen", "services", "side", "simple_from", "skip_until", "stash", "state", "surplus", "until_close", "waited", "wanted", "window",
    )  # fmt: skip

    surplus: bool
    """Behind the head that was yielded its segment goes on with bytes that begin no message: a body, if it has one."""
    kept_at: Where | None
    """The place of the first byte that was kept from before the data at hand; set where heads and lines are looked for."""
    refused_for: DropReason
    """Why the chunks of the body under way are not read, where its state is that."""
    peeks: int
    """How many bytes more of a body are shown that nobody looks at; set where a body begins."""

    def __init__(self, services: Host, side: str, reading: Reading, *, search: bool) -> None:
        """side: `client` or `server`; reading: where it counts what it reads; search: it begins in the middle of a stream."""
        self.services = services
        self.side = side
        self.reading = reading
        self.found: list[Event] | None = None
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
        self.ended = ""
        """How its stream did, as `StreamEnd` has it; empty before."""
        self.hole: BehindHole | None = None
        """Reads a chunked body behind a hole, where there was one."""
        self.remaining = 0
        self.until_close = False
        self.wanted = False
        """Somebody looks at the body."""
        self.known_at = 0
        """The packet that showed that this is HTTP: nothing was said of what came before."""
        self.skip_until = 0
        """Data of earlier packets came before it was known that this is HTTP."""
        self.begun_at = 0
        """Stream offset at which the message under way begins."""
        self.seen = 0
        """When it had come as far as the events before tell; 0 for nothing of it."""
        self.waited = 0
        """When the latest of its bytes was captured that waited behind a hole; 0 for none."""
        self.stash = Stash()
        """A line or head that has begun: where the stream ends, or has a hole, it may be told of."""
        self.window = WINDOW
        """Bytes joined at one time: more where messages are short, few where long bodies are skipped."""
        self.packet = 0
        """The one that brought the body's latest bytes; of those at hand, where the services want bodies packet by packet."""

    def opaque(self) -> None:
        """What follows is not HTTP/1."""
        self.state = State.OPAQUE
        self.stash.clear(self.services.ledger.http)

    def add(self, event: Event) -> None:
        """Something was found, which is yielded soon."""
        if self.found is None:
            self.found = [event]
        else:
            self.found.append(event)

    def take_found(self) -> Sequence[Event]:
        """What was found and not yielded yet."""
        found, self.found = self.found, None
        return found or ()

    def stash_is_read(self) -> None:
        """What was kept is of a message's framing, of which no more comes."""
        self.reading.read += len(self.stash.data)
        self.stash.clear(self.services.ledger.http)

    def not_read(self, reason: UnreadReason, n: int, data: StreamData, position: int) -> None:
        """n bytes from a position of data on are not read; below 0 that is in what was kept from before."""
        if n:
            packet = self.where(data, position).packet
            self.add(Unread(reason.value, None, n, data.start + position, packet))

    def lose(self, offset: int, reason: UnreadReason = UnreadReason.BEHIND_LOSS) -> None:
        """Framing is lost from an offset on, for that reason: look for the next message."""
        self.stash.clear(self.services.ledger.http)
        self.searches_for = reason
        self.state = State.SEARCH
        self.resynchronised = True
        self.first = False
        self.add(HeadsLost(offset, reason))

    def end_body(self, packet: int, ts: int, *, whole: bool, refused: DropReason | None = None) -> None:
        """The body under way is over."""
        self.packet = packet
        if self.state is State.REFUSED:
            refused = self.refused_for
        self.state = State.HEAD
        self.until_close = False
        if self.hole is not None:
            self.hole.doubtful = False
        self.add(BodyEnds(packet, ts, whole, refused))

    def refuse(self, refusal: Refusal, data: StreamData, position: int, passed: int) -> None:
        """Give the message up and look for the next one. The trouble begins at that position of data; so many bytes from there on are passed over, which
        the caller counts as read.
        """
        reason = why_unread(refusal)
        self.reading.read -= passed
        self.not_read(reason, passed, data, position)
        told = self.where(data, max(position + refusal.n - 1, 0))
        if self.state is not State.HEAD:
            self.end_body(told.packet, told.ts, whole=False, refused=refusal.reason)
        self.say_given_up(refusal, data.start + position, told)
        self.lose(data.start + position, reason)

    def say_given_up(self, refusal: Refusal, offset: int, told: Where) -> None:
        """Say what is refused, from that offset of the stream on; told: the place of the byte that showed it."""
        drop = Drop(refusal.reason, refusal.limit, refusal.value, refusal.detail)
        self.add(GivenUp(drop, max(told.packet, self.known_at), told.ts, offset, refusal.n))

    def where(self, data: StreamData, position: int) -> Where:
        """The place of a byte at a position of data; a position below 0 is in what was kept from before."""
        if position < 0:
            assert self.kept_at is not None
            return self.kept_at._replace(offset=data.start + position)
        return place(data, position)

    def until(self, data: StreamData, piece: int) -> int:
        """When the latest byte was captured that the message under way has up to a piece of data."""
        if not data.waited:
            return max(data.time(piece), self.waited)
        return max(data.latest(data.piece(max(self.begun_at - data.start, 0)), piece), self.waited, self.seen)

    def behind_hole(self) -> BehindHole:
        """What reads a chunked body behind a hole."""
        if self.hole is None:
            from pcapflow.protocols.http1.behind_hole import BehindHole  # noqa: PLC0415 - few captures need it

            self.hole = BehindHole(self.services, self.side)
        return self.hole


def why_unread(refusal: Refusal) -> UnreadReason:
    """Why the bytes of what is refused are not read."""
    return UnreadReason.MALFORMED if refusal.reason in _BREAKS_THE_RULES else UnreadReason.LIMIT_REACHED
