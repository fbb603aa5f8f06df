"""Secrets in bytes of any kind: where credentials, cookies and tokens stand, as their surroundings show. Vocabulary.

Contract: `secrets_in` gives the places of secrets that their surroundings show: fields, parts of queries, members of JSON, URLs with a password, tokens of well-known forms. Invariant: time is linear in the bytes looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from pcapflow.redaction import is_secret_field, is_secret_key, is_secret_parameter

LONG = 4 << 10
"""A value of more bytes is looked for by its beginning, and ends with the word that it begins."""
NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
"""Of a field (RFC 9110 section 5.6.2)."""
_FIELD = re.compile(rb"^[ \t]{0,64}+(?:- )?(%s{1,128})[ \t]*+:[ \t]*+(?=[^\r\n]|\r\n[ \t])" % NAME, re.MULTILINE)
_FIELD_VALUE = re.compile(rb"(?:[^\r\n]|\r\n[ \t])++")
"""With the lines that are folded into it, as heads have them; lines of YAML end with LF."""
_QUOTED_FIELD = re.compile(
    rb"^[ \t]{0,64}+(?:- )?([\"'])(%s{1,128})\1[ \t]*+:[ \t]++(?!(?:null|true|false)\b)([^\s\"'\[{&*|>][^\r\n]*+)(?<![,}\]])" % NAME,
    re.MULTILINE,
)
"""Of YAML: its key has quotes, its value none. One of JSON has a comma behind it, or a bracket, or is a literal."""
_BLOCK = re.compile(
    rb"^([ \t]{0,64}+)(?:- )?[\"']?(%s{1,128}?)[\"']?:[ \t]++[|>][-+0-9]{0,2}[ \t]*+\r?\n((?:\1[ \t]++[^\r\n]*+(?:\r?\n|\Z)){1,512}+)"
    % NAME,
    re.MULTILINE,
)
"""Of YAML: a value of several lines, which are indented more than its key."""
_BLOCK_BEGINS = re.compile(rb"[|>][-+0-9]{0,2}[ \t]*+")
_LINE = re.compile(rb"[^ \t\r\n][^\r\n]*+")
_PARAMETER = re.compile(rb"(^|[?&;#\"']|\\u0026)([^=&;#?\s\"'<>\\]{1,128})=([^&;#\s\"'<>\\]++)", re.MULTILINE)
_WHOLE = re.compile(rb"[^&#\s\"<>\\]{1,4096}+")
"""The value of such a part where `;` and `'` may be in it."""
_FORM_FIELD = re.compile(rb"(?:^|&)([^=&\r\n]{1,256})=([^&]++)")
"""Of a form, whatever is in its values."""
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
    rb"|xapp-[A-Za-z0-9-]{10,}+|npm_[A-Za-z0-9]{30,}+|SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}+|bearer\.authorization\.k8s\.io\.[A-Za-z0-9_-]{8,}+"
)
"""What GitHub, GitLab, Slack, Stripe, OpenAI, Amazon, Google, npm, SendGrid and Kubernetes hand out."""
_PEM = re.compile(rb"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----((?:[^-]|-(?!----))++)")
_PART = re.compile(
    rb'(?:Content-Disposition:|\A)[^\r\n<>]{0,256}?[; \t]name="?([^";\r\n<>]{1,128}+)"?[^\r\n]{0,256}+\r?\n(?:[^\r\n]{1,256}\r?\n){0,4}\r?\n((?:[^\r\n]|\r?\n(?!--)|\r(?!\n))++)',
    re.IGNORECASE,
)
"""Of a form in parts (RFC 7578); the beginning of its head may be missing."""
_KEY = rb'"(?:(?<!\\")|(?=(?:[^"\\]|\\.){1,24}+"))((?:[^"\\]|\\.){1,128}+)"'
"""Of a JSON object. One whose first quote is escaped is none of this object: it is short, or each quote of a long string would be tried."""
_MEMBER = re.compile(rb'%s[ \t\r\n]{0,64}:[ \t\r\n]{0,64}"((?:[^"\\]|\\.)++(?:\\\Z)?)' % _KEY, re.DOTALL)
"""With a string, which may be cut within an escape."""
_INNER_MEMBER = re.compile(rb'(?<!\\)(\\++)"([^"\\]{1,128}+)\1"[ \t]{0,8}:[ \t]{0,8}(?=\1")')
"""The same in JSON that is a string of JSON: the quotes have backslashes."""
_INNER_VALUE = re.compile(rb'(\\++)"((?:[^"\\]|(?!\1")\\++"?){1,4096}+)')
"""Of such a member: as many backslashes end it, and there may be further members in it."""
_INNER_REST = re.compile(rb'(?:[^"\\]|\\++"?)*+')
_OVERLAPPING_MOST = 4
"""Of such values with one byte in common: each level of JSON in JSON may be one; values that overlap otherwise were made to be looked at again and again."""
_ENTITY_MEMBER = re.compile(rb"(&quot;|&#34;|\\u0022)([^&\\\r\n]{1,128}+)\1[ \t]{0,8}:[ \t]{0,8}\1((?:(?!\1).){1,4096}+)", re.DOTALL)
"""The same where the quotes are written as HTML or JSON escapes them."""
_LITERAL = re.compile(
    rb"(?<![A-Za-z0-9_-])([A-Za-z_][A-Za-z0-9_-]{0,127}+)(?:'\]?|\"\])?[ \t]{0,8}[:=][ \t]{0,8}(\\{0,8}+)(\"\"\"|[\"'`])((?:(?!\2\3)[^\r\n]){1,4096}+)"
)
"""A literal behind a name: of GraphQL, of scripts, of settings."""
_CALL = re.compile(
    rb"\b(?:set|append|add|put|header|cookie)[A-Za-z]{0,24}+\([ \t]{0,8}([\"'`])([A-Za-z0-9_.-]{1,64}+)\1[ \t]{0,8},[ \t]{0,8}([\"'`])((?:(?!\3)[^\r\n]){1,4096}+)"
)
"""A name and a value handed to a function of a script."""
_ELEMENT = re.compile(
    rb"<(?:[A-Za-z0-9_-]{1,32}+:)?([A-Za-z0-9_.-]{1,64}+)(?:\s[^<>]{0,256}+)?>(?:<!\[CDATA\[)?((?:[^<>\]]|\](?!\]>)){1,8192}+)(?:</|\]\]>|\Z)"
)
_INPUT = re.compile(rb"<(?:input|meta)(?=\s)([^<>]{1,1024})", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    rb"\s(name|id|property|value|content)\s{0,8}=\s{0,8}(?:\"([^\"]*+)(?:\"|\Z)|'([^']*+)(?:'|\Z)|([^\s\"']++))", re.IGNORECASE
)
_BRACKET_MEMBER = re.compile(rb"%s[ \t\r\n]{0,64}:[ \t\r\n]{0,64}([\[{])" % _KEY, re.DOTALL)
_INNER_BRACKET = re.compile(rb'(?<!\\)(\\++)"([^"\\]{1,128}+)\1"[ \t]{0,8}:[ \t]{0,8}([\[{])')
_INNER_BRACKETED = re.compile(rb'[\[{]|[\]}]|(?<!\\)(\\++)"((?:[^"\\]|(?!\1")\\++"?)*+)(?:\1"|\Z|(?="))([ \t]{0,8}:)?')
"""A string ends with the one that it is in too: whichever it is, its bytes are looked at once."""
_BRACKETED = re.compile(rb'[\[{]|[\]}]|"((?:[^"\\]|\\.)*+(?:\\\Z)?)(?:"(?![ \t\r\n]{0,8}:)|\Z)|"(?:[^"\\]|\\.)*+"', re.DOTALL)
"""A string that ends within an escape is one too: else each quote of it would be tried as the first."""
_ESCAPE = re.compile(r"\\u00([0-9a-fA-F]{2})")
_SCHEME = re.compile(
    rb"(?:basic|bearer|digest|negotiate|ntlm|kerberos|token|apikey|api-key|key|jwt|hawk|oauth|mutual|hoba|vapid|mac|scram-sha-(?:1|256)|aws4-[a-z0-9-]{1,24}|aws|sharedkey(?:lite)?|googlelogin|dpop|gnap|concealed"
    rb"|privatetoken|acs[0-9]?-[a-z0-9-]{1,24}|tc3-[a-z0-9-]{1,24}|client-cert|x-[a-z-]{1,20})[ \t]+(?=[^ \t])",
    re.IGNORECASE,
)
"""Schemes of credentials: of an unknown one the name counts as secret."""
_UNKNOWN_SCHEME = re.compile(rb"[A-Za-z0-9-]{0,32}+(?::[ \t]*+|[ \t]++|(?:\r?\n[ \t]++))")
_JOINED = re.compile(rb",[ \t]*+[^=;,\s]{1,64}=([^;,]++)")
"""A further cookie in a field that a proxy joined."""
_LIKE_A_TOKEN = re.compile(rb"(?=[^0-9]*+[0-9])(?=[^a-z]*+[a-z])(?=[^A-Z]*+[A-Z])[A-Za-z0-9._~+/%-]{20,}=*")
_PLAIN = re.compile(rb"[a-z]{1,24}(?:[-_ ][a-z]{1,24}){0,8}")
"""Words that are masked where a secret may be, and not looked for elsewhere."""
FIELD, STRING, WORD, VALUE, PART, LOST, QUERY, HOLDER, KNOWN, OPEN = range(10)
"""How a secret ends: with its line and those folded into it, with a quote, with its word, with a field of a form, with a part of a body, with a line or where a message begins, with a part of a query. HOLDER is masked, but not looked for elsewhere: an encoded value that has a secret in it, or plain words; KNOWN is a value that was known. OPEN is none: a field with secrets in it that goes on, perhaps."""
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
)
"""What is still of it, by that."""

Place = tuple[int, int, int]
"""Of a secret: from, up to, and how it ends."""


def secrets_in(text: bytes, *, form: bool = False, begins: bool = True) -> Iterator[Place]:
    """The places of secrets in some bytes, in no order; they may overlap. form: they are of a form, whose fields end with `&` alone; begins: their first byte may be a line's."""
    yield from _fields(text, begins=begins)
    over = 0
    for part in _PARAMETER.finditer(text):
        if not begins and not part.start(2):
            continue
        if is_secret_parameter(str(part[2], "latin-1")) or (part[1] not in (b'"', b"'") and _is_token(part[3])):
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
        if is_secret_parameter(str(part[1], "latin-1")):
            yield *part.span(2), PART
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
    for pattern, group in ((_USER, 1), (_TOKEN, 0), (_PEM, 1)):
        for match in pattern.finditer(text):
            yield *match.span(group), WORD
            if pattern is _USER and match[2]:
                yield *match.span(2), WORD
    yield from _members(text)
    yield from _in_markup(text)


