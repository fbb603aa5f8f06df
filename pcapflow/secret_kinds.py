"""How a secret ends that was found in some bytes, and what is still of it where they are cut. Vocabulary.

Contract: a `Place` has one of the kinds; `GOES_ON` of a kind matches what follows of it in the next bytes, `reaches_end` says whether it may go on. Invariant: each pattern takes time that is linear in what it matches.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

LONG = 4 << 10
"""A value of more bytes is looked for by its beginning, and ends with the word that it begins."""
FIELD, STRING, WORD, VALUE, PART, LOST, QUERY, HOLDER, KNOWN, ELEMENT, PEM, TEXT, OPEN = range(13)
"""How a secret ends: with its line and those folded into it, with a quote, with its word, with a field of a form, with a part of a body, with a line or where a message begins, with a part of a query. HOLDER is masked, but not looked for elsewhere: an encoded value that has a secret in it, or plain words; KNOWN is a value that was known. ELEMENT ends with a tag, PEM with its last line, TEXT with a line of a text that is a string of JSON. OPEN is none: a field with secrets in it that goes on, perhaps."""
GOES_ON = (
    re.compile(rb"(?:[^\r\n]|\r\n[ \t])*+"),
    re.compile(rb'(?:[^"\\]|\\.)*+(?:\\\Z)?', re.DOTALL),
    re.compile(rb"[^&;,#\s\"'<>\\]*+"),
    re.compile(rb"[^&]*+"),
    re.compile(rb"(?:[^\r\n]|\r?\n(?!--)|\r(?!\n))*+"),
    re.compile(
        rb"(?:[\t\x20-\x7e\x80-\xff](?<![HGPDO])|(?!HTTP/1\.[01] [1-5]|(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) [^ \r\n]{1,2048} HTTP/1\.)[HGPDO]|\r\n[ \t])*+"
    ),
    re.compile(rb"[^&#\s\"<>\\]*+"),
    re.compile(rb"[^&\s\"<>]*+"),
    re.compile(rb"[^&;,#\s\"'<>\\]*+"),
    re.compile(rb"[^<>]*+"),
    re.compile(rb"[A-Za-z0-9+/=\s\\:,%]*+"),
    re.compile(rb"(?:[^\"\\\r\n]|\\[^nr\r\n])*+"),
)
"""What is still of it, by that."""

Place = tuple[int, int, int]
"""Of a secret: from, up to, and how it ends."""

MOST = 4096
"""Bytes of a value at the most where another one may begin at any of them; it goes on to the end of its word (`at_length`)."""
PLAIN_WORDS = re.compile(rb"[a-z]{1,24}(?:[-_ ][a-z]{1,24}){0,8}")
"""Words that are masked where a secret may be, and not looked for elsewhere."""
_LIKE_A_TOKEN = re.compile(rb"(?=[^0-9]*+[0-9])(?=[^a-z]*+[a-z])(?=[^A-Z]*+[A-Z])[A-Za-z0-9._~+/%-]{20,}=*")
_LIKE_A_KEY = re.compile(rb"(?=[^0-9]*+[0-9])(?=[^A-Za-z]*+[A-Za-z])[A-Za-z0-9._~+/%=-]{16,}")
_RANDOM = re.compile(rb"(?<![A-Za-z0-9_])(?=[A-Za-z_]*+[0-9])[A-Za-z0-9_]{12,}|[A-Za-z0-9]{20,}")
"""Part of a token: words of a text, or names in a path, are shorter or have no digits."""


def reaches_end(text: bytes, place: Place) -> bool:
    """Whether a secret may go on behind some bytes: its end, or a line's that may be folded, is theirs."""
    _, end, kind = place
    return end == len(text) or (kind == FIELD and text.endswith((b"\r", b"\n")) and _ends_in(text, end))


def _ends_in(text: bytes, end: int) -> bool:
    """Whether nothing but a line's end comes."""
    return len(text) - end <= 2 and text[end:] in (b"\r", b"\n", b"\r\n")


def is_token(value: bytes) -> bool:
    """Whether a value looks like a token; one with escapes is looked at without them."""
    plain = unquote_to_bytes(value) if b"%" in value else value
    return _LIKE_A_TOKEN.fullmatch(plain) is not None and _RANDOM.search(plain) is not None


def is_mixed(value: bytes) -> bool:
    """Whether a value has capital letters, small letters and digits."""
    return _LIKE_A_TOKEN.fullmatch(value) is not None


def is_key(value: bytes) -> bool:
    """Whether a value looks like no word, name or path: one of a key whose name alone does not say that it is secret."""
    return _LIKE_A_KEY.fullmatch(value) is not None and _RANDOM.search(value) is not None


class Lengths:
    """Ends of values that may be longer than what one pattern takes: each byte is looked at once more, whatever begins where."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._over = 0

    def of(self, begin: int, end: int) -> Place:
        """The place of such a value, to the end of its word."""
        if end - begin >= MOST:
            if end > self._over:
                word = GOES_ON[WORD].match(self._text, end)
                assert word is not None
                self._over = word.end()
            end = max(end, self._over)
        return begin, end, WORD
