"""Secrets in bytes of any kind: where credentials, cookies and tokens stand, and where known values come again. Vocabulary.

Contract: `secrets_in` gives the places of secrets that their surroundings show: fields, parts of queries, members of JSON, URLs with a password, tokens of well-known forms. `Finder` gives the places of
values that are known, of LEAST bytes at least. Invariant: time is linear in the bytes looked at, times the logarithm of how many values there are.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote_to_bytes

import numpy as np

from pcapflow.redaction import is_secret_field, is_secret_parameter

LEAST = 8
"""Bytes of a value that is looked for elsewhere: shorter ones stand in other words."""
KEY = 256
"""Of a longer value so many are looked for."""
_SPAN = 64 << 10
_FIELD = re.compile(rb"^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128})[ \t]*:[ \t]*((?:[^\r\n]|\r?\n[ \t])+)", re.MULTILINE)
_PARAMETER = re.compile(rb"(?:^|[?&;#])([^=&;#?\s\"'<>]{1,128})=([^&;#\s\"'<>\\]+)", re.MULTILINE)
_USER = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,31}://([^/?#@\s\"'<>\\]{1,1024})@")
_TOKEN = re.compile(
    rb"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}"
    rb"|sk_(?:live|test)_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{35}"
)
"""JSON Web Tokens (RFC 7519), and what GitHub, GitLab, Slack, Stripe, OpenAI, Amazon and Google hand out."""
_MEMBER = re.compile(rb'"([^"\\]{1,128})"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}"((?:[^"\\]|\\.)++)', re.DOTALL)
"""Of a JSON object, with a string."""
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9._~+/-]{0,31}[ \t]+(?=[^ \t])")
_PAIR = re.compile(rb"([^=;]*)=([^;]*)")
_LIKE_A_TOKEN = re.compile(rb"(?=[^0-9]*+[0-9])(?=[^a-z]*+[a-z])(?=[^A-Z]*+[A-Z])[A-Za-z0-9._~+/%-]{20,}=*")
_BLANK = b" \t\r\n"

Place = tuple[int, int]
"""Of a secret: from, up to."""


def secrets_in(text: bytes) -> Iterator[Place]:
    """The places of secrets in some bytes, in no order; they may overlap."""
    for field in _FIELD.finditer(text):
        if is_secret_field(str(field[1], "latin-1")):
            yield from _of_field(field[1].lower(), text, *field.span(2))
    for part in _PARAMETER.finditer(text):
        if is_secret_parameter(str(part[1], "latin-1")) or _LIKE_A_TOKEN.fullmatch(part[2]):
            yield part.span(2)
    for member in _MEMBER.finditer(text):
        if is_secret_field(str(member[1], "latin-1")):
            yield member.span(2)
    for pattern, group in ((_USER, 1), (_TOKEN, 0)):
        for match in pattern.finditer(text):
            yield match.span(group)


def _of_field(name: bytes, text: bytes, begin: int, end: int) -> Iterator[Place]:
    """The secret parts of a field's value: of cookies the values, of credentials what stands behind the scheme."""
    if b"cookie" in name:
        for pair in _PAIR.finditer(text, begin, end):
            yield pair.span(2)
            if name.startswith(b"set-"):
                return  # what follows are attributes
        return
    if b"authorization" in name:
        scheme = _SCHEME.match(text, begin, end)
        begin = scheme.end() if scheme is not None else begin
    yield begin, end


def variants(value: bytes) -> set[bytes]:
    """A value as it may stand elsewhere too: in a URL, in a string of JSON, decoded."""
    value = value.strip(_BLANK + b'"')
    found = {value, unquote_to_bytes(value), quote(value).encode(), quote(value, safe="").encode(), value.replace(b"/", rb"\/")}
    return {one for one in found if len(one) >= LEAST}


class Finder:
    """Finds values again."""

    def __init__(self, values: Iterable[bytes]) -> None:
        self._values: dict[bytes, int] = {}
        """The beginning of each, and how long the longest is that begins so."""
        for value in values:
            if len(value) >= LEAST:
                key = value[:KEY]
                self._values[key] = max(self._values.get(key, 0), len(value))
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
        """Where they stand. The end of one of more than KEY bytes may lie beyond the data."""
        if not self._keys:
            return
        for base in range(0, len(data) - LEAST + 1, _SPAN):
            some = data[base : base + _SPAN + LEAST - 1]
            windows = np.ndarray((len(some) - LEAST + 1,), dtype="V8", buffer=some, strides=(1,)).copy().view("<u8")
            at = np.minimum(np.searchsorted(self._begins, windows), len(self._begins) - 1)
            for i in np.flatnonzero(self._begins[at] == windows).tolist():
                n = self._longest(data[base + i : base + i + KEY])
                if n:
                    yield base + i, base + i + n

    def _longest(self, text: bytes) -> int:
        """Bytes of the longest value that a text begins with; 0 for none. Whatever key is at or before the text in order begins with all keys that the text begins with."""
        i = bisect_right(self._keys, text) - 1
        while i >= 0:
            key = self._keys[i]
            if text.startswith(key):
                return self._values[key]
            i = self._within[i]
        return 0
