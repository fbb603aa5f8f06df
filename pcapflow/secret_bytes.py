"""Secrets in bytes of any kind: where credentials, cookies and tokens stand, as their surroundings show. Vocabulary.

Contract: `secrets_in` gives the places of secrets that their surroundings show: fields, parts of queries, members of JSON, URLs with a password, tokens of well-known forms. Invariant: time is linear in the bytes looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from pcapflow.redaction import is_secret_parameter, may_be_key
from pcapflow.secret_code import is_call, is_reference
from pcapflow.secret_kinds import FIELD, HOLDER, OPEN, PART, PEM, QUERY, TEXT, VALUE, WORD, Place, is_key, is_mixed, is_token
from pcapflow.secret_lines import in_lines
from pcapflow.secret_markup import in_markup
from pcapflow.secret_members import members
from pcapflow.secret_settings import in_settings
from pcapflow.secret_strings import texts_within

_IN_LINE = re.compile(
    rb"(?:\b|(?<=\\[nrt]))(?:(?:proxy-)?authorization|x-api-key|x-auth-token|private-token)[\"']?[:=][ \t]*+(?![A-Za-z][A-Za-z0-9-]{2,31}+[ \t]++[A-Za-z_]{1,64}+=\\{0,8}+\")(?:[A-Za-z][A-Za-z0-9-]{2,31}+[ \t]++)?([^\s\"'\\,;<>{}()$]{8,}+)|\bbearer[ \t]++([A-Za-z0-9._~+/-]{16,}+=*)",
    re.IGNORECASE,
)
"""A field of a head within another text: of several parts in quotes each is found alone."""
_PARAMETER = re.compile(rb"(^(?:export[ \t])?|[?&;#\"']|(?<!-)--|\\u0026)([^=&;#?\s\"'<>\\|(){}]{1,128})=([^&;#\s\"'<>\\]++)", re.MULTILINE)
_NESTED = re.compile(rb"[?&;#\"']([A-Za-z0-9_.%\[\]-]{1,128}+)=([^&;#?\s\"'<>\\]++)")
"""Of a URL in a part of a query."""
_CALLS = re.compile(rb"[A-Za-z_$][A-Za-z0-9_$.]*+[(\[]|\[|\{")
"""What a script has behind a name."""
_WHOLE = re.compile(rb"[^&#\s\"<>\\]{1,4096}+")
"""The value of such a part where `;` and `'` may be in it."""
_FORM_FIELD = re.compile(rb"(?:^|&)([^=&\r\n]{1,256})=([^&]++)")
"""Of a form, whatever is in its values."""
_ENCODED_JSON = re.compile(rb"(?:\+|%20|%0[aAdD]|\s){0,16}(?:%7[bB]|%5[bB]|[\[{])")
_USER = re.compile(
    rb":(?://|\\/\\/)([^/?#:@\s\"<>\\]{0,1024}+(?::(?:([^/?#\s\"<>\\]{1,1024})(?=@)|((?![0-9]{1,5}+[/?#])[^\s\"<>\\@]{1,256}+)(?=@)))?)@"
)
"""A password may have what ends a host in it, where no port stands."""
_TARGET = re.compile(rb"(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) /[^\s?]{0,2048}+\?([^\s]{1,8192}+) HTTP/1\.")
_OF_TARGET = re.compile(rb"([^=&;?\s]{1,128})=([^&\s]++)")
_RUN = re.compile(rb"[A-Za-z0-9_.-]{20,}+")
_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{8,}+\.(?:[A-Za-z0-9_-]{4,}+\.[A-Za-z0-9_-]*+|\.)(?:\.?[A-Za-z0-9_-]++){0,3}+")
"""A JSON Web Token, signed or encrypted (RFC 7519, 7515, 7516)."""
_JWT_TRIES = 8
"""Places of a run where one is looked for."""
_JWT_CUT = re.compile(rb"eyJ[A-Za-z0-9_.-]*+\Z")
_TOKEN = re.compile(
    rb"gh[pousr]_[A-Za-z0-9]{30,}+|github_pat_[A-Za-z0-9_]{30,}+|gl(?:pat|rt|dt|cbt|ptt|ft|soat|agent)-[A-Za-z0-9_-]{20,}+|xox[abdeprs]-[A-Za-z0-9-]{10,}+"
    rb"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}+|whsec_[A-Za-z0-9]{16,}+|sk-[A-Za-z0-9_-]{20,}+|A[KS]IA[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}+|GOCSPX-[A-Za-z0-9_-]{20,}+"
    rb"|xapp-[A-Za-z0-9-]{10,}+|npm_[A-Za-z0-9]{30,}+|SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}+|(?<=hooks\.slack\.com/services/)T[A-Z0-9]{6,}+/B[A-Z0-9]{6,}+/[A-Za-z0-9]{16,}+|bearer\.authorization\.k8s\.io\.[A-Za-z0-9_-]{8,}+"
)
"""What GitHub, GitLab, Slack, Stripe, OpenAI, Amazon, Google, npm, SendGrid and Kubernetes hand out."""
_PEM = re.compile(
    rb"-----BEGIN(?: |\+|%20)[A-Z0-9 +%]{0,32}PRIVATE(?: |\+|%20)KEY(?:(?: |\+|%20)BLOCK)?-----((?:[A-Za-z0-9+/=\s\\:,%]|-(?!----))++)"
)
_PART = re.compile(rb"(?:Content-Disposition:|\A)((?:[^\r\n<>]|\r?\n(?=[ \t])){1,1024}+)", re.IGNORECASE)
"""The head of a part of a form (RFC 7578); its beginning may be missing."""
_PART_NAME = re.compile(rb"[; \t\n]name\*?[ \t]{0,8}=[ \t]{0,8}(?:UTF-8'[a-z-]{0,16}')?\"?([^\";\r\n<>]{1,128}+)", re.IGNORECASE)
_PART_REST = re.compile(rb"[^\r\n]{0,256}+\r?\n(?:[^\r\n]{1,256}+\r?\n){0,16}+\r?\n((?:[^\r\n]|\r?\n(?!--)|\r(?!\n))++)")
_IN_STRING = {FIELD: TEXT, HOLDER: HOLDER, VALUE: TEXT, PART: TEXT, TEXT: TEXT}
"""How a secret of a text ends where that is a string: others with their word."""
_FORM_LEAST = 14
"""Bytes of what looks like nothing else, at the least, but for passwords of URLs."""
_WITHIN = re.compile(rb"[\":=]|[A-Za-z0-9_.-]{20}")
"""What JSON, URLs and tokens have."""
_LEVELS = 3
"""Of strings within strings that are looked at."""


_IN_PATH = re.compile(
    rb"/[a-z_-]{0,32}(?:reset|activat|confirm|invit|magic|recover)[a-z_-]{0,32}/(?:[A-Za-z0-9_=-]{1,16}/)?([A-Za-z0-9_=-]{20,512}+)(?=[/?#\s\"'&<>\\]|\Z)"
)
"""A token in a link that somebody is sent."""
_TITLE = re.compile(rb"(?:[A-Z]?[a-z]++|[0-9]++|[A-Z]++)?+(?:[-_](?:[A-Z]?[a-z]++|[0-9]++|[A-Z]++)?+)*+")
"""Words and numbers in place of one."""


def secrets_in(text: bytes, *, form: bool = False, begins: bool = True) -> Iterator[Place]:
    """The places of secrets in some bytes, in no order; they may overlap. form: they are of a form, whose fields end with `&` alone; begins: their first byte may be a line's."""
    yield from _in_text(text, form=form, begins=begins)
    if form:
        for part in _FORM_FIELD.finditer(text):
            if _is_secret(part[1], part[2]):
                yield *part.span(2), VALUE
            elif next(within(part[2]), None) is not None:
                yield *part.span(2), HOLDER
        rest = text[: text.find(b"&")] if b"&" in text else text
        if b"=" not in rest[:257] and next(within(rest), None) is not None:  # of a field whose name came before
            yield 0, len(rest), HOLDER
    yield from _in_parts(text)
    yield from _in_strings(text, _LEVELS)


