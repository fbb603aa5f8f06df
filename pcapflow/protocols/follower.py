"""One connection's bytes as they were captured, for `pcapflow follow`.

Contract: `Follower` is a consumer that hands on what one connection said, each side in the order of its stream and the two sides in the order of
the packets that carried it; `Silent` takes the others' events and does nothing. A byte that waited behind a hole is delivered late, so what the
other side said meanwhile waits for it here; and all of it waits until it is known who the client is. Invariant: what waits is reserved in the account
it was given; where that refuses, what waits for its turn is handed on at once, and `unordered` counts it, and what waits for the roles goes to a file.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import itemgetter
from typing import IO, NamedTuple

from pcapflow.budget import Account
from pcapflow.files import spool
from pcapflow.streams.conversation import Consumer, Conversation
from pcapflow.streams.events import StreamData, StreamEnd, StreamEvent, StreamGap

Events = tuple[list[StreamEvent], list[StreamEvent]]
PART_BYTES = 400
"""Reserved for each part that waits, beside its bytes."""


class Part(NamedTuple):
    """Bytes of a stream, a gap in it, or its end, with the packet and time (ns) that carried it or told of it."""

    packet: int
    direction: int
    ts: int
    offset: int
    data: bytes
    gap: StreamGap | None
    end: str | None


Take = Callable[[str, Part], None]
"""Takes what `client` or `server` said."""


class Silent:
    """A connection that nobody follows."""

    def consume(self, conversation: Conversation, events: Events) -> None:
        """Nothing."""


_order = itemgetter(0, 1)


class Follower:
    """The connection that is followed."""

    def __init__(self, take: Take, reader: Consumer, account: Account) -> None:
        """reader: reads the connection first, and finds out who its client is."""
        self._take = take
        self._reader = reader
        self._account = account
        self._waiting: list[tuple[int, int, Part]] = []
        """By the packet at which their turn is, and direction."""
        self._reserved = 0
        self._ends = 0
        self._nameless = _Nameless(account)
        self._reached = [0, 0]
        """Of each direction, the last packet that carried something of what it said so far."""
        self.unordered = 0
        """Bytes for which there was no room to wait."""

    def consume(self, conversation: Conversation, events: Events) -> None:
        """The next events of both directions."""
        self._reader.consume(conversation, events)
        waiting = self._waiting
        for d in (0, 1):
            waiting += self._parts(d, events[d])
        waiting.sort(key=_order)
        until = min(max(conversation.waits_from(d), self._reached[d]) for d in (0, 1))
        ready = 0
        while ready < len(waiting) and waiting[ready][0] < until:
            ready += 1
        keep = sum(PART_BYTES + len(part.data) for *_, part in waiting[ready:])
        if keep > self._reserved and not self._account.reserve(keep - self._reserved):
            self.unordered += sum(len(part.data) for *_, part in waiting[ready:])
            ready, keep = len(waiting), 0
        if keep < self._reserved:
            self._account.release(self._reserved - keep)
        self._reserved = keep
        self._ends += sum(isinstance(event, StreamEnd) for some in events for event in some)
        if self._ends == 2:
            conversation.fix_roles()  # nothing comes that could tell them
        if conversation.client >= 0:
            for part in self._nameless.parts():
                self._take(conversation.stream_name(part.direction), part)
            for *_, part in waiting[:ready]:
                self._take(conversation.stream_name(part.direction), part)
        else:
            for *_, part in waiting[:ready]:
                self._nameless.add(part)
        del waiting[:ready]

    def _parts(self, d: int, events: list[StreamEvent]) -> list[tuple[int, int, Part]]:
        """What one direction said, and when the turn of each part is: never before that of the part in front of it."""
        parts: list[tuple[int, int, Part]] = []
        reached = self._reached[d]
        for at, event in enumerate(events):
            if isinstance(event, StreamData):
                begin = 0
                for i, end in enumerate(event.piece_ends()):
                    packet = event.origin(i)
                    reached = max(reached, packet)
                    parts.append(
                        (reached, d, Part(packet, d, event.time(i), event.start + begin, event.take(begin, end - begin), None, None))
                    )
                    begin = end
                continue
            following = events[at + 1] if at + 1 < len(events) else None
            told = event.packet
            if isinstance(event, StreamGap):
                # it stands in front of what waited behind it
                told = following.origin(0) if isinstance(following, StreamData) and following.waited else told
                part = Part(event.packet, d, event.ts, event.start, b"", event, None)
            else:
                part = Part(event.packet, d, event.ts, event.offset, b"", None, event.kind)
            reached = max(reached, told)
            parts.append((reached, d, part))
        self._reached[d] = reached
        return parts


class _Nameless:
    """Parts of a connection of which nobody knows yet who the client is, in their order."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._parts: list[Part] = []
        self._reserved = 0
        self._file: IO[bytes] | None = None

    def add(self, part: Part) -> None:
        """One more."""
        cost = PART_BYTES + len(part.data)
        if self._file is None and self._account.reserve(cost):
            self._reserved += cost
            self._parts.append(part)
            return
        if self._file is None:
            self._file = spool()
        pickle.dump(part, self._file)

    def parts(self) -> Iterator[Part]:
        """All of them; they are gone then."""
        yield from self._parts
        self._parts = []
        self._account.release(self._reserved)
        self._reserved = 0
        if self._file is not None:
            self._file.seek(0)
            with self._file as file, suppress(EOFError):
                while True:
                    yield pickle.load(file)  # noqa: S301 - written above
            self._file = None
