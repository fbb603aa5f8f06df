"""Secrets in bytes of any kind: where credentials, cookies and tokens stand, and where known values come again. Vocabulary.

Contract: `secrets_in` gives the places of secrets that their surroundings show: fields, parts of queries, members of JSON, URLs with a password, tokens of well-known forms; `behind_loss` what may be one though its
name is missing. `Finder` gives the places of values that are known, of LEAST bytes at least. Invariant: time is linear in the bytes looked at, times the logarithm of how many values there are.
"""

from __future__ import annotations

import re
from base64 import b64decode
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from html import escape
from json import dumps, loads
from urllib.parse import quote, quote_plus, unquote_to_bytes

import numpy as np

from pcapflow.redaction import is_secret_field, is_secret_key, is_secret_parameter

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
_PARAMETER = re.compile(rb"(^|[?&;#\"']|\\u0026)([^=&;#?\s\"'<>\\]{1,128})=([^&;#\s\"'<>\\]++)", re.MULTILINE)
_FORM_FIELD = re.compile(rb"(?:^|&)([^=&\r\n]{1,256})=([^&]++)")
"""Of a form, whatever is in its values."""
_USER = re.compile(rb":(?://|\\/\\/)([^/?#\s\"'<>\\]{1,1024})@")
_RUN = re.compile(rb"[A-Za-z0-9_.-]{20,}+")
_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{8,}+\.(?:[A-Za-z0-9_-]{4,}+\.[A-Za-z0-9_-]*+|\.)(?:\.?[A-Za-z0-9_-]++){0,3}+")
"""A JSON Web Token, signed or encrypted (RFC 7519, 7515, 7516)."""
_JWT_CUT = re.compile(rb"eyJ[A-Za-z0-9_.-]*+\Z")
_TOKEN = re.compile(
    rb"gh[pousr]_[A-Za-z0-9]{30,}+|github_pat_[A-Za-z0-9_]{30,}+|glpat-[A-Za-z0-9_-]{20,}+|xox[abprs]-[A-Za-z0-9-]{10,}+"
    rb"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}+|whsec_[A-Za-z0-9]{16,}+|sk-[A-Za-z0-9_-]{20,}+|A[KS]IA[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}+"
    rb"|xapp-[A-Za-z0-9-]{10,}+|npm_[A-Za-z0-9]{30,}+|SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}+|bearer\.authorization\.k8s\.io\.[A-Za-z0-9_-]{8,}+"
)
"""What GitHub, GitLab, Slack, Stripe, OpenAI, Amazon, Google, npm, SendGrid and Kubernetes hand out."""
_PEM = re.compile(rb"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----([^-]++)")
_PART = re.compile(
    rb'[; \t]name="?([^";\r\n]{1,128})"?[^\r\n]{0,256}\r?\n(?:[^\r\n]{1,256}\r?\n){0,4}\r?\n((?:[^\r\n]|\r?\n(?!--)|\r(?!\n))++)',
    re.IGNORECASE,
)
"""Of a form in parts (RFC 7578)."""
_MEMBER = re.compile(rb'"((?:[^"\\]|\\.){1,128})"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}"((?:[^"\\]|\\.)++)', re.DOTALL)
"""Of a JSON object, with a string."""
_INNER_MEMBER = re.compile(rb'(\\+)"([^"\\]{1,128})\1"[ \t]{0,8}:[ \t]{0,8}\1"(?=((?:[^"\\]|(?!\1")\\++"?){1,4096}+))')
"""The same in JSON that is a string of JSON: the quotes have backslashes, and as many end the value, in which further ones may be."""
_BRACKET_MEMBER = re.compile(rb'"((?:[^"\\]|\\.){1,128})"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}([\[{])', re.DOTALL)
_BRACKETED = re.compile(rb'[\[{]|[\]}]|"((?:[^"\\]|\\.)*+)(?:"(?![ \t\r\n]{0,8}:)|\Z)|"(?:[^"\\]|\\.)*+"', re.DOTALL)
_ESCAPE = re.compile(r"\\u00([0-9a-fA-F]{2})")
_SCHEME = re.compile(
    rb"(?:basic|bearer|digest|negotiate|ntlm|kerberos|token|apikey|api-key|key|jwt|hawk|oauth|mutual|hoba|vapid|mac|scram-sha-(?:1|256)|aws4-[a-z0-9-]{1,24}|aws|sharedkey(?:lite)?|googlelogin|dpop|gnap|concealed"
    rb"|privatetoken|acs[0-9]?-[a-z0-9-]{1,24}|tc3-[a-z0-9-]{1,24}|client-cert|x-[a-z-]{1,20})[ \t]+(?=[^ \t])",
    re.IGNORECASE,
)
"""Schemes of credentials: of an unknown one the name counts as secret."""
_JOINED = re.compile(rb",[ \t]*+[^=;,\s]{1,64}=([^;,]++)")
"""A further cookie in a field that a proxy joined."""
_LIKE_A_TOKEN = re.compile(rb"(?=[^0-9]*+[0-9])(?=[^a-z]*+[a-z])(?=[^A-Z]*+[A-Z])[A-Za-z0-9._~+/%-]{20,}=*")
_BLANK = b" \t\r\n"
_START = re.compile(rb"HTTP/[0-9]|[A-Z]{3,20} [^ ]+ HTTP/[0-9]|\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[^\r\n]*)?\r\n")
_SHORT_CHUNK_LINE = 6
"""Digits of a chunk's size, where the chunk's end is not at hand to prove it."""
_ORDINARY = frozenset(
    b"accept accept-charset accept-encoding accept-language accept-ranges age allow cache-control connection content-disposition content-encoding content-language content-length"
    b" content-location content-range content-security-policy content-type date etag expect expires host if-match if-modified-since if-none-match if-range keep-alive"
    b" last-modified link location max-forwards origin pragma range referer retry-after server strict-transport-security te trailer transfer-encoding upgrade user-agent vary via".split()
)
"""Fields that a line may begin with whose beginning may be missing."""