def _in_text(text: bytes, *, form: bool = False, begins: bool = True) -> Iterator[Place]:
    """Those that a text shows, whether it is the bytes or within a string of theirs. There may be many short texts: what cannot have something is not looked at for it."""
    if b":" in text:
        yield from in_lines(text, begins=begins)
    if not form:
        yield from in_settings(text, begins=begins)
    if b"=" in text:
        yield from _in_queries(text, begins=begins)
    if len(text) >= _FORM_LEAST or b"//" in text:
        yield from _by_form(text)
    yield from members(text)
    yield from in_markup(text)


def _in_parts(text: bytes) -> Iterator[Place]:
    """Parts of multipart bodies. What looks like the head of one within the value of another is masked with that."""
    over = 0
    for part in _PART.finditer(text):
        name = _PART_NAME.search(text, *part.span(1)) if part.start() >= over else None
        if name is not None and is_secret_parameter(str(name[1], "latin-1")):
            value = _PART_REST.match(text, part.end())
            # to a store of objects, `key` is the name of one
            over = value.end(1) if value is not None else over
            if value is not None and (name[1].lower() != b"key" or is_key(value[1])):
                yield *value.span(1), PART


def _in_queries(text: bytes, *, begins: bool) -> Iterator[Place]:
    """Parts of queries, and of what looks like one."""
    over = 0
    for part in _PARAMETER.finditer(text):
        if not begins and not part.start(2):
            continue
        if part[1] == b";" and _CALLS.match(part[3]):
            continue
        if not part[1] and (is_call(part[3]) or is_reference(part[3].rstrip(b",;)")) or part[3][:2] in (b"$(", b"(")):
            continue
        if _is_secret(part[2], part[3]) or (part[1] not in (b'"', b"'") and is_token(part[3])):
            yield *part.span(3), WORD
            whole = _WHOLE.match(text, part.start(3)) if part.start() >= over else None
            if whole is not None and whole.end() > part.end(3):
                over = whole.end()
                yield *whole.span(), QUERY
        elif b"%" in part[3] and next(within(part[3]), None) is not None:
            yield *part.span(3), HOLDER
        elif b"?" in part[3]:
            for nested in _NESTED.finditer(text, *part.span(3)):
                if _is_secret(nested[1], nested[2]):
                    yield *nested.span(2), WORD
    for target in _TARGET.finditer(text):
        for part in _OF_TARGET.finditer(text, *target.span(1)):
            if _is_secret(part[1], part[2]):
                yield *part.span(2), QUERY


