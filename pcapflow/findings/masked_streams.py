"""Where secrets stand in streams as they are reassembled, whatever is spoken in them, for `masking`.

Contract: `StreamMasking` is a `Picking` that looks at what each connection says before its reader does. Invariant: what it finds does not depend on how the bytes come.
"""

from __future__ import annotations

from pcapflow.findings.masking import LEVELS, Masking
from pcapflow.findings.scanning import AT_ONCE, JSON_BEGINS, JsonValues, Scanner
from pcapflow.payload.json_line_values import LinePlaces
from pcapflow.payload.json_values import ValuePlaces
from pcapflow.streams.conversation import Consumer, Conversation, Events
from pcapflow.streams.events import StreamData, StreamGap

_LOGIN_BYTES = 600
"""Of a stream's beginning: where SOCKS says name and password."""
_CONTROLS = bytes({*range(32), 127} - {9, 10, 12, 13})
"""Bytes that no text has."""


class StreamMasking(Masking):
    """A `Masking` that looks at streams."""

    def looking(self, reader: Consumer, number: int) -> Consumer:
        """See `Masking`."""
        return _Tee(self, reader, number)


class _Tee:
    """Looks at what a connection says before its reader does."""

    __slots__ = ("_begins", "_binary", "_is_json", "_json", "_masking", "_reader", "_scanners")

    def __init__(self, masking: Masking, reader: Consumer, number: int) -> None:
        """number: of the connection."""
        self._masking = masking
        self._reader = reader
        self._scanners: list[Scanner | None] = [None, None]
        paths = masking.paths
        self._json = [JsonValues(masking, [LinePlaces(paths, LEVELS, within=True)], number) for _ in (0, 1)] if paths is not None else None
        self._is_json = [False, False]
        self._binary = [False, False]
        self._begins: list[bytes | None] = [b"", b""]
        """The first bytes of each direction, as long as they may be of a login of SOCKS."""

    def consume(self, conversation: Conversation, events: Events) -> None:
        """See `Consumer`."""
        for direction in (0, 1):
            for event in events[direction]:
                scanner = self._scanner(conversation, direction)
                if isinstance(event, StreamData):
                    self._data(conversation, direction, event, scanner)
                    continue
                missing = 0
                if isinstance(event, StreamGap):
                    missing = event.length
                    if not event.start:
                        self._masking.headless(conversation.number, direction)
                    self._masking.framing(conversation.number, direction).missing(event.start, event.start + missing)
                for one in scanner.flush(missing):
                    self._masking.add(conversation.number, direction, *one)
                if (
                    missing
                    and self._is_json[direction]
                    and (self._masking.paths is not None or not self._masking.has_beginning(conversation, direction))
                ):
                    # which values these are nobody knows, nor whether it is a stream of JSON at all
                    self._masking.overwrite(conversation.number, direction)
        self._reader.consume(conversation, events)

    def _scanner(self, conversation: Conversation, direction: int) -> Scanner:
        found = self._scanners[direction]
        if found is None:
            found = self._scanners[direction] = Scanner(self._masking, lost=not conversation.began(direction))
        return found

    def _data(self, conversation: Conversation, direction: int, event: StreamData, scanner: Scanner) -> None:
        masking, connection = self._masking, conversation.number
        may_be_blind = not masking.has_beginning(conversation, direction)
        for at in range(0, event.length, AT_ONCE):
            data = event.take(at, min(AT_ONCE, event.length - at))
            if not event.start and not at:
                self._is_json[direction] = data.lstrip()[:1] in JSON_BEGINS
                if self._is_json[direction] and self._json is not None and masking.paths is not None:
                    self._json[direction].places.append(ValuePlaces(masking.paths, LEVELS))
            if may_be_blind and not self._binary[direction] and len(data.translate(None, _CONTROLS)) < len(data):
                self._binary[direction] = True
                masking.binary(connection, direction)
            self._look_for_login(connection, direction, data)
            for one in scanner.feed(data):
                masking.add(connection, direction, *one)
            for begin, end, kind in self._json[direction].feed(data) if self._json is not None else ():
                masking.add(connection, direction, begin, end, kind)

    def _look_for_login(self, connection: int, direction: int, data: bytes) -> None:
        begins = self._begins[direction]
        if begins is None:
            return
        begins = (begins + data)[:_LOGIN_BYTES]
        found = login_in(begins)
        for begin, end in found or ():
            self._masking.learn(begins[begin:end])
            self._masking.add(connection, direction, begin, end)
        self._begins[direction] = begins if found is None else None


def login_in(begins: bytes) -> list[tuple[int, int]] | None:
    """Where name and password stand in what a client of SOCKS 5 says first (RFC 1928, 1929); None where more bytes must tell."""
    if begins[:1] not in (b"", b"\5"):
        return []
    if len(begins) < 2 or len(begins) < begins[1] + 4:
        return None if len(begins) < _LOGIN_BYTES else []
    at = 2 + begins[1]
    if begins[at] != 1:
        return []
    name = at + 2, at + 2 + begins[at + 1]
    if len(begins) <= name[1]:
        return None if len(begins) < _LOGIN_BYTES else []
    password = name[1] + 1, name[1] + 1 + begins[name[1]]
    if len(begins) < password[1]:
        return None if len(begins) < _LOGIN_BYTES else []
    return [name, password]
