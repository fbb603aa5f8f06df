"""Secrets in lines: fields of heads and of YAML, and settings. Vocabulary.

Contract: `in_lines` gives their places in some bytes. Invariant: time is linear in them: a line is looked at once by each pattern, and what stands beside it is bounded (`secret_code`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pcapflow.redaction import is_secret_field, is_secret_key, may_be_key
from pcapflow.secret_code import is_reference, is_sentence, is_value_of_script
from pcapflow.secret_kinds import FIELD, HOLDER, OPEN, PLAIN_WORDS, WORD, Place, is_key, reaches_end

NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
"""Of a field (RFC 9110 section 5.6.2)."""
_LIST = rb"(?:\+[ \t]{1,64})?+(?:-[ \t]{1,8}){0,4}"
_FIELD = re.compile(rb"^([ \t]{0,64}+%s)(%s{1,128})[ \t]*+:(?![:=])[ \t]*+(?=[^\r\n]|\r?\n[ \t])" % (_LIST, NAME), re.MULTILINE)
_FIELD_VALUE = re.compile(rb"(?:[^\r\n]|\r\n[ \t])++")
"""With the lines that are folded into it, as heads have them; lines of YAML end with LF."""
_CREDENTIALS_VALUE = re.compile(rb"(?:[^\r\n]|\r?\n[ \t])++")
"""Of a field that only heads have."""
_HEADS_ALONE = frozenset((b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"))
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
_NAMED_BEHIND = re.compile(
    rb"^[ \t]{0,64}+%svalue:[ \t]++([^\r\n]++)\r?\n[ \t]{1,64}+name:[ \t]++[\"']?(%s{1,128})[\"']?[ \t]*+(?=\r?$)" % (_LIST, NAME),
    re.MULTILINE,
)
"""The same, in the line before."""
QUOTED = re.compile(rb"([\"'`])(.*)\1[ \t]*+[;,]?[ \t]*+(?:#.*|//.*)?", re.DOTALL)
"""A value in quotes, with what may stand behind it."""
_OF_SELECTORS = frozenset((b".", b"#", b"&", b"*"))
"""What names in style sheets begin with."""
_SELECTOR = re.compile(
    rb"(?:hover|focus|active|visited|valid|invalid|disabled|enabled|checked|before|after|not|empty|required|root|target|(?:first|last|nth|only)-[a-z-]{4,16}|:[a-z-]{4,24})\b[^\r\n;{,]*+[{,][^\r\n]*+\Z"
)
"""What stands in a style sheet behind the name of a class."""
_SUBPROTOCOL = b"sec-websocket-protocol"
_LINE = re.compile(rb"[^ \t\r\n][^\r\n]*+")
_SCHEME = re.compile(
    rb"(?:basic|bearer|digest|negotiate|ntlm|kerberos|token|apikey|api-key|key|jwt|hawk|oauth|mutual|hoba|vapid|mac|scram-sha-(?:1|256)|aws4-[a-z0-9-]{1,24}|aws|sharedkey(?:lite)?|googlelogin|dpop|gnap|concealed"
    rb"|privatetoken|acs[0-9]?-[a-z0-9-]{1,24}|tc3-[a-z0-9-]{1,24}|client-cert|x-[a-z-]{1,20})[ \t]+(?=[^ \t])",
    re.IGNORECASE,
)
"""Schemes of credentials: of an unknown one the name counts as secret."""
_UNKNOWN_SCHEME = re.compile(rb"[A-Za-z0-9-]{0,32}+(?::[ \t]*+|[ \t]++|(?:\r?\n[ \t]++))")
_PARTS = re.compile(rb"[A-Za-z_][A-Za-z0-9_-]{0,63}+[ \t]*+=[ \t]*+[^=\s]")
_PART = re.compile(rb"([A-Za-z_][A-Za-z0-9_-]{0,63}+)[ \t]*+=[ \t]*+(?:\"([^\"]*+)\"|([^\s\",]++))")
_ORDINARY_PARTS = frozenset(
    b"username realm uri algorithm qop nc opaque userhash charset signedheaders headers keyid credential ts ext app dlg version v oauth_version oauth_timestamp oauth_signature_method oauth_callback oauth_consumer_key".split()
)
"""Of credentials in several parts: what every client says, or a page has."""
_PLAIN_OR_QUOTED = re.compile(rb"[\"']?([^\s\"',;]++)")
_OF_LIST = re.compile(rb"[^\s,]++")
_NAMES_OF_TOKENS = frozenset(
    (
        b"bearer",
        b"token",
        b"access_token",
        b"accesstoken",
        b"access-token",
        b"auth",
        b"authorization",
        b"jwt",
        b"auth-token",
        b"apikey",
        b"api-key",
    )
)
"""Protocols that clients name before a token."""
_TOKEN_LEAST = 24
_JOINED = re.compile(rb",[ \t]*+[^=;,\s]{1,64}=([^;,]++)")
"""A further cookie in a field that a proxy joined."""


def in_lines(text: bytes, *, begins: bool = True) -> Iterator[Place]:
    """Values of fields: those of heads, and of YAML. begins: the first byte may be a line's."""
    over = 0 if begins else 1
    for field in _FIELD.finditer(text):
        name = field[2].lower()
        if field.start() < over or name[:1] in _OF_SELECTORS:
            continue
        known = is_secret_field(str(field[2], "latin-1"))
        if not known and not may_be_key(str(field[2], "latin-1")) and name != _SUBPROTOCOL:
            continue
        value = (_CREDENTIALS_VALUE if name in _HEADS_ALONE and not field[1] else _FIELD_VALUE).match(text, field.end())
        if value is None:
            continue
        over = value.end()
        if not known:
            yield from _of_other_field(name, text, *value.span())
            continue
        if (
            _BLOCK_BEGINS.fullmatch(value[0])
            or is_sentence(value[0])
            or _SELECTOR.match(value[0])
            or is_reference(value[0].rstrip())
            or (field[1] and is_value_of_script(text, field.start(), *value.span(), name))
        ):
            continue
        quoted = QUOTED.fullmatch(value[0]) if field[1] else None
        if quoted is not None:
            yield value.start() + quoted.start(2), value.start() + quoted.end(2), FIELD
            continue
        yield from _of_field(name, text, *value.span())
        if reaches_end(text, (*value.span(), FIELD)):
            yield *value.span(), OPEN
    for pattern, name_at, value_at in ((_QUOTED_FIELD, 2, 3), (_NAMED, 1, 2), (_NAMED_BEHIND, 2, 1)):
        for field in pattern.finditer(text):
            if is_secret_key(str(field[name_at], "latin-1")):
                yield *field.span(value_at), FIELD
    for field in _BLOCK.finditer(text):
        if is_secret_key(str(field[2], "latin-1")):
            for line in _LINE.finditer(text, *field.span(3)):
                yield *line.span(), FIELD


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
        if text[begin : begin + 1] == b"<" and is_reference(text[begin:end]):
            return
        if word is not None and word.end() < end:
            yield word.end(), end, FIELD
        if _PARTS.match(text, begin, end):  # of several parts: each is looked for alone
            yield begin, end, HOLDER
            for part in _PART.finditer(text, begin, end):
                if part[1].lower() not in _ORDINARY_PARTS:
                    yield *part.span(2 if part[2] is not None else 3), WORD
            return
    yield begin, end, FIELD


def _of_other_field(name: bytes, text: bytes, begin: int, end: int) -> Iterator[Place]:
    """The same where its name does not say that it has one: a key that looks like one, a token among the names of protocols."""
    if name != _SUBPROTOCOL:
        value = _PLAIN_OR_QUOTED.match(text, begin, end)
        if value is not None and is_key(value[1]):
            yield *value.span(1), FIELD
        return
    named = False
    for word in _OF_LIST.finditer(text, begin, end):
        if named or (is_key(word[0]) and b"." not in word[0] and len(word[0]) >= _TOKEN_LEAST):
            yield *word.span(), WORD
        named = word[0].lower() in _NAMES_OF_TOKENS