FIELD, STRING, WORD, VALUE, PART, LOST, OPEN = range(7)
"""How a secret ends: with its line and those folded into it, with a quote, with its word, with a field of a form, with a part of a body, with a line or where a message begins. OPEN is none: a field with secrets in it that goes on, perhaps."""
GOES_ON = (
    re.compile(rb"(?:[^\r\n]|\r?\n[ \t])*+"),
    re.compile(rb'(?:[^"\\]|\\.)*+', re.DOTALL),
    re.compile(rb"[^&;,#\s\"'<>\\]*+"),
    re.compile(rb"[^&]*+"),
    re.compile(rb"(?:[^\r\n]|\r?\n(?!--)|\r(?!\n))*+"),
    re.compile(
        rb"(?:[\t\x20-\x7e\x80-\xff](?<![HGPDO])|(?!HTTP/1\.[01] [1-5]|(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) [^ \r\n]{1,2048} HTTP/1\.)[HGPDO]|\r?\n[ \t])*+"
    ),
)
"""What is still of it, by that."""

Place = tuple[int, int, int]
"""Of a secret: from, up to, and how it ends."""


def secrets_in(text: bytes, *, form: bool = False) -> Iterator[Place]:
    """The places of secrets in some bytes, in no order; they may overlap. form: they are of a form, whose fields end with `&` alone."""
    for field in _FIELD.finditer(text):
        if is_secret_field(str(field[1], "latin-1")):
            yield from _of_field(field[1].lower(), text, *field.span(2))
            if reaches_end(text, (*field.span(2), FIELD)):
                yield *field.span(2), OPEN
    for part in _PARAMETER.finditer(text):
        if is_secret_parameter(str(part[2], "latin-1")) or (part[1] not in (b'"', b"'") and _is_token(part[3])):
            yield *part.span(3), WORD
    if form:
        for part in _FORM_FIELD.finditer(text):
            if is_secret_parameter(str(part[1], "latin-1")) or _holds_secret(part[2]):
                yield *part.span(2), VALUE
    for part in _PART.finditer(text):
        if is_secret_parameter(str(part[1], "latin-1")):
            yield *part.span(2), PART
    for run in _RUN.finditer(text):
        at = text.find(b"eyJ", *run.span())
        if at >= 0:
            token = _JWT.match(text, at) or _JWT_CUT.match(text, at)
            if token is not None:
                yield *token.span(), WORD
    for pattern, group in ((_USER, 1), (_TOKEN, 0), (_PEM, 1)):
        for match in pattern.finditer(text):
            yield *match.span(group), WORD
    yield from _members(text)


def _is_token(value: bytes) -> bool:
    """Whether a value looks like a token; one with escapes is looked at without them."""
    return _LIKE_A_TOKEN.fullmatch(unquote_to_bytes(value) if b"%" in value else value) is not None