def _fields(text: bytes, *, begins: bool) -> Iterator[Place]:
    """Values of fields: those of heads, and of YAML."""
    over = 0 if begins else 1
    for field in _FIELD.finditer(text):
        if field.start() < over or not is_secret_field(str(field[1], "latin-1")):
            continue
        value = _FIELD_VALUE.match(text, field.end())
        assert value is not None
        over = value.end()
        if _BLOCK_BEGINS.fullmatch(value[0]):
            continue
        yield from _of_field(field[1].lower(), text, *value.span())
        if reaches_end(text, (*value.span(), FIELD)):
            yield *value.span(), OPEN
    for field in _QUOTED_FIELD.finditer(text):
        if is_secret_key(str(field[2], "latin-1")):
            yield *field.span(3), FIELD
    for field in _BLOCK.finditer(text):
        if is_secret_key(str(field[2], "latin-1")):
            for line in _LINE.finditer(text, *field.span(3)):
                yield *line.span(), FIELD


def _is_token(value: bytes) -> bool:
    """Whether a value looks like a token; one with escapes is looked at without them."""
    return _LIKE_A_TOKEN.fullmatch(unquote_to_bytes(value) if b"%" in value else value) is not None


def within(value: bytes, levels: int = 2) -> Iterator[bytes]:
    """Secrets in what an encoded value is, such as JSON or a URL. levels: how often it may be encoded."""
    if b"%" not in value:
        return
    plain = unquote_to_bytes(value.replace(b"+", b" "))
    for begin, end, _ in _members(plain):
        yield plain[begin:end]
    for part in _PARAMETER.finditer(plain):
        if is_secret_parameter(str(part[2], "latin-1")):
            yield part[3]
    for user in _USER.finditer(plain):
        yield user[2] or user[1]
    if levels > 1:
        yield from within(plain, levels - 1)


