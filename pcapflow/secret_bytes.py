"""Secrets in bytes of any kind: where credentials, cookies and tokens stand, and where known values come again. Vocabulary.

Contract: `secrets_in` gives the places of secrets that their surroundings show: fields, parts of queries, members of JSON, URLs with a password, tokens of well-known forms; `behind_loss` what may be one though its
name is missing. `Finder` gives the places of values that are known, of LEAST bytes at least. Invariant: time is linear in the bytes looked at, times the logarithm of how many values there are.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import quote, unquote_to_bytes

import numpy as np

from pcapflow.redaction import is_secret_field, is_secret_parameter

LEAST = 8
"""Bytes of a value that is looked for elsewhere: shorter ones stand in other words."""
KEY = 256
"""Of a longer value so many are looked for."""
LONG = 4 << 10
"""A value of more bytes is looked for by its beginning, and ends with the word that it begins."""
_SPAN = 64 << 10
_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
"""Of a field (RFC 9110 section 5.6.2)."""
_FIELD = re.compile(rb"^(%s{1,128})[ \t]*+:[ \t]*+((?:[^\r\n]|\r?\n[ \t])++)" % _NAME, re.MULTILINE)
_PARAMETER = re.compile(rb"(?:^|[?&;#])([^=&;#?\s\"'<>]{1,128})=([^&;#\s\"'<>\\]++)", re.MULTILINE)
_USER = re.compile(rb"://([^/?#\s\"'<>\\]{1,1024})@")
_RUN = re.compile(rb"[A-Za-z0-9_.-]{20,}+")
_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{4,}+\.[A-Za-z0-9_-]*+")
"""A JSON Web Token (RFC 7519)."""
_JWT_CUT = re.compile(rb"eyJ[A-Za-z0-9_.-]*+\Z")
_TOKEN = re.compile(
    rb"gh[pousr]_[A-Za-z0-9]{30,}+|github_pat_[A-Za-z0-9_]{30,}+|glpat-[A-Za-z0-9_-]{20,}+|xox[abprs]-[A-Za-z0-9-]{10,}+"
    rb"|sk_(?:live|test)_[A-Za-z0-9]{16,}+|sk-[A-Za-z0-9_-]{20,}+|AKIA[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{35}"
)
"""What GitHub, GitLab, Slack, Stripe, OpenAI, Amazon and Google hand out."""
_PART = re.compile(rb'name="([^"\r\n]{1,128})"[^\r\n]{0,256}\r\n(?:[^\r\n]{1,256}\r\n){0,4}\r\n([^\r\n]+)', re.IGNORECASE)
"""Of a form in parts (RFC 7578)."""
_MEMBER = re.compile(rb'"((?:[^"\\]|\\.){1,128})"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}"((?:[^"\\]|\\.)++)', re.DOTALL)
"""Of a JSON object, with a string."""
_ESCAPE = re.compile(r"\\u00([0-9a-fA-F]{2})")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9._~+/-]{0,31}[ \t]+(?=[^ \t])")
_LIKE_A_TOKEN = re.compile(rb"(?=[^0-9]*+[0-9])(?=[^a-z]*+[a-z])(?=[^A-Z]*+[A-Z])[A-Za-z0-9._~+/%-]{20,}=*")
_BLANK = b" \t\r\n"
_PLAIN_LINE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*+(?:\r?\n[ \t][\t\x20-\x7e\x80-\xff]*+)*+\r?\n")
_START = re.compile(rb"HTTP/[0-9]|[A-Z]{3,20} [^ ]+ HTTP/[0-9]|[0-9A-Fa-f]{0,16}(?:;|\r?\n)")
"""A start line, or one of a chunk: no secret."""
_ORDINARY = frozenset(
    b"accept accept-charset accept-encoding accept-language accept-ranges age allow cache-control connection content-disposition content-encoding content-language content-length"
    b" content-location content-range content-security-policy content-type date etag expect expires host if-match if-modified-since if-none-match if-range keep-alive"
    b" last-modified link location max-forwards origin pragma range referer retry-after server strict-transport-security te trailer transfer-encoding upgrade user-agent vary via".split()
)
"""Fields that a line may begin with whose beginning may be missing."""

FIELD, STRING, WORD, OPEN = 0, 1, 2, 3
"""How a secret ends: with its line and those folded into it, with a quote, with its word. OPEN is none: a field with secrets in it that goes on, perhaps."""
GOES_ON = (
    re.compile(rb"(?:[^\r\n]|\r?\n[ \t])*+"),
    re.compile(rb'(?:[^"\\]|\\.)*+', re.DOTALL),
    re.compile(rb"[^&;,#\s\"'<>\\]*+"),
)
"""What is still of it, by that."""

Place = tuple[int, int, int]
"""Of a secret: from, up to, and how it ends."""


def secrets_in(text: bytes) -> Iterator[Place]:
    """The places of secrets in some bytes, in no order; they may overlap."""
    for field in _FIELD.finditer(text):
        if is_secret_field(str(field[1], "latin-1")):
            yield from _of_field(field[1].lower(), text, *field.span(2))
            if reaches_end(text, (*field.span(2), FIELD)):
                yield *field.span(2), OPEN
    for part in _PARAMETER.finditer(text):
        if is_secret_parameter(str(part[1], "latin-1")) or _LIKE_A_TOKEN.fullmatch(part[2]):
            yield *part.span(2), WORD
    for member in _MEMBER.finditer(text):
        if is_secret_field(_plain(member[1])):
            yield *member.span(2), STRING
    for part in _PART.finditer(text):
        if is_secret_parameter(str(part[1], "latin-1")):
            yield *part.span(2), FIELD
    for run in _RUN.finditer(text):
        at = text.find(b"eyJ", *run.span())
        if at >= 0:
            token = _JWT.match(text, at) or _JWT_CUT.match(text, at)
            if token is not None:
                yield *token.span(), WORD
    for pattern, group in ((_USER, 1), (_TOKEN, 0)):
        for match in pattern.finditer(text):
            yield *match.span(group), WORD


def _plain(key: bytes) -> str:
    """A key of JSON without its escapes."""
    return _ESCAPE.sub(lambda code: chr(int(code[1], 16)), str(key, "latin-1")) if b"\\" in key else str(key, "latin-1")


def reaches_end(text: bytes, place: Place) -> bool:
    """Whether a secret may go on behind some bytes: its end, or a line's that may be folded, is theirs."""
    _, end, kind = place
    return end == len(text) or (kind == FIELD and text.endswith((b"\r", b"\n")) and _ends_in(text, end))