def _holds_secret(value: bytes) -> bool:
    """Whether a field of a form has something in it, such as JSON, that has a secret."""
    return b"%" in value and any(_members(unquote_to_bytes(value)))


def _members(text: bytes) -> Iterator[Place]:
    """Values of JSON whose key says that they are secrets: strings, those in JSON within a string, and those in arrays and objects, as far as these are at hand."""
    for member in _MEMBER.finditer(text):
        if is_secret_key(_plain(member[1])) or (member[1] == b"key" and _is_token(member[2])):
            yield *member.span(2), STRING
    if b'\\"' in text:
        for member in _INNER_MEMBER.finditer(text):
            if is_secret_key(str(member[2], "latin-1")):
                yield *member.span(3), WORD
    at = 0
    while (opened := _BRACKET_MEMBER.search(text, at)) is not None:
        at = opened.end()
        if is_secret_key(_plain(opened[1])):
            depth = 0
            for token in _BRACKETED.finditer(text, opened.start(2)):
                depth += (token[0] in (b"[", b"{")) - (token[0] in (b"]", b"}"))
                if token[1]:
                    yield *token.span(1), STRING
                at = token.end()
                if not depth:
                    break


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
    """Bytes at the beginning of some that may be the rest of a secret whose name is missing: the line, unless it shows that it is none."""
    if _START.match(text) or _is_chunk_line(text):
        return 0
    line = GOES_ON[LOST].match(text)
    end = line.end() if line is not None else 0
    name, colon, _ = text[:end].partition(b":")
    return 0 if colon and text[end : end + 1] in (b"\r", b"\n") and name.strip().lower() in _ORDINARY else end


def _is_chunk_line(text: bytes) -> bool:
    """Whether a chunk begins: one that ends where it says, or that goes on behind what is at hand."""
    line = _CHUNK.match(text)
    if line is None:
        return False
    end = line.end() + int(line[1], 16)
    return text[end : end + 2] == b"\r\n" if end + 2 <= len(text) else len(line[1]) <= _SHORT_CHUNK_LINE


def _of_field(name: bytes, text: bytes, begin: int, end: int) -> Iterator[Place]:
    """The secret parts of a field's value: of cookies the values, of credentials what stands behind the scheme."""
    if name in (b"cookie", b"cookie2", b"set-cookie", b"set-cookie2"):
        while begin < end:
            stop = text.find(b";", begin, end)
            stop = end if stop < 0 else stop
            equals = text.find(b"=", begin, stop)
            yield begin if equals < 0 else equals + 1, stop, FIELD
            if name.startswith(b"set-"):
                for further in _JOINED.finditer(text, stop, end):
                    yield *further.span(1), FIELD
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
    """A value as it may stand elsewhere too: in a URL, in a form, in a string of JSON or HTML, decoded; user and password of credentials."""
    value = value.strip(_BLANK + b'"')
    if value.lower() in _WORDS:
        return set()
    plains = {value, unquote_to_bytes(value), unquote_to_bytes(value.replace(b"+", b" "))}
    if b"\\" in value:
        plains.add(_unescaped(value))
    found = set(plains) | _user_and_password(value)
    for plain in plains:
        if plain.isalnum() and plain.isascii():
            continue
        encoded = [quote(plain, safe=safe).encode() for safe in ("/", "", "!'()*")] + [quote_plus(plain).encode()]
        found.update(encoded, [_HEX.sub(lambda code: code[0].lower(), one) for one in encoded], [quote(encoded[1]).encode()])
        text = plain.decode("utf-8", "surrogateescape")
        for escaped in (dumps(text)[1:-1], dumps(text, ensure_ascii=False)[1:-1]):
            json = escaped.encode("utf-8", "surrogateescape")
            found.update((json, json.replace(b"/", rb"\/"), _FOR_SCRIPTS.sub(lambda one: b"\\u%04x" % one[0][0], json)))
        found.add(escape(text).encode("utf-8", "surrogateescape"))
    return {one for one in found if len(one) >= LEAST}


_FOR_SCRIPTS = re.compile(b"[&<>']")
_WORDS = frozenset(
    b"http/1.0 http/1.1 http/2.0 websocket keep-alive application/json application/x-www-form-urlencoded multipart/form-data text/html text/plain content-length content-type user-agent"
    b" password passwords username undefined required optional disabled authorization access_token refresh_token transfer-encoding identity anonymous".split()
)
"""Values that are no secrets, for they stand in every capture."""
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
    return {plain, password} if colon and user.isascii() and plain.decode("utf-8", "replace").isprintable() else set()


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