def _in_markup(text: bytes) -> Iterator[Place]:
    """Secrets in HTML and XML: what inputs and elements have whose names say so."""
    if b"<" not in text:
        return
    for element in _ELEMENT.finditer(text):
        if is_secret_key(str(element[1], "latin-1")):
            yield *element.span(2), WORD
    for tag in _INPUT.finditer(text):
        values = []
        named = False
        for attribute in _ATTRIBUTE.finditer(text, *tag.span(1)):
            group = 2 if attribute[2] is not None else 3 if attribute[3] is not None else 4
            if attribute[1].lower() in (b"value", b"content"):
                values.append(attribute.span(group))
            else:
                named = named or (is_secret_parameter(str(attribute[group], "latin-1")) and attribute[group] != b"csrf-param")
        if named:
            for span in values:
                yield *span, WORD


def _members(text: bytes) -> Iterator[Place]:
    """Values of JSON whose key says that they are secrets: strings, those in JSON within a string, and those in arrays and objects, as far as these are at hand."""
    for member in _MEMBER.finditer(text):
        if is_secret_key(_plain(member[1])) or (member[1] == b"key" and _is_token(member[2])):
            yield *member.span(2), STRING
    if b'\\"' in text:
        yield from _inner_members(text)
        for token in _bracketed(text, _INNER_BRACKET, _INNER_BRACKETED):
            if token[2] and not token[3]:
                yield *token.span(2), WORD
    if b"&quot;" in text or b"&#34;" in text or b"\\u0022" in text:
        for member in _ENTITY_MEMBER.finditer(text):
            if is_secret_key(str(member[2], "latin-1")):
                yield *member.span(3), WORD
    for member in _LITERAL.finditer(text):
        if is_secret_key(str(member[1], "latin-1")):
            yield *member.span(4), WORD
    for call in _CALL.finditer(text):
        if is_secret_key(str(call[2], "latin-1")):
            yield *call.span(4), WORD
    for token in _bracketed(text, _BRACKET_MEMBER, _BRACKETED):
        if token[1]:
            yield *token.span(1), HOLDER if _PLAIN.fullmatch(token[1]) else STRING


