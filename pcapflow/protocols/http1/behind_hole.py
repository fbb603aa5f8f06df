"""A chunked body that goes on behind a hole: what of it is read, and how it ends.

Contract: `BehindHole` takes what comes in a framer's place while it does not know where it is (`State.RESYNC`), and puts the framer back: at a chunk's line, or behind the body. What is found goes
to the framer. Invariant: what a body has that a search found is doubted until it ends where a message follows; what `ChunkSearch` keeps is all that is kept.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Protocol

from pcapflow.drops import DropReason
from pcapflow.protocols.host import Host
from pcapflow.protocols.http1.events import Event
from pcapflow.protocols.http1.resync import ChunkSearch, Shown
from pcapflow.protocols.http1.stash import Stash
from pcapflow.protocols.http1.state import State
from pcapflow.streams.events import StreamData, StreamEnd
from pcapflow.unread import Unread, UnreadReason


class Framing(Protocol):
    """What of a framer is needed here."""

    searches_for: UnreadReason
    stash: Stash
    state: State

    def read(self, data: StreamData, position: int, stop: int | None = None) -> Iterator[Event]:
        """What is found in data."""
        ...

    def add(self, event: Event) -> None:
        """Something was found, which is yielded soon."""
        ...

    def take_found(self) -> Sequence[Event]:
        """What was found and not yielded yet."""
        ...

    def end_body(self, packet: int, ts: int, *, whole: bool, refused: DropReason | None = None) -> None:
        """The body under way is over."""
        ...

    def lose(self, offset: int, reason: UnreadReason = UnreadReason.BEHIND_LOSS) -> None:
        """Framing is lost from an offset on."""
        ...


class BehindHole:
    """One direction's."""

    __slots__ = ("_account", "_ended_ts", "_search", "doubtful")

    def __init__(self, services: Host, side: str) -> None:
        """side: `client` or `server`."""
        self._account = services.ledger.http
        self._search = ChunkSearch(self._account, services.limits.http_resync_max_bytes, side)
        self.doubtful = False
        """The body under way goes on where a search found it."""
        self._ended_ts = 0
        """When the last chunk of such a body came (ns)."""

    def begin(self, framing: Framing, hole: int, offset: int) -> None:
        """A hole begins and ends at these offsets."""
        self.lose(framing, hole)
        self.search(framing, offset)

    def search(self, framing: Framing, offset: int, *, last: bool = False) -> None:
        """The body goes on somewhere from an offset on. last: its last chunk was read up to there."""
        self._search.begin(offset, last=last)
        framing.searches_for = UnreadReason.BEHIND_LOSS
        framing.state = State.RESYNC

    def needs_message(self, framing: Framing, offset: int, ts: int) -> None:
        """The last chunk of a body that is doubted ends at an offset, and came at that time (ns): it was one where a message follows."""
        self._ended_ts = ts
        self.search(framing, offset, last=True)

    def read(self, framing: Framing, data: StreamData, position: int, stop: int) -> Generator[Event, None, int]:
        """Bytes behind a hole from a position up to stop. Returns where the framer goes on."""
        search = self._search
        shown = search.look(data, position, stop)
        if shown is None:
            return stop
        piece = data.piece(shown.told - data.start)
        yield from self._goes_on(framing, shown, data.packet(piece), data.time(piece))
        until = shown.until - data.start
        if until < position:
            # a message began before these events
            kept = search.kept_from(shown.until, data.start + position, 0)
            assert kept is not None
            where = search.place(shown.until)
            if not framing.stash.keep(self._account, kept.take(0, kept.length), where):
                framing.add(Unread(UnreadReason.LIMIT_REACHED.value, None, kept.length, where.offset, where.packet))
                framing.lose(where.offset, UnreadReason.LIMIT_REACHED)
        if framing.state is not State.RESYNC:
            search.close()
        return max(until, position)

    def _goes_on(self, framing: Framing, shown: Shown, packet: int, ts: int) -> Iterator[Event]:
        """The body goes on, or ends, as that packet showed, of that time (ns)."""
        goes_on = shown.until if shown.goes_on is None else shown.goes_on
        self.lose(framing, goes_on)
        kept = self._search.kept_from(goes_on, shown.until, packet)
        if kept is not None:
            framing.state = State.CHUNK_LINE
            self.doubtful = False
            yield from framing.take_found()
            yield from framing.read(kept, 0)
            self.doubtful = framing.state is not State.HEAD
        else:
            framing.end_body(packet, self._ended_ts or ts, whole=shown.goes_on is not None)
            yield from framing.take_found()
        self._ended_ts = 0

    def end(self, framing: Framing, end: StreamEnd, ts: int) -> None:
        """The stream ended; ts: when what it said had come (ns)."""
        goes_on = self._search.at_end(end.offset) if end.kind == "fin" else None
        if goes_on is not None:
            found = [*framing.take_found(), *self._goes_on(framing, Shown(goes_on, end.offset, end.offset), end.packet, end.ts)]
            for event in (*found, *framing.take_found()):
                framing.add(event)
        else:
            self.lose(framing, end.offset)
            framing.end_body(end.packet, ts, whole=False)
        self._search.close()

    def lose(self, framing: Framing, until: int | None, reason: UnreadReason = UnreadReason.BEHIND_LOSS) -> None:
        """What was looked at up to an offset, or all of it, is not read."""
        search = self._search
        if search.lost is None:
            return
        n = (until if until is not None else search.looked_to) - search.lost.offset
        if n > 0:
            framing.add(Unread(reason.value, None, n, search.lost.offset, search.lost.packet))
        search.lost = None

    def close(self) -> None:
        """Nothing is searched any more."""
        self._search.close()
