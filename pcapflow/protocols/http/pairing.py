"""Which response answers which request on one connection.

Contract: `Pairs` takes requests and response heads with their packets, offsets and raw acknowledgement numbers, and keeps what
waits. Order decides: a response answers the oldest request of an earlier packet that has no answer. Where order alone would
lie, acknowledgement numbers decide: a request that the server had not acknowledged is not the one answered; a client that had
acknowledged what followed a lost answer has moved on; an answer to bytes that the server had acknowledged and the capture
has not shown yet waits for its request to come, out of order or out of a hole.

Invariant: at most `http_pipeline_max` requests wait, and as many answers; the outcome depends on packets, not on which
direction was taken first, although requests of later packets may be known already when a response is matched.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from operator import attrgetter, itemgetter

from pcapflow.anomalies import NoResponse
from pcapflow.budget import Account
from pcapflow.limits import Limits
from pcapflow.protocols.http.cache import Heads
from pcapflow.protocols.http.exchange import Exchange
from pcapflow.protocols.http.message import RequestHead
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import NEVER
from pcapflow.unread import UnreadReason

_packet = attrgetter("packet")
_offset = itemgetter(1)
_WHY = {UnreadReason.MALFORMED: NoResponse.UNREAD, UnreadReason.LIMIT_REACHED: NoResponse.LIMIT}
_ENDED = {"fin": NoResponse.CLOSED, "rst": NoResponse.RESET, "switched": NoResponse.UNREAD}


class Pairs:
    """What waits on one connection."""

    __slots__ = (
        "_abandoned", "_account", "_acknowledged", "_client", "_foreseen", "_heads", "_known_to", "_lost", "_refused", "_write", "begun", "expecting", "lost_from",
        "most", "waiting",
    )  # fmt: skip

    def __init__(
        self,
        limits: Limits,
        account: Account,
        heads: Heads,
        conversation: Conversation,
        write: Callable[[Exchange], None],
        refused: Callable[[Exchange], None],
    ) -> None:
        """write takes an exchange when both of its sides are done or will never come; refused is told of one that the account has no
        room for, before it is given up.
        """
        self.most = limits.http_pipeline_max
        self._account = account
        self._heads = heads
        self._acknowledged = conversation.acknowledged
        self._client = conversation.client
        self._write = write
        self._refused = refused
        self.waiting: list[Exchange] = []
        """Requests without an answer, oldest first."""
        self.expecting: list[tuple[int, Exchange]] = []
        """Answers whose request is not known yet, with their raw acknowledgement number."""
        self.begun = 0
        """Exchanges begun."""
        self.lost_from: int | None = None
        """Server offset from which on answers were lost; None while none was since the last one."""
        self._lost: tuple[int, NoResponse] | None = None
        """Where answers were lost last, and how."""
        self._abandoned = 0
        """Requests that were reported without an answer because too many waited: as many answers are not for those that wait."""
        self._known_to = 0
        """Client offset at which the last answered request ends."""
        self._foreseen: list[tuple[int, int]] = []
        """Of requests of later packets that were answered: each packet, and the client offset of its last, which is known from that packet on."""

    def ask(self, head: RequestHead, size: int, offset: int, packet: int, ts: int, ack: int) -> Exchange:
        """A request of so many head bytes; packet: of its head's last byte, at which it is known. Returns its exchange: a new one that waits, or that of an answer that came before it."""
        exchange = self._claimed(offset, packet) if self.expecting else None
        if exchange is None:
            exchange = Exchange(self.begun, offset, packet, ts, ack)
            self.begun += 1
            self.waiting.append(exchange)
        exchange.head = head
        exchange.ts = ts
        if exchange.done_packet < packet:
            exchange.done_packet = packet
        length = head.length
        exchange.end = offset + size + (max(0, length))
        return exchange

    def answer(self, offset: int, packet: int, ts: int, ack: int, final: bool) -> Exchange | None:  # noqa: FBT001 - the hot path
        """A response head at a server offset; packet: of its last byte. The exchange that it belongs to, which waits no longer if the response is final.
        None for an interim response to nothing.
        """
        if self._abandoned and final:
            # to a request that was reported without waiting for this
            self._abandoned -= 1
            return self._orphan(offset, packet, ts, -1)
        exchange = self._match(offset, packet, ack) if not self._abandoned else None
        if not final:
            return exchange
        if exchange is None:
            return self._orphan(offset, packet, ts, ack)
        self.waiting.pop(0)
        if exchange.end > self._known_to:
            self._known_to = exchange.end
        return exchange

    def _match(self, offset: int, packet: int, ack: int) -> Exchange | None:
        waiting = self.waiting
        if self.lost_from is not None:
            self._abandoned = 0
            # answers were lost: skip the requests whose client had moved on when it sent the next one
            while len(waiting) > 1 and waiting[1].packet <= packet and waiting[1].ack >= 0:
                acked = self._acknowledged(1 - self._client, waiting[1].ack, offset)
                before = waiting[0].ack
                if not self.lost_from < acked <= offset or (before >= 0 and acked <= self._acknowledged(1 - self._client, before, acked)):
                    break
                waiting[1].resynchronised = True
                self._unanswered(waiting.pop(0), packet, self._lost[1] if self._lost is not None else NoResponse.GAP)
            self.lost_from = None
        if not waiting or waiting[0].packet > packet:
            return None
        if ack >= 0 and self._acked(ack, waiting[0].offset) <= waiting[0].offset:
            return None  # the server had not seen this request yet: the one that it answers was lost
        return waiting[0]

    def _orphan(self, offset: int, packet: int, ts: int, ack: int) -> Exchange:
        """A response without a request of an earlier packet. Requests of later packets may be known already."""
        later = self.waiting[bisect_right(self.waiting, packet, key=_packet) :]
        if self._foreseen:
            self._reach(packet)
        # before the first answered request nothing is known of the client's offsets in earlier packets
        may_come = ack >= 0 and (not self._known_to or self._acked(ack, self._known_to) > self._known_to)
        shows = 0
        """The packet of the next request that shows that this answer's will not come."""
        if may_come and self._foreseen:
            behind = bisect_left(self._foreseen, self._acked(ack, self._foreseen[0][1]), key=_offset)
            shows = self._foreseen[behind][0] if behind < len(self._foreseen) else 0
        if may_come and not shows and later:
            found = later[0]
            if self._acked(ack, found.offset) > found.offset:
                self.waiting.remove(found)
                found.done_packet = max(found.done_packet, found.packet)
                self._foresee(found.packet, found.offset)
                return found
            shows = found.packet
        for e in later:
            e.index += 1
        exchange = Exchange(self.begun - len(later), offset, packet, ts, ack)
        self.begun += 1
        if shows:
            exchange.done_packet = shows
        elif may_come:
            exchange.expected = True
            self.expecting.append((ack, exchange))
            if len(self.expecting) > self.most:
                self._give_up(self.expecting.pop(0)[1], packet)
        return exchange

    def is_quiet(self) -> bool:
        """Whether nothing is known of but requests that wait."""
        return not (self.expecting or self._foreseen or self._abandoned) and self.lost_from is None

    def passed(self, n: int, end: int) -> None:
        """So many exchanges came and went, one behind the other; end: client offset at which the last request ends."""
        self.begun += n
        self._known_to = max(self._known_to, end)

    def caught_up(self) -> None:
        """Both directions are up to the same packet: nothing is foreseen, and nothing of that is kept until the next events."""
        if self._foreseen:
            self._reach(NEVER)

    def _foresee(self, packet: int, offset: int) -> None:
        """A request at that client offset has its answer, which is known from that packet on."""
        at = bisect_left(self._foreseen, packet, key=itemgetter(0))
        if at < len(self._foreseen) and self._foreseen[at][0] == packet:
            self._foreseen[at] = packet, max(offset, self._foreseen[at][1])
        else:
            self._foreseen.insert(at, (packet, offset))

    def _reach(self, packet: int) -> None:
        """The server is up to that packet: what was foreseen up to there is known."""
        passed = bisect_right(self._foreseen, packet, key=itemgetter(0))
        if passed:
            self._known_to = max(self._known_to, self._foreseen[passed - 1][1])
            del self._foreseen[:passed]

    def _acked(self, ack: int, near: int) -> int:
        """The client offset of a raw acknowledgement number."""
        return self._acknowledged(self._client, ack, near)

    def _claimed(self, offset: int, packet: int) -> Exchange | None:
        """The answer that came before a request at that client offset: the first to bytes beyond its beginning. Answers to
        bytes before it will not find their request any more.
        """
        while self.expecting:
            ack, exchange = self.expecting.pop(0)
            if self._acked(ack, offset) > offset:
                exchange.expected = False
                exchange.done_packet = max(exchange.done_packet, packet)
                self._foresee(packet, offset)
                for gone in [one for one in self.expecting if self._acked(one[0], offset) <= offset]:
                    self.expecting.remove(gone)
                    self._give_up(gone[1], packet)
                return exchange
            self._give_up(exchange, packet)
        return None

    def _give_up(self, exchange: Exchange, packet: int) -> None:
        """The request of this answer will not come."""
        exchange.expected = False
        exchange.done_packet = max(exchange.done_packet, packet)
        if exchange.response_done:
            self._write(exchange)

    def lose(self, offset: int, reason: UnreadReason) -> None:
        """Heads of answers were lost from that server offset on, for that reason."""
        if self.lost_from is None:
            self.lost_from = offset
        self._lost = offset, _WHY.get(reason, NoResponse.GAP)

    def _why(self, exchange: Exchange, ended: str) -> NoResponse:
        """Why a request has no answer at the end: answers were lost where its own would be, else as the server's stream ended."""
        if self._lost is not None:
            offset, why = self._lost
            if exchange.ack < 0 or self._acknowledged(1 - self._client, exchange.ack, offset) <= offset:
                return why
        return _ENDED.get(ended, NoResponse.OPEN)

    def _unanswered(self, exchange: Exchange, packet: int, why: NoResponse) -> None:
        """No answer to this request can come any more."""
        exchange.unanswered = why
        exchange.response_done = True
        exchange.done_packet = packet
        if exchange.request_done:
            self._write(exchange)

    def make_room(self, packet: int) -> None:
        """Report the oldest requests without an answer until another one can wait."""
        while len(self.waiting) >= self.most:
            self._unanswered(self.waiting.pop(0), packet, NoResponse.LIMIT)
            self._abandoned += 1

    def finish(self, packet: int, ended: str) -> None:
        """The connection is over; ended: how the server's stream was, as `StreamEnd` has it, or `switched` to another protocol before."""
        while self.waiting:
            exchange = self.waiting.pop(0)
            self._unanswered(exchange, packet, self._why(exchange, ended))
        while self.expecting:
            self._give_up(self.expecting.pop(0)[1], packet)

    def settle(self) -> None:
        """Reserve what waits; where that is refused, the oldest requests are reported without an answer, then the oldest answers without a request."""
        for exchange in [*self.waiting, *(exchange for _, exchange in self.expecting)]:
            while not exchange.reserve(self._account, self._heads):
                oldest = self._leave()
                if oldest is exchange:
                    break

    def _leave(self) -> Exchange:
        """The oldest that waits does so no longer, for want of memory."""
        oldest = self.waiting[0] if self.waiting else self.expecting[0][1]
        self._refused(oldest)
        if self.waiting:
            del self.waiting[0]
            self._unanswered(oldest, oldest.packet, NoResponse.LIMIT)
            self._abandoned += 1
        else:
            del self.expecting[0]
            self._give_up(oldest, oldest.done_packet)
        return oldest