def _inner_members(text: bytes) -> Iterator[Place]:
    """Values of JSON that is a string of JSON, and those within them. Where as many overlap as may, one place has all up to the end of the string that they are in."""
    over = 0
    under_way: list[int] = []
    for member in _INNER_MEMBER.finditer(text):
        at = member.end()
        if at < over or not is_secret_key(str(member[2], "latin-1")) or (value := _INNER_VALUE.match(text, at)) is None:
            continue
        under_way = [end for end in under_way if end > at]
        if len(under_way) < _OVERLAPPING_MOST:
            under_way.append(value.end())
            yield *value.span(2), WORD
        else:
            rest = _INNER_REST.match(text, at)
            assert rest is not None
            over = rest.end()
            yield at, over, WORD


def _bracketed(text: bytes, opens: re.Pattern[bytes], tokens: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """What stands in arrays and objects behind a key that is secret, bracket by bracket and string by string. opens: its last two groups are the key and the bracket."""
    at = 0
    while (opened := opens.search(text, at)) is not None:
        at = opened.end()
        bracket = opens.groups
        if is_secret_key(_plain(opened[bracket - 1])):
            depth = 0
            for token in tokens.finditer(text, opened.start(bracket)):
                depth += (token[0] in (b"[", b"{")) - (token[0] in (b"]", b"}"))
                yield token
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


def _of_field(name: bytes, text: bytes, begin: int, end: int) -> Iterator[Place]:
    """The secret parts of a field's value: of cookies the values, of credentials what stands behind the scheme."""
    if name in (b"cookie", b"cookie2", b"set-cookie", b"set-cookie2"):
        while begin < end:
            stop = text.find(b";", begin, end)
            stop = end if stop < 0 else stop
            equals = text.find(b"=", begin, stop)
            value = begin if equals < 0 else equals + 1
            yield value, stop, HOLDER if _PLAIN.fullmatch(text, value, stop) else FIELD
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
