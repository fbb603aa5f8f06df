"""Where another protocol begins in a conversation whose beginning was missed and that was taken for one of its own.

Contract: `begins_other` finds the first segment of either direction that begins a message of another protocol, with its line whole; `parted` parts events there. A capture that begins in the middle of a
keep-alive connection may begin with the JSON of a body, which says nothing of what carried it. Invariant: what is found depends on bytes, segments and packet numbers alone.
"""

from __future__ import annotations

from typing import NamedTuple

from pcapflow.protocols.host import FirstBytes, Resume
from pcapflow.protocols.layer import before, behind
from pcapflow.streams.conversation import Events
from pcapflow.streams.events import NEVER, StreamData, StreamEvent

_LINE_BYTES = 2048
"""A first line that is longer is not looked for."""
_ENDS_TEXT = (b'"', b",", b"}", b"]", b"[", b"{", b"\\")
"""How a line of JSON ends, in which such a message is quoted."""


class Begins(NamedTuple):
    """Where a message begins: the packet that brought its first byte, the direction, the stream offset, and its time (ns)."""

    packet: int
    direction: int
    offset: int
    ts: int


def begins_other(forms: FirstBytes, name: str, events: Events) -> Begins | None:
    """The first segment that begins with what a search finds of another protocol than that one."""
    found = Begins(NEVER, 0, 0, 0)
    for form, resume in forms.resumed:
        if forms.protocol_of(form) == name:
            continue
        for direction in (0, 1):
            for event in events[direction]:
                if isinstance(event, StreamData) and event.packet(0) < found.packet:
                    at = _begins(event, form, resume)
                    if at < event.length:
                        piece = event.piece(at)
                        found = min(found, Begins(event.packet(piece), direction, event.start + at, event.time(piece)))
    return found if found.packet < NEVER else None


def _begins(event: StreamData, form: str, resume: Resume) -> int:
    at = resume(form, event, 0, event.length)
    while at < event.length:
        end = event.piece_ends()[event.piece(at)]
        line, newline, _ = event.take(at, min(end - at, _LINE_BYTES)).partition(b"\n")
        if newline and not line.rstrip().endswith(_ENDS_TEXT):
            break
        at = resume(form, event, end, event.length) if end < event.length else end
    return at


def parted(events: Events, begins: Begins) -> tuple[Events, Events]:
    """Events up to where a message begins, and from there on: in the other direction by the packet that brought it."""
    first: tuple[list[StreamEvent], list[StreamEvent]] = ([], [])
    rest: tuple[list[StreamEvent], list[StreamEvent]] = ([], [])
    other = 1 - begins.direction
    first[other].extend(before(events[other], begins.packet))
    rest[other].extend(behind(events[other], begins.packet - 1))
    for event in events[begins.direction]:
        if isinstance(event, StreamData) and event.start < begins.offset < event.start + event.length:
            at = begins.offset - event.start
            first[begins.direction].append(event.until(at))
            rest[begins.direction].append(event.after(at))
        else:
            begun = rest[begins.direction] or (isinstance(event, StreamData) and event.start == begins.offset)
            (rest if begun else first)[begins.direction].append(event)
    return first, rest
