"""Values that are known to be secrets, wherever they come again. Vocabulary.

Contract: `variants` gives the spellings of a value that are looked for, `Finder` their places. Invariant: time is linear in the bytes looked at, times the logarithm of how many values there are.
"""

from __future__ import annotations

import re
from base64 import b64decode
from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Iterator
from html import escape, unescape
from json import dumps, loads
from urllib.parse import quote, unquote_to_bytes

import numpy as np

from pcapflow.secret_kinds import GOES_ON, KNOWN, LONG, WORD, Place

LEAST = 8
"""Bytes of a value that is looked for elsewhere: shorter ones stand in other words."""
KEY = 256
"""Of a longer value so many are looked for."""
_ALIKE = 16
"""Values with the same beginning that are told apart."""
_COMPARED = 64
"""Long values are compared so often, and once more for so many bytes of data: where their beginnings stand closer, each is as long as the longest."""
_LINE_END = 2
"""Bytes before the end of data that may be a line's."""
_SPAN = 64 << 10
_BLANK = b" \t\r\n"
_CODE = re.compile(rb"\)\s*\{|\{\s*\Z|\A[.#][A-Za-z-]++\s")
"""Of a script or a style sheet."""
_MESSAGE = re.compile(rb"HTTP/1\.[01] [1-5]|(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) [^ \r\n]{1,2048} HTTP/1\.")
"""What a message begins with, which is no value."""


