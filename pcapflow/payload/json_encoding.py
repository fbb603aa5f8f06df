"""Texts of JSON in any of Unicode's encodings, perhaps behind a byte order mark and a prefix.

Contract: `Encoded` is a `Text` that hands another one UTF-8. Invariant: kept are the first bytes, until they tell the encoding, and the part of a character.
"""

from __future__ import annotations

import codecs
import re

from pcapflow.contents import JsonBody
from pcapflow.drops import Drop
from pcapflow.payload.json_texts import Text

_OPENING_BYTES = 32
"""What is looked at before the first byte is parsed: a byte order mark and a prefix fit."""
_PREFIX = re.compile(rb"[ \t\r\n]*(\)\]\}'?,?|while ?\(1\);|for ?\(;;\);|throw 1;|\{\}&&)")
"""What servers put before JSON so that it is no script."""
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32le"),
    (codecs.BOM_UTF32_BE, "utf-32be"),
    (codecs.BOM_UTF16_LE, "utf-16le"),
    (codecs.BOM_UTF16_BE, "utf-16be"),
)
NULS = (
    (re.compile(rb"\0\0\0[^\0]", re.DOTALL), "utf-32be"),
    (re.compile(rb"[^\0]\0\0\0", re.DOTALL), "utf-32le"),
    (re.compile(rb"\0[^\0]", re.DOTALL), "utf-16be"),
    (re.compile(rb"[^\0]\0", re.DOTALL), "utf-16le"),
)
"""JSON begins with ASCII, so its first bytes tell the encoding (RFC 4627 section 3)."""
BROKEN_BYTE = b"\xff"
"""In no encoding a part of JSON: what stands for bytes that are no text."""


class AsUtf8:
    """Decodes a text of another encoding, a piece at a time; behind a byte that is no text comes nothing more."""

    __slots__ = ("_broken", "_decoder", "_encoding")

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._broken = False

    def decode(self, data: bytes, *, final: bool) -> bytes:
        """The next bytes, as UTF-8; `BROKEN_BYTE` stands for what is no text."""
        if self._broken:
            return b""
        try:
            return self._decoder.decode(data, final).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError as e:
            self._broken = True
            good = e.object[: e.start].decode(self._encoding, "surrogatepass")
            return good.encode("utf-8", "surrogatepass") + BROKEN_BYTE


class Encoded:
    """One body, and what reads it."""

    __slots__ = ("_bom", "_bytes", "_decoder", "_encoding", "_opening", "_prefix", "_text")

    def __init__(self, text: Text) -> None:
        self._text = text
        self._opening: bytes | None = b""
        """The first bytes, until there are enough of them."""
        self._decoder: AsUtf8 | None = None
        self._encoding, self._bom, self._prefix = "utf-8", False, None
        self._bytes = 0

    _prefix: str | None

    @property
    def drop(self) -> Drop | None:
        return self._text.drop

    def feed(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._opening is not None:
            data = self._opening + data
            if len(data) < _OPENING_BYTES:
                self._opening = data
                return
            data = self._open(data)
        if self._decoder is not None:
            data = self._decoder.decode(data, final=False)
        self._text.feed(data)

    def gap(self) -> bool:
        self._begin(final=False)
        goes_on = self._text.gap()
        return goes_on and self._decoder is None  # behind a hole nothing tells where a character begins

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody | None:
        self._begin(final=whole)
        if self._decoder is not None:
            rest = self._decoder.decode(b"", final=whole)
            if rest:
                self._text.feed(rest)
        found = self._text.finish(whole=whole, gapped=gapped)
        if found is not None:
            found.bytes, found.encoding, found.bom, found.prefix = self._bytes, self._encoding, self._bom, self._prefix
        return found

    def _begin(self, *, final: bool) -> None:
        """Hand on the first bytes, where they are still here."""
        if self._opening is not None:
            data = self._open(self._opening)
            if self._decoder is not None:
                data = self._decoder.decode(data, final=final)
            if data:
                self._text.feed(data)

    def _open(self, data: bytes) -> bytes:
        """Look at the first bytes; what is left of them."""
        self._opening = None
        room = _OPENING_BYTES
        for mark, encoding in MARKS:
            if data.startswith(mark):
                self._bom, self._encoding = True, encoding
                data = data[len(mark) :]
                room -= len(mark)
                break
        else:
            self._encoding = next((encoding for pattern, encoding in NULS if pattern.match(data)), "utf-8")
        if self._encoding != "utf-8":
            self._decoder = AsUtf8(self._encoding)
            return data
        match = _PREFIX.match(data[:room])
        if match is not None:
            self._prefix = match[1].decode()
            data = data[match.end() :]
        return data
