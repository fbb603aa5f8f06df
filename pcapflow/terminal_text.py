"""Text from the wire or the file system, made harmless for a terminal. Vocabulary: knows nobody."""

from __future__ import annotations

import re

_OBEYED = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal would obey or cannot show: control characters, changes of direction, lone surrogates."""

_DIGITS_SHOWN = 256
"""Bits of a number that is written out; Python refuses to write thousands of digits."""
_OBEYED_IN_LINES = re.compile(_OBEYED.pattern.replace(r"\x00-\x1f", r"\x00-\x08\x0b-\x1f"))


def plain_lines(text: str) -> str:
    """The same, of a text that may have several lines, and tabs."""
    return _OBEYED_IN_LINES.sub("\N{REPLACEMENT CHARACTER}", text)


def plain(text: str) -> str:
    """The text with nothing in it that a terminal would obey."""
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


_OBEYED_IN_JSON = re.compile(_OBEYED.pattern.replace(r"\x00-\x1f", ""))
"""Control characters below U+0020 stand in no string of JSON."""


def brief(value: object) -> str:
    """A value for a message, however many digits it has."""
    if isinstance(value, int) and value.bit_length() > _DIGITS_SHOWN:
        return f"a number of {value.bit_length():,} bits"
    try:
        return repr(value)
    except ValueError:
        return "what holds a number of too many digits"


def harmless_json(data: bytes) -> bytes:
    """JSON texts that mean the same, with nothing in them that a terminal would obey: such characters are escaped."""
    text = data.decode("utf-8", "surrogateescape")
    return _OBEYED_IN_JSON.sub(_escaped, text).encode("utf-8", "surrogateescape")


def _escaped(match: re.Match[str]) -> str:
    """As JSON writes it; a byte that is no text, U+DC80 to U+DCFF here, stands for a character that cannot be shown."""
    return f"\\u{ord(match[0]):04x}" if not 0xDC80 <= ord(match[0]) <= 0xDCFF else "\\ufffd"


def counted(n: int, what: str) -> str:
    """`1 stream`, `2 streams`."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what[:-1]}ies" if what.endswith("dy") else f"{n:,} {what}s"


def duration(seconds: float) -> str:
    """A time as people read it: three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.{max(0, 3 - len(str(int(seconds / size))))}f} {unit}"
    return f"{seconds * 1e6:.0f} us"
