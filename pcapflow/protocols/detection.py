"""Which protocol a conversation speaks, from its first bytes: by content, never by port.

Contract: `Forms` asks each protocol; `Detection` takes a conversation's events until a direction shows what it speaks, or neither can. Invariant: the
decision depends on bytes and packet numbers, never on how the events were cut; while it is open at most one first line a direction is kept, reserved
in the `http` account.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from pcapflow.budget import Account
from pcapflow.drops import Drop, DropReason
from pcapflow.protocols.first_bytes import MOST_BYTES, SHORT, FirstLine
from pcapflow.protocols.host import Host
from pcapflow.protocols.layer import Came, Found, LayerFactory, Opening, before, behind
from pcapflow.streams.conversation import Conversation, Events
from pcapflow.streams.events import NEVER, StreamData, StreamEnd, StreamEvent, StreamGap, Where, place

NOTHING = ""
"""The form of a stream that is of no known protocol."""
_KNOWN_MOST = 16
"""Beginnings of which `Forms` knows what they are."""
_PIECE_BYTES = 48
"""Kept of each segment beside its bytes."""


_Probe = tuple[Callable[[bytes | bytearray], str | None], bool]
"""What is asked about first bytes, and whether it is waited for in the middle of a stream."""


def _by_first_byte(factories: Sequence[LayerFactory]) -> list[list[_Probe]]:
    """For each byte the probes of those that a stream may be of which begins with it, in their order."""
    probes: list[list[_Probe]] = [[] for _ in range(256)]
    for factory in factories:
        one = factory.probe, factory.patient
        for byte in range(256) if factory.first_bytes is None else factory.first_bytes:
            probes[byte].append(one)
    return probes


class Forms:
    """All that a stream may begin with, in the order in which protocols are asked."""

    def __init__(self, factories: Iterable[LayerFactory]) -> None:
        self.factories = tuple(factories)
        self.of = {form: factory for factory in self.factories for form in factory.forms}
        self.resumed = tuple((form, factory.resume) for factory in self.factories for form in factory.resumes)
        self.plugged = frozenset(form for factory in self.factories if not factory.patient for form in factory.forms)
        """Those of plug-ins."""
        self._failures = frozenset(factory.failed for factory in self.factories)
        self._probes = _by_first_byte(self.factories)
        self._midstream = _by_first_byte([factory for factory in self.factories if not factory.from_start])
        self._known: dict[bytes, str] = {}
        """A few short beginnings that clients asked with, and their forms: conversations repeat."""

    def classify(self, first: bytes | bytearray, *, midstream: bool = False) -> str | None:
        """The form of the stream that begins with these bytes; `NOTHING`, or None where more are needed. midstream: they are no stream's first, and a
        factory that is not `patient` is not waited for.
        """
        failed = NOTHING
        if not first:
            return None
        for probe, patient in (self._midstream if midstream else self._probes)[first[0]]:
            form = probe(first)
            if form == "" or (form is None and midstream and not patient):
                continue
            if form in self._failures:
                failed = failed or form  # others may know it
                continue
            return form if form is not None or len(first) < MOST_BYTES else NOTHING
        return NOTHING if midstream else failed

    def protocol_of(self, form: str) -> str:
        """See `FirstBytes`."""
        return self.of[form].name

    def asked(self, first: bytes) -> str:
        """The form with which a client asks whose first segment that is; `NOTHING` where it does not tell."""
        form = self._known.get(first)
        if form is None:
            form = self.classify(first) or NOTHING
            if form and self.of[form].asks != form:
                form = NOTHING
            if len(first) <= SHORT:
                if len(self._known) == _KNOWN_MOST:
                    self._known.clear()
                self._known[first] = form
        return form

    def telling_piece(self, stash: bytes, data: StreamData, *, midstream: bool = False) -> int:
        """The piece of data whose bytes, behind those that came before, tell what the stream is."""
        ends = data.piece_ends()
        most = MOST_BYTES - len(stash)
        low, high = 0, data.piece(min(data.length, most) - 1)
        while low < high:
            middle = (low + high) // 2
            if self.classify(stash + data.take(0, min(ends[middle], most)), midstream=midstream) is None:
                low = middle + 1
            else:
                high = middle
        return low


_NOTHING_CAME = Came(0, 0, 0)


class _Side:
    """What is known of one direction."""

    __slots__ = (
        "came",
        "end",
        "first_line",
        "form",
        "found",
        "messages",
        "packet",
        "pieces",
        "reserved",
        "searching",
        "seen",
        "stash",
        "waited",
        "where",
    )

    def __init__(self) -> None:
        self.came = _NOTHING_CAME
        self.end: StreamEnd | None = None
        self.form: str | None = None
        self.packet = NEVER
        """The packet that brought the form."""
        self.found = 0
        """The stream offset at which a search found it."""
        self.first_line = FirstLine()
        self.stash = bytearray()
        """The first bytes; what is here stays, so that its length tells what was here before."""
        self.pieces = array("q")
        """Of the segments that brought them: where each ends, delivering packet, time (ns), acknowledgement number and carrying packet, one after the other."""
        self.where: Where | None = None
        self.seen = 0
        self.waited = 0
        self.messages: dict[str, tuple[int, Where]] = {}
        self.reserved = 0
        self.searching = NEVER
        """The packet at which it was clear that the beginning was missed; then a segment that begins with something known is looked for."""


class _Before:
    """What was kept of a direction at some time. Nothing is copied before somebody asks."""

    __slots__ = (
        "_came",
        "_end",
        "_first_line",
        "_form",
        "_length",
        "_messages",
        "_packet",
        "_pieces",
        "_reserved",
        "_searching",
        "_seen",
        "_side",
        "_stash",
        "_waited",
        "_where",
    )

    def __init__(self, side: _Side) -> None:
        self._side = side
        self._stash, self._length = side.stash, len(side.stash)
        self._pieces = side.pieces, len(side.pieces)
        self._where = side.where
        self._seen, self._waited = side.seen, side.waited
        self._messages = dict(side.messages)
        self._came = side.came
        self._form, self._packet, self._searching, self._reserved = side.form, side.packet, side.searching, side.reserved
        self._first_line = side.first_line.copy()
        self._end = side.end

    def opening(self, events: list[StreamEvent], told: int) -> Opening:
        """What was known then, and what follows. told: the packet at which it is found out; what came before it may have been decided on already."""
        side = self._side
        pieces, kept = self._pieces
        return Opening(
            bytes(self._stash[: self._length]), pieces[:kept], self._where, self._seen, self._waited, self._messages, events,
            searching=side.searching < told, passed=side.form == NOTHING and side.packet < told, came=self._came,
        )  # fmt: skip

    def restore(self, account: Account) -> None:
        """Nothing came since."""
        side = self._side
        side.stash, side.pieces = self._stash[: self._length], self._pieces[0][: self._pieces[1]]
        side.where, side.seen, side.waited, side.messages, side.came = self._where, self._seen, self._waited, self._messages, self._came
        side.form, side.packet, side.searching = self._form, self._packet, self._searching
        side.first_line, side.end = self._first_line, self._end
        if side.reserved > self._reserved:
            account.release(side.reserved - self._reserved)
            side.reserved = self._reserved


class Detection:
    """One conversation's."""

    __slots__ = ("_again", "_both", "_forms", "_services", "untouched")

    def __init__(self, services: Host, forms: Forms) -> None:
        self._services = services
        self._forms = forms
        self._both: tuple[_Side, _Side] | None = None
        """What is known of each direction; None while nothing had to be kept, which is so for the plain case to its end."""
        self._again = False
        """Events are looked at that were before."""
        self.untouched = True
        """No byte came yet."""

    def came(self, direction: int) -> Came:
        """All that came of a direction."""
        return self._both[direction].came if self._both is not None else _NOTHING_CAME

    @property
    def in_vain(self) -> bool:
        """Neither direction is of a known protocol."""
        return self._both is not None and self._both[0].form == NOTHING and self._both[1].form == NOTHING

    def asked_at_once(self, conversation: Conversation, events: Events) -> str:
        """The plain case, found at once: a conversation seen from its first byte, whose client asks before anybody else speaks. The form, or nothing."""
        client = conversation.client
        if not self.untouched or client < 0 or conversation.midstream or not events[client]:
            return NOTHING
        asked, answered = events[client][0], events[1 - client]
        if type(asked) is not StreamData or asked.start or (self._both is not None and any(side.searching < NEVER for side in self._both)):
            return NOTHING
        if answered:
            first = answered[0]
            if (first.packet(0) if type(first) is StreamData else first.packet) <= asked.packet(0):  # type: ignore[operator]
                return NOTHING
        return self._forms.asked(asked.take(0, min(asked.piece_ends()[0], MOST_BYTES)))

    def consume(self, conversation: Conversation, events: Events) -> Found | None:
        """What the events show, if they do."""
        if self._both is None:
            self._both = (_Side(), _Side())
        sides = self._both
        rest: list[list[StreamEvent]] = [[], []]
        before_these = (_Before(sides[0]), _Before(sides[1]))
        until = list(before_these)
        for d in (0, 1):
            side = sides[d]
            for i, event in enumerate(events[d]):
                told_before = side.form is not None
                self._take(conversation, d, side, event)
                if side.form is not None and not told_before:
                    rest[d] = events[d][i:]
                    until[d] = _Before(side)
                self._count(side, event)
        first = min((0, 1), key=lambda d: (sides[d].packet if sides[d].form else NEVER, d))
        form = sides[first].form
        told = sides[first].packet if form else NEVER
        if any(type(event) is StreamGap and event.packet <= told for some in events for event in some):
            conversation.fix_roles()  # a gap is reported for the client's stream or the server's
        if not form:
            return None
        other = 1 - first
        openings = [until[first].opening(rest[first], NEVER)] * 2
        openings[other] = self._opened_at(told, conversation, other, sides[other], before_these[other], events[other])
        return Found(form, first, told, sides[first].found, (openings[0], openings[1]))

    def _opened_at(
        self, told: int, conversation: Conversation, direction: int, side: _Side, known: _Before, events: list[StreamEvent]
    ) -> Opening:
        """The other direction as it was when the packet came that told: what came later in these events is as if nobody had looked at it. An end before that is heard at that packet."""
        known.restore(self._account)
        self._again = True  # what was refused is said already
        for event in before(events, told):
            self._take(conversation, direction, side, event)
            self._count(side, event)
        self._again = False
        ended = [side.end._replace(packet=told)] if side.end is not None else []
        return _Before(side).opening([*ended, *behind(events, told - 1)], told)

    def _take(self, conversation: Conversation, direction: int, side: _Side, event: StreamEvent) -> None:
        """Look at what came of a direction, where it is not known what that is."""
        if type(event) is StreamData:
            self.untouched = False
            if side.form is None:
                self._look(conversation, direction, side, event)
        elif type(event) is StreamGap and side.form is None:
            self._search_from_now(side, event.packet)

    @staticmethod
    def _count(side: _Side, event: StreamEvent) -> None:
        """It came."""
        if type(event) is StreamEnd:
            side.end = event
        elif type(event) is StreamData:
            came = side.came
            side.came = Came(came.bytes + event.length, *came[1:]) if came.bytes else Came(event.length, event.start, event.packet(0))

    def close(self) -> None:
        """It is decided, or never will be."""
        for side in self._both or ():
            if side.reserved:
                self._account.release(side.reserved)
                side.reserved = 0

    @property
    def _account(self) -> Account:
        return self._services.ledger.http

    def _search_from_now(self, side: _Side, packet: int) -> None:
        """The stream's beginning was missed, as that packet told: something known may begin at any later segment."""
        if side.searching > packet:
            side.searching = packet
        side.stash, side.pieces = bytearray(), array("q")
        if side.reserved:
            self._account.release(side.reserved)
            side.reserved = 0

    def _search(self, side: _Side, data: StreamData, begin: int) -> None:
        found = [(at, form) for form, resume in self._forms.resumed if (at := resume(form, data, begin, NEVER)) < data.length]
        if found:
            position, side.form = min(found)
            side.found = data.start + position
            side.packet = data.packet(data.piece(position))

    def _look(self, conversation: Conversation, direction: int, side: _Side, data: StreamData) -> None:
        """Look at what begins the stream; keep it while that does not tell."""
        if side.searching < NEVER:
            self._search(side, data, 0)
            return
        more = data.take(0, min(data.length, MOST_BYTES - len(side.stash)))
        if side.first_line.may_tell(side.stash, more):
            side.form = self._forms.classify(side.stash + more, midstream=conversation.midstream)
        if side.form is not None:
            # the packet whose bytes told, not the end of what happened to be at hand
            piece = self._forms.telling_piece(bytes(side.stash), data, midstream=conversation.midstream)
            side.packet = data.packet(piece)
            if side.form in self._forms.plugged:
                # a plug-in may say another thing of more bytes than told: those that did count
                told = side.stash + data.take(0, min(data.piece_ends()[piece], MOST_BYTES - len(side.stash)))
                side.form = self._forms.classify(told, midstream=conversation.midstream) or NOTHING
            if side.form == NOTHING and conversation.midstream:
                side.form = None
                self._search_from_now(side, side.packet)
                side.packet = NEVER
                self._search(side, data, data.piece_ends()[piece - 1] if piece else 0)
            return
        kept = len(more) + _PIECE_BYTES * (data.piece(len(more) - 1) + 1)
        if not self._account.reserve(kept):
            held = len(side.stash) + len(more)
            drop = Drop(DropReason.HTTP_MEMORY, *self._account.refusal(), f"{held} bytes of a stream's first line")
            if not self._again:
                self._services.drop(conversation, direction, drop, data.packet(-1), data.time(-1), data.start, held)
            self._search_from_now(side, data.packet(-1))
            return
        side.reserved += kept
        self._keep(side, data, more, search=conversation.midstream)

    def _keep(self, side: _Side, data: StreamData, more: bytes, *, search: bool) -> None:
        """Keep the beginning of data. search: note where something known begins in it."""
        if side.where is None:
            side.where = place(data, 0)
        for form, resume in self._forms.resumed if search else ():
            at = resume(form, data, 0, len(more)) if form not in side.messages else data.length
            if at < len(more):
                side.messages[form] = len(side.stash) + at, place(data, at)
        last = data.piece(len(more) - 1)
        if data.waited:
            side.seen = side.waited = max(data.latest(0, last), side.seen)
        else:
            side.seen = max(data.time(last), side.waited)
        before = len(side.stash)
        for end, *told in islice(zip(data.piece_ends(), *data.columns(), data.origins(), strict=True), last + 1):
            side.pieces.extend((before + min(end, len(more)), *told))
        side.stash += more
