"""Secrets in bytes of any kind: where credentials, cookies and tokens stand, as their surroundings show. Vocabulary.

Contract: `secrets_in` gives the places of secrets that their surroundings show: fields, parts of queries, members of JSON, URLs with a password, tokens of well-known forms. Invariant: time is linear in the bytes looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from pcapflow.redaction import is_secret_field, is_secret_key, is_secret_parameter
from pcapflow.secret_kinds import (
    FIELD,
    HOLDER,
    OPEN,
    PART,
    PEM,
    PLAIN_WORDS,
    QUERY,
    VALUE,
    WORD,
    Place,
    is_token,
    reaches_end,
)
from pcapflow.secret_markup import in_markup
from pcapflow.secret_members import members

NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
"""Of a field (RFC 9110 section 5.6.2)."""
_LIST = rb"(?:-[ \t]{1,8}){0,4}"
_FIELD = re.compile(rb"^([ \t]{0,64}+%s)(%s{1,128})[ \t]*+:[ \t]*+(?=[^\r\n]|\r?\n[ \t])" % (_LIST, NAME), re.MULTILINE)
_FIELD_VALUE = re.compile(rb"(?:[^\r\n]|\r\n[ \t])++")
"""With the lines that are folded into it, as heads have them; lines of YAML end with LF."""
_CREDENTIALS_VALUE = re.compile(rb"(?:[^\r\n]|\r?\n[ \t])++")
"""Of a field that only heads have."""
_HEADS_ALONE = frozenset((b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"))
_SCRIPT = re.compile(
    rb"(?:undefined|null|true|false|string|number|boolean|any|void|None)[,;]?|[A-Za-z_$][A-Za-z0-9_$.]*+\(.*|(?:async |await |new |function\b|\(|\{|\[).*|[^\r\n]*[{(]",
    re.DOTALL,
)
"""What a script has behind a name and a colon: no value that is written there."""
_QUOTED_FIELD = re.compile(
    rb"^[ \t]{0,64}+%s([\"'])(%s{1,128})\1[ \t]*+:[ \t]++(?!(?:null|true|false|-?[0-9][-+.0-9eE]*+)[ \t]*+(?:,|\r?$))([^\s\"'\[{&*|>][^\r\n]*+)(?<![,}\]])"
    % (_LIST, NAME),
    re.MULTILINE,
)
"""Of YAML: its key has quotes, its value none. One of JSON has a comma behind it, or a bracket, or is a literal."""
_BLOCK = re.compile(
    rb"^([ \t]{0,64}+)%s[\"']?(%s{1,128}?)[\"']?:[ \t]++[|>][-+0-9]{0,2}[ \t]*+(?:#[^\r\n]*+)?\r?\n((?:(?:\1[ \t]++[^\r\n]*+|[ \t]*+)(?:\r?\n|\Z)){1,512}+)"
    % (_LIST, NAME),
    re.MULTILINE,
)
"""Of YAML: a value of several lines, which are indented more than its key."""
_BLOCK_BEGINS = re.compile(rb"[|>][-+0-9]{0,2}[ \t]*+(?:#.*)?")
_NAMED = re.compile(
    rb"^[ \t]{0,64}+%sname:[ \t]++[\"']?(%s{1,128})[\"']?[ \t]*+\r?\n[ \t]{1,64}+value:[ \t]++([^\r\n]++)" % (_LIST, NAME), re.MULTILINE
)
"""Of YAML: one line has the name of what is in the next."""
_LINE = re.compile(rb"[^ \t\r\n][^\r\n]*+")
_SETTING = re.compile(
    rb"^[ \t]{0,64}+(?:ENV[ \t]++)?([A-Za-z_][A-Za-z0-9_.-]{0,127}+)[ \t]++=[ \t]*+([^\s\"'`(){}\[\]<>;=][^\r\n(){};]*+)(?=\r?$)",
    re.MULTILINE,
)
"""Of a file of settings."""
_IN_LINE = re.compile(
    rb"(?:\b|(?<=\\[nrt]))(?:(?:proxy-)?authorization|x-api-key|x-auth-token|private-token)[\"']?[:=][ \t]*+(?:[A-Za-z]{3,16}+[ \t]++)?([^\s\"'\\,;<>{}()$]{8,}+)|\bbearer[ \t]++([A-Za-z0-9._~+/-]{16,}+=*)",
    re.IGNORECASE,
)
"""A field of a head within another text."""
_PARAMETER = re.compile(rb"(^(?:export[ \t])?|[?&;#\"']|--|\\u0026)([^=&;#?\s\"'<>\\]{1,128})=([^&;#\s\"'<>\\]++)", re.MULTILINE)
_WHOLE = re.compile(rb"[^&#\s\"<>\\]{1,4096}+")
"""The value of such a part where `;` and `'` may be in it."""
_FORM_FIELD = re.compile(rb"(?:^|&)([^=&\r\n]{1,256})=([^&]++)")
"""Of a form, whatever is in its values."""
_ENCODED_JSON = re.compile(rb"(?:\+|%20|%0[aAdD]|\s){0,16}(?:%7[bB]|%5[bB]|[\[{])")
_USER = re.compile(rb":(?://|\\/\\/)([^/?#:@\s\"<>\\]{0,1024}+(?::([^/?#\s\"<>\\]{1,1024}))?)@")
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
_SCHEME = re.compile(
    rb"(?:basic|bearer|digest|negotiate|ntlm|kerberos|token|apikey|api-key|key|jwt|hawk|oauth|mutual|hoba|vapid|mac|scram-sha-(?:1|256)|aws4-[a-z0-9-]{1,24}|aws|sharedkey(?:lite)?|googlelogin|dpop|gnap|concealed"
    rb"|privatetoken|acs[0-9]?-[a-z0-9-]{1,24}|tc3-[a-z0-9-]{1,24}|client-cert|x-[a-z-]{1,20})[ \t]+(?=[^ \t])",
    re.IGNORECASE,
)
"""Schemes of credentials: of an unknown one the name counts as secret."""
_UNKNOWN_SCHEME = re.compile(rb"[A-Za-z0-9-]{0,32}+(?::[ \t]*+|[ \t]++|(?:\r?\n[ \t]++))")
_JOINED = re.compile(rb",[ \t]*+[^=;,\s]{1,64}=([^;,]++)")
"""A further cookie in a field that a proxy joined."""


def secrets_in(text: bytes, *, form: bool = False, begins: bool = True) -> Iterator[Place]:
    """The places of secrets in some bytes, in no order; they may overlap. form: they are of a form, whose fields end with `&` alone; begins: their first byte may be a line's."""
    yield from _fields(text, begins=begins)
    over = 0
    for part in _PARAMETER.finditer(text):
        if not begins and not part.start(2):
            continue
        if is_secret_parameter(str(part[2], "latin-1")) or (part[1] not in (b'"', b"'") and is_token(part[3])):
            yield *part.span(3), WORD
            whole = _WHOLE.match(text, part.start(3)) if part.start() >= over else None
            if whole is not None and whole.end() > part.end(3):
                over = whole.end()
                yield *whole.span(), QUERY
        elif b"%" in part[3] and next(within(part[3]), None) is not None:
            yield *part.span(3), HOLDER
    if form:
        for part in _FORM_FIELD.finditer(text):
            if is_secret_parameter(str(part[1], "latin-1")):
                yield *part.span(2), VALUE
            elif next(within(part[2]), None) is not None:
                yield *part.span(2), HOLDER
        rest = text[: text.find(b"&")] if b"&" in text else text
        if b"=" not in rest[:257] and next(within(rest), None) is not None:  # of a field whose name came before
            yield 0, len(rest), HOLDER
    for part in _PART.finditer(text):
        name = _PART_NAME.search(text, *part.span(1))
        if name is not None and is_secret_parameter(str(name[1], "latin-1")):
            value = _PART_REST.match(text, part.end())
            if value is not None:
                yield *value.span(1), PART
    yield from _by_form(text)
    yield from members(text)
    yield from in_markup(text)


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
        if match[2]:
            yield *match.span(2), WORD
    for match in _TOKEN.finditer(text):
        yield *match.span(), WORD
    for match in _PEM.finditer(text):
        yield *match.span(1), PEM
    for match in _IN_LINE.finditer(text):
        yield *match.span(1 if match[1] is not None else 2), WORD