def variants(value: bytes) -> set[bytes]:
    """A value as it may stand elsewhere too: in a URL, in a form, in a string of JSON or HTML, decoded; user and password of credentials."""
    value = value.strip(_BLANK + b'"')
    if len(value) < LEAST and sum(map(_LONGEST.__getitem__, value)) < LEAST:
        return set()  # at once: it may come again and again, and no spelling is long enough
    if _is_ordinary(value):
        return set()
    plains = {value, unquote_to_bytes(value), unquote_to_bytes(value.replace(b"+", b" "))}
    if b"\\" in value:
        plains.add(_unescaped(value))
    if b"&" in value:
        plains.add(unescape(value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape"))
    plains |= _user_and_password(value)
    plains = {plain.strip(_BLANK + b'"') for plain in plains}
    if any(map(_is_ordinary, plains)):
        return set()
    if any(_STRUCTURE.fullmatch(plain) for plain in plains):
        plains = set()  # JSON, which may stand elsewhere as it is: the words in it are looked for
    plains |= {word[0] for word in _INNER.finditer(value) if word[0] != value and _LIKE_A_TOKEN.match(word[0])}
    found = set(plains)
    for plain in plains:
        if not (plain.isalnum() and plain.isascii()):
            found.update(_spellings(plain))
    return {one for one in found if len(one) >= LEAST}


def _is_ordinary(value: bytes) -> bool:
    """Whether a value stands in every capture, or is a message or code that was taken for one."""
    if value.lower() in _WORDS or _ORDINARY.fullmatch(value) or (b"/" in value and _PATH.fullmatch(value)):
        return True
    return _MESSAGE.search(value) is not None or _CODE.search(value) is not None


def _spellings(plain: bytes) -> Iterator[bytes]:
    """A value as URLs, forms, JSON and HTML have it, as the libraries of several languages write them."""
    for tables in _URLS:
        for table in tables:
            encoded = b"".join(map(table.__getitem__, plain))
            yield encoded
            yield encoded.replace(b"~", b"%7E" if table is tables[0] else b"%7e")
    yield b"".join(map(_URLS[1][0].__getitem__, plain)).replace(b"%", b"%25")
    text = plain.decode("utf-8", "surrogateescape")
    for escaped in (dumps(text)[1:-1], dumps(text, ensure_ascii=False)[1:-1]):
        json = escaped.encode("utf-8", "surrogateescape")
        capitals = _UNICODE.sub(lambda code: b"\\u" + code[1].upper(), json) if b"\\u" in json else json
        yield from (json, capitals, json.replace(b"/", rb"\/"))
        yield _replaced(json, _FOR_SCRIPTS)
        yield _replaced(json, _FOR_PAGES)  # Gson
        yield _replaced(capitals, _FOR_ALL)  # System.Text.Json
    html = escape(text).encode("utf-8", "surrogateescape")
    yield html
    decimal = html.replace(b"&#x27;", b"&#39;")
    yield decimal
    yield decimal.replace(b"&quot;", b"&#34;").replace(b"+", b"&#43;")  # html/template of Go


def _replaced(text: bytes, pairs: list[tuple[bytes, bytes]]) -> bytes:
    for old, new in pairs:
        text = text.replace(old, new)
    return text


def _url(safe: str, space: bytes = b"%20") -> tuple[list[bytes], list[bytes]]:
    """Each byte as it is encoded, with digits in capitals, and in small letters."""
    capital = [quote(bytes([c]), safe=safe).encode() for c in range(256)]
    capital[0x20] = space
    return capital, [one.lower() if one[:1] == b"%" else one for one in capital]


_URLS = (_url("/"), _url(""), _url("!'()*"), _url("", b"+"))
_FOR_SCRIPTS = [(b"%c" % c, b"\\u%04x" % c) for c in b"&<>'"]
_FOR_PAGES = [(b"%c" % c, b"\\u%04x" % c) for c in b"&<>'="]
_FOR_ALL = [(b'\\"', b"\\u0022"), *((b"%c" % c, b"\\u%04X" % c) for c in b"&<>'+`")]
_UNICODE = re.compile(rb"\\u([0-9a-f]{4})")
_UNRESERVED = frozenset(b"-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_WIDE = frozenset((*b"&<>'\"+`=", *range(0x20), *range(0x7F, 0x100)))
_LONGEST = [1 if c in _UNRESERVED else 6 if c in _WIDE else 5 for c in range(256)]
"""Bytes that one has at the most in a spelling."""
_INNER = re.compile(rb"(?<![/A-Za-z0-9._~+-])[A-Za-z0-9._~+-]{12,}={0,2}")
"""A word within a value: of credentials in several parts."""
_LIKE_A_TOKEN = re.compile(rb"(?=[^0-9]*+[0-9])(?=[^A-Za-z]*+[A-Za-z])")
_WORDS = frozenset(
    b"http/1.0 http/1.1 http/2.0 websocket keep-alive application/json application/x-www-form-urlencoded multipart/form-data text/html text/plain content-length content-type user-agent"
    b" same-origin cross-origin same-site no-store no-cache must-revalidate max-age no-referrer strict-origin-when-cross-origin accept-encoding accept-language cache-control content-encoding content-language"
    b" content-disposition content-location content-security-policy if-modified-since if-none-match last-modified strict-transport-security x-forwarded-for x-forwarded-proto x-request-id x-requested-with"
    b" xmlhttprequest accept-ranges location referrer referrer-policy set-cookie host connection upgrade-insecure-requests sec-fetch-site sec-fetch-mode sec-fetch-dest"
    b" password passwords username undefined required optional disabled authorization access_token refresh_token transfer-encoding identity anonymous".split()
)
"""Values that are no secrets, for they stand in every capture."""
_ORDINARY = re.compile(
    rb"[1-5][0-9]{2} [A-Z][A-Za-z' -]*+|(?:application|text|image|audio|video|multipart)(?:/[A-Za-z0-9.+-]*+)?(?:[ ]?;[ ]?[a-z-]{1,16}=[A-Za-z0-9\"-]{1,32}+){0,4}"
)
"""So do a status with its reason, and media types."""
_PATH = re.compile(rb"(?:https?://[A-Za-z0-9.-]{1,253}+(?::[0-9]{1,5}+)?)?(?:/(?:v?[0-9]{1,4}(?![^/])|[A-Za-z._~-]{0,32}(?![^/])))*+/?")
"""A path of words, or a URL with one: requests and pages have it too."""
_STRUCTURE = re.compile(rb"\{.*\}|\[.*\]", re.DOTALL)
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{8,}={0,2}")


def _unescaped(value: bytes) -> bytes:
    """A string of JSON without its escapes."""
    try:
        return str(loads(b'"' + value + b'"')).encode("utf-8", "surrogatepass")
    except ValueError:
        return value


def _user_and_password(value: bytes) -> set[bytes]:
    """What `user:password` in base64 is, and the password alone (RFC 7617)."""
    if not _BASE64.fullmatch(value) or len(value) % 4 or len(value) > LONG:
        return set()
    plain = b64decode(value)
    user, colon, password = plain.partition(b":")
    if not colon or not plain.decode("utf-8", "replace").isprintable():
        return set()
    return {plain, password or user}


def _alike(values: list[bytes], data: bytes) -> int:
    """How many bytes of some are the beginning of a value; those of all of one that may go on behind them. values: in order, so that those with the most in common stand beside the data."""
    i = bisect_right(values, data)
    most = _common(values[i - 1], data) if i else 0
    for value in values[i:]:
        if not value.startswith(data):
            return max(most, _common(value, data))
        most = max(most, len(value))
    return most


def _common(one: bytes, other: bytes) -> int:
    """How many bytes two begin with that are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class Finder:
    """Finds values again."""

    def __init__(self, values: Iterable[bytes], cut: Collection[bytes] = ()) -> None:
        """cut: of the values those that are beginnings: they go on to the end of their word."""
        self._values: dict[bytes, int] = {}
        """The beginning of each, and how long the longest is that begins so."""
        self._long: dict[bytes, list[bytes]] = {}
        """The values of more than KEY bytes, by their beginning."""
        for value in values:
            if len(value) >= LEAST:
                key = value[:KEY]
                self._values[key] = max(self._values.get(key, 0), len(value), LONG + 1 if value in cut else 0)
                if len(value) > KEY and len(self._long.get(key, ())) < _ALIKE:
                    insort(self._long.setdefault(key, []), value)
        self._keys = sorted(self._values)
        self._lengths: list[int] = []
        """Of each, the lengths of all keys that it begins with, as bits."""
        open_: list[tuple[bytes, int]] = []
        for key in self._keys:
            while open_ and not key.startswith(open_[-1][0]):
                open_.pop()
            self._lengths.append((open_[-1][1] if open_ else 0) | 1 << len(key))
            open_.append((key, self._lengths[-1]))
        self._begins = np.unique(np.array([int.from_bytes(key[:LEAST], "little") for key in self._keys], dtype=np.uint64))

    def __bool__(self) -> bool:
        return bool(self._keys)

    def places(self, data: bytes) -> Iterator[Place]:
        """Where they stand. The end of one of more than KEY bytes may lie beyond the data; one of more than LONG goes on to the end of its word."""
        if not self._keys:
            return
        word_end = 0
        compared = _COMPARED + len(data) // _COMPARED
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
                elif n > KEY and compared:
                    compared -= 1
                    n = _alike(self._long[data[base + i : base + i + KEY]], data[base + i : base + i + n])
                if n:
                    yield base + i, base + i + n, KNOWN

    def together(self, data: bytes) -> Iterator[Place]:
        """The same, those that overlap as one: they may stand at each byte. Those that reach the data's end stay apart, for each may go on in its own way."""
        last = len(data) - _LINE_END
        low = high = 0
        for place in self.places(data):
            begin, end, _ = place
            if end >= last:
                yield place
            elif begin < high:
                high = max(high, end)
            else:
                if low < high:
                    yield low, high, KNOWN
                low, high = begin, end
        if low < high:
            yield low, high, KNOWN

    def begun(self, data: bytes) -> int:
        """Where the last bytes of some are the beginning of a value, of which the rest is not there; how many bytes there are for none."""
        for begin in range(max(0, len(data) - KEY), len(data) - LEAST + 1):
            i = bisect_left(self._keys, data[begin:])
            if i < len(self._keys) and self._keys[i].startswith(data[begin:]):
                return begin
        return len(data)

    def _longest(self, text: bytes) -> int:
        """Bytes of the longest value that a text begins with; 0 for none. Whatever key is at or before the text in order begins with all keys that the text begins with."""
        i = bisect_right(self._keys, text) - 1
        if i < 0:
            return 0
        key = self._keys[i]
        if text.startswith(key):
            return self._values[key]
        same = self._lengths[i] & (2 << _common(key, text)) - 1
        return self._values[key[: same.bit_length() - 1]] if same else 0