def _is_secret(name: bytes, value: bytes) -> bool:
    plain = str(name, "latin-1")
    return is_secret_parameter(plain) or (may_be_key(plain) and is_key(value))


def _in_strings(text: bytes, levels: int) -> Iterator[Place]:
    """Secrets of texts within strings: of files, of logs, of programs."""
    for one in texts_within(text):
        found = [*_in_text(one.text)]
        if levels > 1:
            found += _in_strings(one.text, levels - 1)
        for begin, end, kind in found:
            if kind != OPEN:
                yield one.at(begin), one.at(end), _IN_STRING.get(kind, WORD)


def json_fields(text: bytes) -> Iterator[tuple[int, int]]:
    """Where values of a form stand that begin as JSON does."""
    for part in _FORM_FIELD.finditer(text):
        if _ENCODED_JSON.match(part[2]):
            yield part.span(2)


def _by_form(text: bytes) -> Iterator[Place]:
    """Secrets that look like nothing else, and passwords of URLs."""
    for run in _RUN.finditer(text):
        at = run.start()
        for _ in range(_JWT_TRIES):
            at = text.find(b"eyJ", at, run.end())
            if at < 0:
                break
            token = _JWT.match(text, at) or _JWT_CUT.match(text, at)
            if token is not None:
                yield *token.span(), WORD
                break
            at += 1
    for match in _USER.finditer(text):
        yield *match.span(1), WORD
        if match[2] or match[3]:
            yield *match.span(2 if match[2] else 3), WORD
    for match in _IN_PATH.finditer(text):
        if is_key(match[1]) or (is_mixed(match[1]) and not _TITLE.fullmatch(match[1])):
            yield *match.span(1), WORD
    for match in _TOKEN.finditer(text):
        yield *match.span(), WORD
    for match in _PEM.finditer(text):
        yield *match.span(1), PEM
    for match in _IN_LINE.finditer(text):
        yield *match.span(1 if match[1] is not None else 2), WORD


def within(value: bytes, levels: int = 2) -> Iterator[bytes]:
    """Secrets in what an encoded value is, such as JSON or a URL. levels: how often it may be encoded."""
    if b"%" not in value:
        return
    plain = unquote_to_bytes(value.replace(b"+", b" "))
    if _WITHIN.search(plain):
        for begin, end, _ in members(plain):
            yield plain[begin:end]
        for part in _NESTED.finditer(plain):
            if is_secret_parameter(str(part[1], "latin-1")):
                yield part[2]
        for begin, end, _ in _by_form(plain):
            yield plain[begin:end]
    if levels > 1:
        yield from within(plain, levels - 1)
