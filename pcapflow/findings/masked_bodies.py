"""Where secrets stand in message bodies, whatever their chunking and codings, for `masking`.

Contract: `body_listeners` gives two `Listener`s that look at each body as it was sent, and without its codings. Invariant: of an uncoded body each secret is a range of the stream that carries it; a coded one
that holds any, or that cannot be decoded to its end, is overwritten whole.
"""

from __future__ import annotations

from typing import Any

from pcapflow.drops import Drop
from pcapflow.findings.listening import Listener
from pcapflow.findings.masking import AT_ONCE, JSON_BEGINS, LEVELS, Masking, Scanner
from pcapflow.payload.json_values import STRING, ValuePlaces
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.message import Head

_GZIP = b"\x1f\x8b\x08"
_PIECES_MOST = 4096
"""Stretches of one coded body; of more, those between its first and last byte."""


class _Body:
    """A body under way: where its bytes stand in the stream."""

    def __init__(self, masking: Masking, head: Head, origin: BodyOrigin) -> None:
        self.masking = masking
        self.origin = origin
        self._begins = b""
        self.coded = bool(head.codings)
        self.secret = False
        """A coded one holds a secret, or nobody knows."""
        self.pieces: list[tuple[int, int, int]] = []
        """Offset in the body, in the stream, and bytes."""
        self.size = 0

    def put(self, data: bytes) -> None:
        """Its next bytes, as they were sent."""
        if len(self._begins) < len(_GZIP):
            self._begins += data[: len(_GZIP) - len(self._begins)]
            self.coded = self.coded or self._begins == _GZIP
        self._put(len(data), self.origin.position)

    def _put(self, n: int, position: int) -> None:
        pieces = self.pieces
        if pieces and pieces[-1][1] + pieces[-1][2] == position and pieces[-1][0] + pieces[-1][2] == self.size:
            pieces[-1] = pieces[-1][0], pieces[-1][1], pieces[-1][2] + n
        else:
            pieces.append((self.size, position, n))
            if len(pieces) > _PIECES_MOST:
                first = pieces[0]
                pieces[:] = [(first[0], first[1], position + n - first[1])]
        self.size += n

    def add(self, begin: int, end: int, kind: int = STRING) -> None:
        """A range of the body is masked."""
        connection = self.origin.connection
        direction = self.masking.direction(connection, self.origin.stream)
        for at, position, n in self.pieces:
            low, high = max(begin, at), min(end, at + n)
            if low < high:
                self.masking.add(connection, direction, position + low - at, position + high - at, kind)

    def forget(self, before: int) -> None:
        """No range begins before that offset any more."""
        if not self.coded:
            while len(self.pieces) > 1 and self.pieces[0][0] + self.pieces[0][2] <= before:
                del self.pieces[0]


class _Listening:
    """What both listeners of a body do: look at its text."""

    as_sent = True

    def __init__(self, body: _Body, head: Head) -> None:
        self._body = body
        self._scanner = Scanner(body.masking)
        self._is_json: bool | None = True if head.form else None
        self._places: ValuePlaces | None = None

    def feed(self, data: bytes) -> None:
        """See `BodyListener`."""
        self._begin(data)
        for begin, end in self._scanner.feed(data):
            self.found(begin, end, STRING)
        if self._places is not None:
            for place in self._places.feed(data):
                self.found(*place)

    def _begin(self, data: bytes) -> None:
        paths = self._body.masking.paths
        if self._is_json is None:
            begins = data.lstrip(b" \t\r\n\xef\xbb\xbf")
            self._is_json = begins[:1] in JSON_BEGINS if begins else None
        if self._is_json and self._places is None and paths:
            self._places = ValuePlaces(paths, LEVELS)

    def found(self, begin: int, end: int, kind: int) -> None:
        """A secret stands there."""
        raise NotImplementedError

    def gap(self, n: int) -> None:
        """See `BodyListener`."""
        for begin, end in self._scanner.flush():
            self.found(begin, end, STRING)

    def stop(self, drop: Drop) -> None:
        """See `BodyListener`."""
        self._body.secret = True

    def undecoded(self, problem: str) -> None:
        """See `BodyListener`."""
        self._body.secret = True

    def finish(self, *, whole: bool) -> None:
        """See `BodyListener`."""
        for begin, end in self._scanner.flush():
            self.found(begin, end, STRING)
        if self._places is not None:
            for place in self._places.finish():
                self.found(*place)


class _SentBody(_Listening):
    """A body as it was sent."""

    def __init__(self, body: _Body, head: Head) -> None:
        super().__init__(body, head)
        self._blind = False
        """Behind a gap nobody knows which values of JSON these are."""

    def feed(self, data: bytes) -> None:
        """See `BodyListener`."""
        body = self._body
        begin = body.size
        body.put(data)
        if body.coded:
            return
        super().feed(data)
        if self._blind:
            body.add(begin, body.size)
        body.forget(self._scanner.base - AT_ONCE)

    def found(self, begin: int, end: int, kind: int) -> None:
        """See `_Listening`."""
        self._body.add(begin, end, kind)

    def gap(self, n: int) -> None:
        """See `BodyListener`."""
        super().gap(n)
        self._blind = self._places is not None
        self._body.secret = True


class _DecodedBody(_Listening):
    """The same body, content codings undone."""

    as_sent = False

    def feed(self, data: bytes) -> None:
        """See `BodyListener`."""
        if self._body.coded:
            super().feed(data)

    def found(self, begin: int, end: int, kind: int) -> None:
        """See `_Listening`."""
        self._body.secret = True

    def finish(self, *, whole: bool) -> None:
        """See `BodyListener`."""
        super().finish(whole=whole)
        body = self._body
        if body.coded and (body.secret or not whole):
            body.masking.coded += 1
            body.add(0, body.size)
        body.pieces.clear()


def body_listeners(masking: Masking) -> tuple[Listener, Listener]:
    """Who looks at bodies, in the order in which they are asked."""
    bodies: dict[BodyOrigin, _Body] = {}
    return _Sent(masking, bodies), _Decoded(bodies)


class _Sent(Listener):
    """Opens what looks at bodies as they were sent."""

    by_packet = True
    looks_at_all = True

    def __init__(self, masking: Masking, bodies: dict[BodyOrigin, _Body]) -> None:
        self._masking = masking
        self._bodies = bodies

    def body(self, head: Head, origin: BodyOrigin) -> Any:
        """See `Listener`."""
        body = self._bodies[origin] = _Body(self._masking, head, origin)
        return _SentBody(body, head)


class _Decoded(Listener):
    """The same without their codings."""

    looks_at_all = True

    def __init__(self, bodies: dict[BodyOrigin, _Body]) -> None:
        self._bodies = bodies

    def body(self, head: Head, origin: BodyOrigin) -> Any:
        """See `Listener`."""
        return _DecodedBody(self._bodies.pop(origin), head)
