"""Where a JSON parser is between two slices: what is open, and what came last.

Contract: `Place.expect` says what the grammar lets come there; `Place.text` is a text that brings another parser there. Both look at nothing but the place.
"""

from __future__ import annotations

from typing import NamedTuple

from pcapflow.payload import json_error_offset


class Place(NamedTuple):
    """A slice and the state in which it began; looked into only where a text breaks."""

    data: bytes
    at: int
    containers: str
    """Those that are open, outermost first: `{` and `[`."""
    last: bytes

    def expect(self) -> int:
        """What the grammar lets come first."""
        in_map = self.containers[-1:] == "{"
        match self.last:
            case b"":
                return json_error_offset.VALUE
            case b",":
                return json_error_offset.KEY if in_map else json_error_offset.VALUE
            case b":":
                return json_error_offset.VALUE
            case b"[":
                return json_error_offset.VALUE_OR_END
            case b"{":
                return json_error_offset.KEY_OR_END
            case b"K":
                return json_error_offset.COLON
            case _:
                return json_error_offset.COMMA_OR_END

    def text(self) -> bytes:
        """A text that brings a parser to this place, of empty keys and strings."""
        if not self.containers:
            return b'""' if self.last else b""  # a text without a document is none
        inner = _INNER[self.containers[-1]]
        return b"".join([b"[" if kind == "[" else b'{"":' for kind in self.containers[:-1]]) + inner.get(self.last, inner[b""])


_INNER = {
    "[": {b"[": b"[", b",": b'["",', b"": b'[""'},
    "{": {b"{": b"{", b",": b'{"":"",', b":": b'{"":', b"K": b'{""', b"": b'{"":""'},
}
"""The innermost container up to the last token in it; what is none of these ends a value."""
