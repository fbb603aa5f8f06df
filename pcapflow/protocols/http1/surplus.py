"""Where a message of HTTP/1 begins behind bytes that are of none: at any byte, not only where a segment begins.

Contract: `search` takes what comes in a framer's place (`State.SEARCH`) and puts it at the next message. `start_within` looks at bytes, `find_start` at a stream, segment by segment: a
start line may lie in one, or in two that follow one another. What it finds depends on the bytes and on the segments, never on how they were handed over. A start line with a field or an
empty line behind it is believed, as is a segment that begins with a whole one.

Invariant: a start line is searched in at most `START_BYTES`, each byte is looked at a bounded number of times.
"""

from __future__ import annotations

import re
from typing import Protocol

from pcapflow.budget import Account
from pcapflow.protocols.http1.events import Event
from pcapflow.protocols.http1.odd_line import METHODS
from pcapflow.protocols.http1.search import FORM_OF, begins
from pcapflow.protocols.http1.stash import Stash
from pcapflow.protocols.http1.state import State
from pcapflow.streams.events import StreamData, place
from pcapflow.unread import Unread, UnreadReason

_FOLLOWS = rb"(?=[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}:|\r?\n)"
"""What stands behind a start line: a field or an empty line."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] [1-9][0-9]{2}(?: [^\r\n]{0,128})?\r?\n" + _FOLLOWS)
_VERSION = re.compile(rb" HTTP/1\.[0-9]\r?\n" + _FOLLOWS)
"""The end of a request line: rarer than its beginning."""
_METHOD = re.compile(METHODS + rb"\Z")
_METHOD_BYTES, _TOKEN_BYTES = 12, 32
_TARGET_BYTES = 2048
_BLANK = (b" ", b"\n", b"\t", b"\r", b"\f", b"\v")
START_BYTES = {"client": 2 << 11, "server": 256}
"""What a start line and what stands behind it has at most."""


class Searching(Protocol):
    """What of a framer is needed here."""

    searches_for: UnreadReason
    side: str
    stash: Stash
    state: State

    def add(self, event: Event) -> None:
        """Something was found, which is yielded soon."""
        ...


def search(framer: Searching, account: Account, data: StreamData, position: int, stop: int) -> int:
    """Bytes from a position up to stop, where a segment ends. Returns where the framer goes on: at the next message, or at stop. What may be the beginning of a start line stays in
    the stash, reserved in that account.
    """
    stash = framer.stash
    kept, begin = stash.data, position - len(stash.data)
    first = stash.where or place(data, position)
    found, begun = find_start(kept, data, position, stop, framer.side)
    unread_to = found
    if found < stop:
        framer.state = State.HEAD
    elif begun and stash.keep(account, data.take(stop - begun, begun), place(data, stop - begun)):
        unread_to = stop - begun
    if found < position:
        stash.keep(account, kept[found - begin :], first._replace(offset=data.start + found))
    elif unread_to == found:
        stash.clear(account)
    if unread_to > begin:
        framer.add(Unread(framer.searches_for.value, None, unread_to - begin, data.start + begin, first.packet))
    return max(found, position)


def start_within(passed: bytes, side: str) -> int:
    """Where in bytes a message of that side begins; -1 where none does."""
    if side == "server":
        found = _STATUS_LINE.search(passed)
        return found.start() if found is not None else -1
    floor = 0
    for end in _VERSION.finditer(passed):
        floor = max(floor, end.start() - _TARGET_BYTES)
        blank = max(passed.rfind(byte, floor, end.start()) for byte in _BLANK)
        if blank >= 0 and passed[blank : blank + 1] == b" " and blank + 1 < end.start():
            method = _METHOD.search(passed, max(blank - _METHOD_BYTES, 0), blank)
            if method is not None:
                return method.start()
        floor = end.end()
    return -1


def find_start(kept: bytes, data: StreamData, position: int, stop: int, side: str) -> tuple[int, int]:
    """The first position at which a message begins, before stop, where a segment ends. kept: the bytes before position, of the segment before.

    Returns it, or stop where none does; and how many of the bytes before stop may be the beginning of a start line.
    """
    ends = data.piece_ends()
    most = START_BYTES[side]
    piece = data.piece(position)
    while position < stop:
        end = ends[piece]
        found = end
        at = position
        while at < end:
            n = min(end - at, most)
            begin = start_within(kept + data.take(at, n), side)
            if begin >= 0:
                found = at - len(kept) + begin
                break
            at += n
            kept = data.take(max(position, at - most), min(at - position, most))
        if found > position and position == (ends[piece - 1] if piece else 0) and begins(data, position, end, FORM_OF[side]):
            # `xGET / HTTP/1.1` has a method that is none, and one behind bytes that are of no message
            within = found - position <= _TOKEN_BYTES and b" " not in data.take(position, found - position)
            found = found if within else position
        if found < end:
            return found, 0
        # a start line ends with the last newline or has none
        kept = kept[kept.rfind(b"\n", 0, kept.rfind(b"\n")) + 1 :] if b"\n" in kept else kept
        piece, position = piece + 1, end
    return stop, len(kept)