def _fields(text: bytes, *, begins: bool) -> Iterator[Place]:
    """Values of fields: those of heads, and of YAML."""
    over = 0 if begins else 1
    for field in _FIELD.finditer(text):
        if field.start() < over or not is_secret_field(str(field[2], "latin-1")):
            continue
        name = field[2].lower()
        value = (_CREDENTIALS_VALUE if name in _HEADS_ALONE and not field[1] else _FIELD_VALUE).match(text, field.end())
        if value is None:
            continue
        over = value.end()
        if _BLOCK_BEGINS.fullmatch(value[0]) or (field[1] and _SCRIPT.fullmatch(value[0])):
            continue
        yield from _of_field(name, text, *value.span())
        if reaches_end(text, (*value.span(), FIELD)):
            yield *value.span(), OPEN
    for pattern, group in ((_QUOTED_FIELD, 3), (_NAMED, 2), (_SETTING, 2)):
        for field in pattern.finditer(text):
            if is_secret_key(str(field[group - 1], "latin-1")):
                yield *field.span(group), FIELD
    for field in _BLOCK.finditer(text):
        if is_secret_key(str(field[2], "latin-1")):
            for line in _LINE.finditer(text, *field.span(3)):
                yield *line.span(), FIELD


def within(value: bytes, levels: int = 2) -> Iterator[bytes]:
    """Secrets in what an encoded value is, such as JSON or a URL. levels: how often it may be encoded."""
    if b"%" not in value:
        return
    plain = unquote_to_bytes(value.replace(b"+", b" "))
    for begin, end, _ in members(plain):
        yield plain[begin:end]
    for part in _PARAMETER.finditer(plain):
        if is_secret_parameter(str(part[2], "latin-1")):
            yield part[3]
    for user in _USER.finditer(plain):
        yield user[2] or user[1]
    if levels > 1:
        yield from within(plain, levels - 1)


def _of_field(name: bytes, text: bytes, begin: int, end: int) -> Iterator[Place]:
    """The secret parts of a field's value: of cookies the values, of credentials what stands behind the scheme."""
    if name in (b"cookie", b"cookie2", b"set-cookie", b"set-cookie2"):
        while begin < end:
            stop = text.find(b";", begin, end)
            stop = end if stop < 0 else stop
            equals = text.find(b"=", begin, stop)
            value = begin if equals < 0 else equals + 1
            yield value, stop, HOLDER if PLAIN_WORDS.fullmatch(text, value, stop) else FIELD
            if name.startswith(b"set-"):
                for further in _JOINED.finditer(text, stop, end):
                    yield *further.span(1), FIELD
                return  # what follows are attributes
            begin = stop + 1
            while begin < end and text[begin] == 0x20:
                begin += 1
        return
    while begin < end and text[begin] in b" \t\r\n":  # folded at once
        begin += 1
    if b"authorization" in name:
        scheme = _SCHEME.match(text, begin, end)
        begin = scheme.end() if scheme is not None else begin
        word = _UNKNOWN_SCHEME.match(text, begin, end) if scheme is None else None
        if word is not None and word.end() < end:
            yield word.end(), end, FIELD
    yield begin, end, FIELD
