"""Secrets in JSON, in JSON within other texts, and in literals of scripts: values whose key says that they are. Vocabulary.

Contract: `members` gives their places in some bytes. Invariant: time is linear in them: a value that may have others in it is looked at MOST bytes at a time, and those that overlap are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pcapflow.redaction import is_secret_key
from pcapflow.secret_code import is_sentence
from pcapflow.secret_kinds import HOLDER, PLAIN_WORDS, STRING, WORD, Lengths, Place, is_token
from pcapflow.secret_pairs import in_pairs, is_secret_member

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
_ENTITY_MEMBER = re.compile(
    rb"(&quot;|&#34;|&#x22;|\\u0022)([^&\\\r\n]{1,128}+)\1[ \t]{0,8}:[ \t]{0,8}\1(?:((?:(?!\1).){1,4096}+)(?=\1)|((?:(?!\1)[^\"<>\r\n]){1,4096}+))",
    re.DOTALL,
)
"""The same where the quotes are written as HTML or JSON escapes them. One without an end is none of the string or the tag that it is in."""
_CLOSES = re.compile(rb"[ \t\r\n]{0,8}(?:[,}\]:)]|\Z)")
"""A quote before that may be the end of a string: `_closes` tells."""
_NAMED = rb"(?<![A-Za-z0-9_-])([A-Za-z_][A-Za-z0-9_-]{0,127}+)(?:'\]?|\"\]|\"(?=[ \t]{0,8}=>))?[ \t]{0,8}(?:=>|[:=])[ \t]{0,8}"
_LITERAL = re.compile(_NAMED + rb"(\"\"\"|[\"'`])(?:((?:(?!\2)(?:[^\\\r\n]|\\[^\r\n])){1,4096}+)(?=\2)|((?:(?!\2)[^\r\n\"]){1,4096}+))")
"""A literal behind a name: of GraphQL, of scripts, of settings. A backslash escapes its quote."""
_ESCAPED_LITERAL = re.compile(
    _NAMED + rb"(\\{1,8}+)(\"\2\"\2\"|[\"'`])(?:((?:(?!\2\3)[^\r\n]){1,4096}+)(?=\2\3)|((?:(?!\2\3)[^\r\n\"]){1,4096}+))"
)
"""The same in a string of JSON: its quotes have backslashes."""
_ENTITY_LITERAL = re.compile(
    rb"(?<![A-Za-z0-9_-])([A-Za-z_][A-Za-z0-9_-]{0,127}+)[ \t]{0,8}[:=][ \t]{0,8}(&quot;|&#34;|&#x22;|&#x27;|&#39;|&apos;)((?:(?!\2)[^\r\n<>]){1,4096}+)(?=\2)"
)
"""The same in a page that shows a program."""
_BETWEEN = re.compile(rb"[\s,:\[\]{}()0-9.+-]*+|\s*+,[\s,\w.()]*+")
"""What stands between two strings, rather than in one."""
_ENDS_BEFORE_STRING = re.compile(rb"[,:\[{(=+?&|][ \t]*+\Z")
"""What stands before a string."""
_PARITY = 512
"""Bytes of a line in which quotes are counted."""
_JOINED = re.compile(rb"[ \t]++[+.&|].*[+.&|][ \t]*+", re.DOTALL)
"""Between two strings that a script joins."""
_CALL = re.compile(
    rb"\b(?:set|append|add|put|header|cookie|define|env|getenv|environ\.get|config)[A-Za-z]{0,24}+\([ \t]{0,64}([\"'`])([A-Za-z0-9_.-]{1,64}+)\1[ \t]{0,64},[ \t]{0,64}([\"'`])(?:((?:(?!\3)[^\r\n]){1,4096}+)(?=\3)|((?:(?!\3)[^\r\n\"]){1,4096}+))"
)
"""A name and a value handed to a function of a script."""
_BRACKET_MEMBER = re.compile(rb"%s[ \t\r\n]{0,64}:[ \t\r\n]{0,64}([\[{])" % _KEY, re.DOTALL)
_INNER_BRACKET = re.compile(rb'(?<!\\)(\\++)"([^"\\]{1,128}+)\1"[ \t]{0,8}:[ \t]{0,8}([\[{])')
_INNER_BRACKETED = re.compile(rb'[\[{]|[\]}]|(?<!\\)(\\++)"((?:[^"\\]|(?!\1")\\++"?)*+)(?:\1"|\Z|(?="))([ \t]{0,8}:)?')
"""A string ends with the one that it is in too: whichever it is, its bytes are looked at once."""
_BRACKETED = re.compile(rb'[\[{]|[\]}]|"((?:[^"\\]|\\.)*+(?:\\\Z)?)(?:"(?![ \t\r\n]{0,8}:)|\Z)|"(?:[^"\\]|\\.)*+"', re.DOTALL)
"""A string that ends within an escape is one too: else each quote of it would be tried as the first."""
_SCHEMA = re.compile(
    rb'\{[ \t\r\n]{0,64}\\{0,8}"(?:\$ref|type|title|description|format|allOf|oneOf|anyOf|schema|in|required|deprecated|example|properties|enum|nullable|items|additionalProperties|get|post|put|patch|delete|parameters|summary|operationId)\\{0,8}"[ \t\r\n]{0,64}:'
)
"""An object that describes a value (JSON Schema, OpenAPI)."""
_MIXED = frozenset(("session", "auth", "authorization", "authentication", "oauth", "oauth2"))
"""Objects with such a key have names, dates and paths too: of those what looks like no word is secret."""
_NO_WORD = re.compile(rb"(?![0-9]{4}-[0-9]{2}-[0-9]{2})(?=[^0-9]*+[0-9])[A-Za-z0-9._~+/=-]{10,}")
_OF_JWK = frozenset((b"d", b"k", b"p", b"q", b"dp", b"dq", b"qi"))
"""Members of a JSON Web Key that are private (RFC 7518 section 6)."""
_JWK_LEAST = 20
_ESCAPE = re.compile(r"\\u00([0-9a-fA-F]{2})")


def members(text: bytes) -> Iterator[Place]:
    """Values of JSON whose key says that they are secrets: strings, those in JSON within a string, and those in arrays and objects, as far as these are at hand."""
    jwk = b'"kty"' in text
    for member in _MEMBER.finditer(text):
        named = is_secret_member(_plain(member[1]), member[2]) or (member[1] == b"key" and is_token(member[2]))
        if named or (jwk and member[1] in _OF_JWK and len(member[2]) >= _JWK_LEAST):
            yield *member.span(2), STRING
    yield from in_pairs(text)
    if b'\\"' in text:
        yield from _inner_members(text)
        for token, mixed in _bracketed(text, _INNER_BRACKET, _INNER_BRACKETED):
            if token[2] and not token[3] and (not mixed or _NO_WORD.fullmatch(token[2])):
                yield *token.span(2), WORD
    yield from _literals(text)
    for token, mixed in _bracketed(text, _BRACKET_MEMBER, _BRACKETED):
        if token[1] and (not mixed or _NO_WORD.fullmatch(token[1])) and not is_sentence(token[1]):
            yield *token.span(1), HOLDER if PLAIN_WORDS.fullmatch(token[1]) else STRING


def _literals(text: bytes) -> Iterator[Place]:
    """Values of scripts and pages, in quotes of any kind."""
    patterns = [(_LITERAL, 1, 3), (_CALL, 2, 4)]
    if b"\\" in text:
        patterns.append((_ESCAPED_LITERAL, 1, 4))
    entities = b"&quot;" in text or b"&#" in text
    if entities or b"\\u0022" in text:
        patterns.append((_ENTITY_MEMBER, 2, 3))
    lengths = Lengths(text)
    for pattern, name, value in patterns:
        for member in pattern.finditer(text):
            group = value if member[value] is not None else value + 1
            if is_secret_member(str(member[name], "latin-1"), member[group]) and not _closes(text, member, group, pattern):
                yield lengths.of(*member.span(group))
    for member in _ENTITY_LITERAL.finditer(text) if entities else ():
        if is_secret_member(str(member[1], "latin-1"), member[3]):
            yield lengths.of(*member.span(3))


def _closes(text: bytes, member: re.Match[bytes], group: int, pattern: re.Pattern[bytes]) -> bool:
    """Whether the quote before what was taken for a literal is the end of a string, so that this stands behind it."""
    if pattern not in (_LITERAL, _ESCAPED_LITERAL):
        return False
    begin, end = member.span(group)
    if _JOINED.fullmatch(text, begin, end):
        return True
    if not _CLOSES.match(text, begin):
        return False
    if pattern is _ESCAPED_LITERAL:
        return True  # the text is looked at without its escapes too
    if _BETWEEN.fullmatch(text, begin, end):
        return True
    line = text.rfind(b"\n", max(0, begin - _PARITY), begin)
    if line < 0 and begin > _PARITY:
        return _ENDS_BEFORE_STRING.search(text, begin, end) is not None
    return text.count(member[2][:1], max(0, line), member.start(2)) % 2 == 1


def _inner_members(text: bytes) -> Iterator[Place]:
    """Values of JSON that is a string of JSON, and those within them. Where as many overlap as may, one place has all up to the end of the string that they are in."""
    over = 0
    under_way: list[int] = []
    lengths = Lengths(text)
    for member in _INNER_MEMBER.finditer(text):
        at = member.end()
        if at < over or not is_secret_key(str(member[2], "latin-1")) or (value := _INNER_VALUE.match(text, at)) is None:
            continue
        under_way = [end for end in under_way if end > at]
        if len(under_way) < _OVERLAPPING_MOST:
            under_way.append(value.end())
            yield lengths.of(*value.span(2))
        else:
            rest = _INNER_REST.match(text, at)
            assert rest is not None
            over = rest.end()
            yield at, over, WORD


def _bracketed(text: bytes, opens: re.Pattern[bytes], tokens: re.Pattern[bytes]) -> Iterator[tuple[re.Match[bytes], bool]]:
    """What stands in arrays and objects behind a key that is secret, bracket by bracket and string by string; and whether the key says so of a part of it. opens: its last two groups are the key and the bracket."""
    at = 0
    while (opened := opens.search(text, at)) is not None:
        at = opened.end()
        bracket = opens.groups
        key = _plain(opened[bracket - 1])
        if is_secret_key(key) and key[:1] != "/" and not _SCHEMA.match(text, opened.start(bracket)):
            mixed = opened[bracket] == b"{" and key.lower() in _MIXED
            depth = 0
            for token in tokens.finditer(text, opened.start(bracket)):
                depth += (token[0] in (b"[", b"{")) - (token[0] in (b"]", b"}"))
                yield token, mixed
                at = token.end()
                if not depth:
                    break


def _plain(key: bytes) -> str:
    """A key of JSON without its escapes."""
    return _ESCAPE.sub(lambda code: chr(int(code[1], 16)), str(key, "latin-1")) if b"\\" in key else str(key, "latin-1")
