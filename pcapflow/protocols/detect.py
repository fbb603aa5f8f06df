"""Which protocol a stream speaks, from its first bytes: by content, never by port.

Contract: `classify` takes the bytes from a stream's start, however many there are, and returns a verdict or None where more
are needed. Invariant: a verdict on some bytes stays the same for every continuation of them.
"""

from __future__ import annotations

import re

from pcapflow.protocols.http1_head import METHOD, REQUEST_LINE, SIMPLE_REQUEST_LINE, STATUS_LINE
from pcapflow.streams.events import StreamData

REQUEST, RESPONSE, TLS, HTTP2, JSON, FRAMED_JSON, OTHER = "request", "response", "tls", "http2", "json", "framed-json", "other"

MOST_BYTES = 64 << 10
"""A first line that is longer than this is none."""
_SHORT = 256
_BLANK = b" \t\r\n"

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_UNFINISHED_REQUEST = re.compile(rb"(?:\r?\n)*\r?(?:" + METHOD + rb"(?:[ \t][^\r\n]*+\r?)?)?\Z")
_UNFINISHED_STATUS = re.compile(rb"(?:\r?\n)*\r?(?:H|HT|HTT|HTTP|HTTP/|HTTP/1|HTTP/1\.[^\r\n]*+\r?)\Z")


_JSON = re.compile(rb'[ \t\r\n]*+(?:\{[ \t\r\n]*+["}]|\[[ \t\r\n]*+[\[{"])')
_UNFINISHED_JSON = re.compile(rb"[ \t\r\n]*+(?:[\[{][ \t\r\n]*+)?\Z")
_HEAD = re.compile(rb"(?:Content-Type:[^\r\n]*+\r\n)?Content-Length:[ ]*[0-9]{1,15}\r\n", re.IGNORECASE)
"""The head of a JSON-RPC message as language servers frame it (Language Server Protocol, base protocol)."""
_UNFINISHED_HEAD = re.compile(rb"Content-(?:Length:[ ]*[0-9]{0,15}\r?|Type:[^\r\n]*+\r?(?:\n[^\r\n]*+\r?)?)\Z", re.IGNORECASE)


def is_head(data: bytes) -> bool:
    """Whether these bytes begin with the head of a framed message."""
    return _HEAD.match(data) is not None


def whole_lines(data: bytes) -> bool:
    """Whether a segment in the middle of a stream is lines of JSON from its first byte to its last."""
    return _JSON.match(data) is not None and data.endswith((b"}\n", b"}\r\n", b"]\n", b"]\r\n"))


class FirstLine:
    """Whether a stream whose first bytes told nothing may tell something with more of them: so that a line that comes byte by byte is not looked at
    again for each. A long one goes on as it began until it is no longer blank, it ends, or it is too long.
    """

    __slots__ = ("_blank",)

    def __init__(self) -> None:
        self._blank: bool | None = None
        """Whether what is there is blank, or opens a container and is blank from there on; None where nobody looked."""

    def may_tell(self, stash: bytes | bytearray, more: bytes) -> bool:
        """stash: what told nothing; more: what follows it."""
        if len(stash) < _SHORT or len(stash) + len(more) >= MOST_BYTES:
            return True
        if self._blank is None:
            self._blank = stash.strip(_BLANK) in (b"", b"{", b"[")
        telling = bool(more.strip(_BLANK)) if self._blank else b"\n" in more or b"\r" in more
        if telling:
            self._blank = None
        return telling


def classify(data: bytes | bytearray) -> str | None:
    """What the stream that begins with data speaks."""
    if data[:1] == b"\x16":
        # a TLS handshake record: type, version 3.x, length (RFC 8446 section 5.1)
        if len(data) < 3:
            return None
        return TLS if data[1] == 3 and data[2] <= 4 else OTHER
    if data.startswith(b"PRI ") or _PREFACE.startswith(data):
        if len(data) < len(_PREFACE) and _PREFACE.startswith(data):
            return None
        if data.startswith(_PREFACE):
            return HTTP2
    if REQUEST_LINE.match(data) or SIMPLE_REQUEST_LINE.match(data):
        return REQUEST
    if STATUS_LINE.match(data):
        return RESPONSE
    if _JSON.match(data):
        return JSON
    if _HEAD.match(data):
        return FRAMED_JSON
    if len(data) < MOST_BYTES and (_UNFINISHED_JSON.match(data) or _UNFINISHED_HEAD.match(data)):
        return None
    if len(data) < MOST_BYTES and (_UNFINISHED_REQUEST.match(data) or _UNFINISHED_STATUS.match(data)):
        return None
    return OTHER


def telling_piece(stash: bytes, data: StreamData) -> int:
    """The piece of data whose bytes, behind those that came before, tell what the stream is."""
    ends = data.piece_ends()
    most = MOST_BYTES - len(stash)
    low, high = 0, data.piece(min(data.length, most) - 1)
    while low < high:
        middle = (low + high) // 2
        if classify(stash + data.take(0, min(ends[middle], most))) is None:
            low = middle + 1
        else:
            high = middle
    return low
