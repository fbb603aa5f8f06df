"""Where secrets stand in message bodies, whatever their chunking and codings, for `masking`.

Contract: `body_listeners` gives two `Listener`s that look at each body as it was sent, and without its codings. Invariant: of an uncoded body each secret is a range of the stream that carries it; a coded one
that holds any, or that cannot be decoded to its end, is overwritten whole.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import Any

from pcapflow.drops import Drop
from pcapflow.findings.framing import Framing
from pcapflow.findings.listening import Listener, Run
from pcapflow.findings.masking import Masking
from pcapflow.findings.scanning import AT_ONCE, JsonValues, Scanner
from pcapflow.payload.content import Decoder
from pcapflow.payload.json_values import STRING
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.message import Head, HeadRead
from pcapflow.streams.conversation import Conversation
from pcapflow.unread import Unread

_GZIP = b"\x1f\x8b\x08"
_BEGINS = 8
"""Bytes that tell a coding that nothing announces, and characters of two bytes or four behind white space."""
_BODY_BYTES = 1100
"""Of a body under way, with what looks at it."""
_JSON_BYTES = 1400
"""More for each of both that look at it, where values of JSON are looked for."""
_PIECE_BYTES = 32
"""Of a stretch of one, such as a chunk, in arrays that grow; where there is no room the stream is overwritten whole."""
_FORGET_AT_ONCE = 256


class _Body:
    """A body under way: where its bytes stand in the stream."""

    __slots__ = (
        "_ends", "_lengths", "_offsets", "_places", "_reserved", "begins", "coded", "first", "form", "masking", "origin", "overwritten", "secret", "size",
    )  # fmt: skip

    def __init__(self, masking: Masking, head: Head, origin: BodyOrigin) -> None:
        self.masking = masking
        self.origin = origin
        self.begins = b""
        self.first = 0
        """Bytes of those that the piece brought which made them whole."""
        self.coded = bool(head.codings)
        self.form = head.form == "form" or head.content_type is None
        self.secret = False
        """A coded one holds a secret, or nobody knows."""
        self.overwritten = False
        """So is its stream."""
        self._offsets, self._places, self._lengths = array("q"), array("q"), array("q")
        """Of the stretches of the body that are at hand, such as chunks: where they begin in it, and in the stream, and their bytes. Of a coded one the last alone."""
        self._ends: tuple[int, int] | None = None
        """Where the first stretch begins in the stream, and the last one ends."""
        self.size = 0
        self._reserved = _BODY_BYTES
        masking.reserve(_BODY_BYTES)

    def missing(self, n: int) -> None:
        """Bytes of it are."""
        self.size += n

    def put(self, data: bytes) -> None:
        """Its next bytes, as they were sent."""
        if len(self.begins) < _BEGINS:
            self.first = min(len(data), _BEGINS - len(self.begins))
            self.begins += data[: self.first]
            self.coded = self.coded or self.begins.startswith(_GZIP)
        if not self.overwritten:
            self._put(len(data), self.origin.position)
        self.size += len(data)

    def _put(self, n: int, position: int) -> None:
        offsets, places, lengths = self._offsets, self._places, self._lengths
        self._ends = self._ends[0] if self._ends is not None else position, position + n
        if offsets:
            end = places[-1] + self.size - offsets[-1]  # of what is missing too, which the last chunk had
            if end == position and offsets[-1] + lengths[-1] == self.size:
                lengths[-1] += n
                return
            if end < position:
                self._framing().chunk_line(end, position)
            if self.coded:
                offsets[-1], places[-1], lengths[-1] = self.size, position, n
                return
        if not self.masking.take(_PIECE_BYTES):
            self._overwrite()
            return
        self._reserved += _PIECE_BYTES
        offsets.append(self.size)
        places.append(position)
        lengths.append(n)

    def _overwrite(self) -> None:
        """There is no room for where its bytes stand."""
        self._forget(len(self._offsets))
        self.overwritten = True
        self.masking.overwrite(self.origin.connection, self._direction)

    def over(self) -> None:
        """All of it came."""
        if self._ends is not None:
            self._framing().body_over(self._ends[1])

    def close(self) -> None:
        """Give all memory back."""
        self.masking.release(self._reserved)
        self._reserved = 0

    @property
    def _direction(self) -> int:
        return self.masking.direction(self.origin.connection, self.origin.stream)

    def _framing(self) -> Framing:
        return self.masking.framing(self.origin.connection, self._direction)

    def mask_whole(self) -> None:
        """All of it is, but for what frames its chunks (`Framing.apart`)."""
        if self._ends is not None and not self.overwritten:
            self.masking.add(self.origin.connection, self._direction, *self._ends)

    def add(self, begin: int, end: int, kind: int = STRING) -> None:
        """A range of the body is masked."""
        connection, direction = self.origin.connection, self._direction
        offsets = self._offsets
        i = max(0, bisect_right(offsets, begin) - 1)
        while i < len(offsets) and offsets[i] < end:
            at, position = offsets[i], self._places[i]
            low, high = max(begin, at), min(end, at + self._lengths[i])
            if low < high:
                self.masking.add(connection, direction, position + low - at, position + high - at, kind)
            i += 1

    def forget(self, before: int) -> None:
        """No range begins before that offset any more."""
        gone = max(0, bisect_right(self._offsets, before) - 1)
        if gone > _FORGET_AT_ONCE:
            self._forget(gone)

    def _forget(self, n: int) -> None:
        for some in (self._offsets, self._places, self._lengths):
            del some[:n]
        self.masking.release(n * _PIECE_BYTES)
        self._reserved -= n * _PIECE_BYTES


def is_wide(begins: bytes) -> bool:
    """Whether a text begins so whose characters take two bytes or four."""
    if begins[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    plain = begins.replace(b"\0", b"")
    return b"\0" in begins[:4] and len(begins) >= 2 and plain.strip()[:1] in (b"{", b"[", b'"', b"<", b"") and bool(plain)


class _Listening:
    """What both listeners of a body do: look at its text."""

    __slots__ = ("_body", "_places", "_reserved", "_scanner")
    as_sent = True

    def __init__(self, body: _Body) -> None:
        self._body = body
        self._scanner: Scanner | None = None
        self._places: JsonValues | None = None
        self._reserved = 0

    def _looking(self) -> tuple[Scanner, JsonValues]:
        """What looks at the text, made when there is some: most bodies have no coding, and are looked at once."""
        if self._scanner is None or self._places is None:
            masking = self._body.masking
            n = _JSON_BYTES * (masking.paths is not None)
            masking.reserve(n)
            self._reserved = n
            self._scanner, self._places = Scanner(masking, form=self._body.form), JsonValues.of_text(masking)
        return self._scanner, self._places

    def feed(self, data: bytes) -> None:
        """See `BodyListener`."""
        scanner, places = self._looking()
        for one in scanner.feed(data):
            self.found(*one)
        for place in places.feed(data):
            self.found(*place)

    def found(self, begin: int, end: int, kind: int) -> None:
        """A secret stands there."""
        raise NotImplementedError

    def gap(self, n: int) -> None:
        """See `BodyListener`."""
        for one in self._looking()[0].flush(n):
            self.found(*one)

    def stop(self, drop: Drop) -> None:
        """See `BodyListener`."""
        self._body.secret = True

    def undecoded(self, problem: str) -> None:
        """See `BodyListener`."""
        self._body.secret = True

    def finish(self, *, whole: bool) -> None:
        """See `BodyListener`."""
        if self._scanner is not None and self._places is not None:
            for one in self._scanner.flush():
                self.found(*one)
            for place in self._places.finish():
                self.found(*place)
            self._places.close()
        self._body.masking.release(self._reserved)
        self._reserved = 0


class _SentBody(_Listening):
    """A body as it was sent."""

    __slots__ = ("_blind",)

    def __init__(self, body: _Body) -> None:
        super().__init__(body)
        self._blind = False
        """Behind a gap nobody knows which values of JSON these are."""

    def feed(self, data: bytes) -> None:
        """See `BodyListener`."""
        body = self._body
        begin = body.size
        body.put(data)
        if body.coded:
            return
        if begin < _BEGINS and not self._blind and is_wide(body.begins):
            self._blind = True  # text in UTF-16 or UTF-32 has no bytes that tell its values
            body.masking.coded += 1
            begin = 0
        super().feed(data)
        if self._blind:
            body.add(begin, body.size)
        if self._scanner is not None:
            body.forget(self._scanner.base - AT_ONCE)

    def found(self, begin: int, end: int, kind: int) -> None:
        """See `_Listening`."""
        self._body.add(begin, end, kind)

    def finish(self, *, whole: bool) -> None:
        """See `BodyListener`."""
        super().finish(whole=whole)
        if whole:
            self._body.over()

    def gap(self, n: int) -> None:
        """See `BodyListener`."""
        super().gap(n)
        self._body.missing(n)
        self._blind = self._blind or self._body.masking.paths is not None
        self._body.secret = True


class _DecodedBody(_Listening):
    """The same body, content codings undone."""

    __slots__ = ("_begins", "_decoder", "_reader_decodes", "_run")
    as_sent = False

    def __init__(self, body: _Body, head: Head, run: Run) -> None:
        super().__init__(body)
        self._run = run
        self._reader_decodes = bool(head.codings or head.form)
        self._decoder: Decoder | None = None
        self._begins = b""

    def feed(self, data: bytes) -> None:
        """See `BodyListener`."""
        if not self._body.coded:
            return
        if self._reader_decodes:
            if len(self._begins) < _BEGINS:
                self._begins += data[: _BEGINS - len(self._begins)]
                if self._begins.startswith(_GZIP) or is_wide(self._begins):
                    self._body.secret = True  # another coding within
            super().feed(data)
            return
        if self._decoder is None:  # gzip that nothing announces
            self._decoder = Decoder(("gzip",), self._run.limits, self._run.ledger.content, super().feed)
            self._stopped(self._decoder.open())
            data = self._body.begins[: len(self._body.begins) - self._body.first] + data
        self._stopped(self._decoder.feed(data))

    def _stopped(self, drop: Drop | None) -> None:
        if drop is not None:
            self._body.secret = True

    def found(self, begin: int, end: int, kind: int) -> None:
        """See `_Listening`."""
        self._body.secret = True

    def finish(self, *, whole: bool) -> None:
        """See `BodyListener`."""
        if self._decoder is not None:
            self._stopped(self._decoder.cut())
            self._decoder.close()
        super().finish(whole=whole)
        body = self._body
        if body.coded and (body.secret or not whole):
            body.masking.coded += 1
            body.mask_whole()
        body.close()


def body_listeners(masking: Masking) -> tuple[Listener, Listener]:
    """Who looks at bodies, in the order in which they are asked."""
    bodies: dict[BodyOrigin, _Body] = {}
    return _Sent(masking, bodies), _Decoded(bodies)


class _Sent(Listener):
    """Opens what looks at bodies as they were sent."""

    by_packet = True
    looks_at_all = True
    tells_heads = True

    def __init__(self, masking: Masking, bodies: dict[BodyOrigin, _Body]) -> None:
        self._masking = masking
        self._bodies = bodies

    def head(self, connection: int, side: int, read: HeadRead) -> None:
        """See `Listener`."""
        masking = self._masking
        masking.framing(connection, masking.direction(connection, "server" if side else "client")).message(read.offset, read.size)

    def unread(self, conversation: Conversation, direction: int, unread: Unread) -> None:
        """See `Listener`."""
        self._masking.not_read(conversation, direction, unread)

    def body(self, head: Head, origin: BodyOrigin) -> Any:
        """See `Listener`."""
        body = self._bodies[origin] = _Body(self._masking, head, origin)
        return _SentBody(body)


class _Decoded(Listener):
    """The same without their codings."""

    looks_at_all = True

    def __init__(self, bodies: dict[BodyOrigin, _Body]) -> None:
        self._bodies = bodies

    def begin(self, run: Run) -> None:
        """See `Listener`."""
        self._run = run

    def body(self, head: Head, origin: BodyOrigin) -> Any:
        """See `Listener`."""
        return _DecodedBody(self._bodies.pop(origin), head, self._run)