def _ends_in(text: bytes, end: int) -> bool:
    """Whether nothing but a line's end comes."""
    return len(text) - end <= 2 and text[end:] in (b"\r", b"\n", b"\r\n")


def behind_loss(text: bytes) -> int:
    """Bytes at the beginning of some that may be the rest of a secret whose name is missing: the line, unless it shows that it is none; else the word."""
    if _START.match(text):
        return 0
    line = _PLAIN_LINE.match(text)
    if line is None:
        word = GOES_ON[WORD].match(text)
        return word.end() if word is not None else 0
    name = text[: line.end()].partition(b":")[0].strip().lower()
    return 0 if name in _ORDINARY else len(text[: line.end()].rstrip(b"\r\n"))


def _of_field(name: bytes, text: bytes, begin: int, end: int) -> Iterator[Place]:
    """The secret parts of a field's value: of cookies the values, of credentials what stands behind the scheme."""
    if name in (b"cookie", b"cookie2", b"set-cookie", b"set-cookie2"):
        while begin < end:
            stop = text.find(b";", begin, end)
            stop = end if stop < 0 else stop
            equals = text.find(b"=", begin, stop)
            yield begin if equals < 0 else equals + 1, stop, FIELD
            if name.startswith(b"set-"):
                return  # what follows are attributes
            begin = stop + 1
            while begin < end and text[begin] == 0x20:
                begin += 1
        return
    if b"authorization" in name:
        scheme = _SCHEME.match(text, begin, end)
        begin = scheme.end() if scheme is not None else begin
    yield begin, end, FIELD


def variants(value: bytes) -> set[bytes]:
    """A value as it may stand elsewhere too: in a URL, in a string of JSON, decoded."""
    value = value.strip(_BLANK + b'"')
    plain = unquote_to_bytes(value)
    encoded = [quote(plain).encode(), quote(plain, safe="").encode()]
    found = {value, plain, *encoded, *(_HEX.sub(lambda code: code[0].lower(), one) for one in encoded)}
    found |= {one.replace(b"/", rb"\/") for one in (value, plain)}
    return {one for one in found if len(one) >= LEAST}


_HEX = re.compile(rb"%[0-9A-F]{2}")


class Finder:
    """Finds values again."""

    def __init__(self, values: Iterable[bytes], cut: Collection[bytes] = ()) -> None:
        """cut: of the values those that are beginnings: they go on to the end of their word."""
        self._values: dict[bytes, int] = {}
        """The beginning of each, and how long the longest is that begins so."""
        for value in values:
            if len(value) >= LEAST:
                key = value[:KEY]
                self._values[key] = max(self._values.get(key, 0), len(value), LONG + 1 if value in cut else 0)
        self._keys = sorted(self._values)
        self._within: list[int] = []
        """Of each, the longest other that it begins with, by its place; -1 for none."""
        open_: list[int] = []
        for i, key in enumerate(self._keys):
            while open_ and not key.startswith(self._keys[open_[-1]]):
                open_.pop()
            self._within.append(open_[-1] if open_ else -1)
            open_.append(i)
        self._begins = np.unique(np.array([int.from_bytes(key[:LEAST], "little") for key in self._keys], dtype=np.uint64))

    def __bool__(self) -> bool:
        return bool(self._keys)

    def places(self, data: bytes) -> Iterator[Place]:
        """Where they stand. The end of one of more than KEY bytes may lie beyond the data; one of more than LONG goes on to the end of its word."""
        if not self._keys:
            return
        word_end = 0
        for base in range(0, len(data) - LEAST + 1, _SPAN):
            some = data[base : base + _SPAN + LEAST - 1]
            windows = np.ndarray((len(some) - LEAST + 1,), dtype="V8", buffer=some, strides=(1,)).copy().view("<u8")
            at = np.minimum(np.searchsorted(self._begins, windows), len(self._begins) - 1)
            for i in np.flatnonzero(self._begins[at] == windows).tolist():
                n = self._longest(data[base + i : base + i + KEY])
                if n > LONG:
                    if base + i + LEAST > word_end:
                        word = GOES_ON[WORD].match(data, base + i + LEAST)
                        word_end = word.end() if word is not None else 0
                    n = max(LEAST, word_end - base - i)
                if n:
                    yield base + i, base + i + n, WORD

    def _longest(self, text: bytes) -> int:
        """Bytes of the longest value that a text begins with; 0 for none. Whatever key is at or before the text in order begins with all keys that the text begins with."""
        i = bisect_right(self._keys, text) - 1
        while i >= 0:
            key = self._keys[i]
            if text.startswith(key):
                return self._values[key]
            i = self._within[i]
        return 0
