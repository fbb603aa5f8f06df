"""Finds where in a slice of JSON text the parser stopped, which ijson does not say.

Contract: `error_offset` takes the slice that ijson refused, what was known before it, and how many events ijson had made of
it; it returns the offset in the slice of the token that broke the text. Runs once a body, after it failed; time is
linear in the slice. Nothing here raises.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(rb'[ \t\r\n\v\f]+|"(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*+"|[-+0-9.eE]+|[A-Za-z]+|.', re.DOTALL)
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_LITERALS = (b"true", b"false", b"null")
_ALONE = re.compile(_NUMBER.pattern + b"|true|false|null")
"""Numbers and literals outside containers may touch: each is a document."""

VALUE, KEY_OR_END, KEY, COLON, COMMA_OR_END, VALUE_OR_END = range(6)
"""What the grammar of RFC 8259 lets come next."""


def error_offset(data: bytes, *, containers: str, expect: int, events: int) -> tuple[int, int]:
    """Where the text broke, and where the document began that was open there; offsets in data, the second -1 if it began
    before. containers: `{` and `[` open before the slice, outermost
    first. expect: what may come at its beginning. events: how many of the slice's tokens ijson took.
    """
    stack = list(containers)
    start = -1
    at = 0
    while at < len(data):
        match = (None if stack else _ALONE.match(data, at)) or _TOKEN.match(data, at)
        if match is None:
            break
        token = match[0]
        first = token[:1]
        if first in b" \t\r\n\v\f":
            at = match.end()
            continue
        if not stack and expect == COMMA_OR_END:
            expect = VALUE
        if not stack and expect == VALUE:
            start = at
        following = _next(token, first, expect, stack)
        if following is None or (events == 0 and first not in b",:"):
            return at, start
        if first not in b",:":
            events -= 1
        expect = following
        at = match.end()
    return at, start


def _next(token: bytes, first: bytes, expect: int, stack: list[str]) -> int | None:
    """What may come after a token where `expect` may come; None where the token may not."""
    if first == b",":
        if expect != COMMA_OR_END or not stack:
            return None
        return KEY if stack[-1] == "{" else VALUE
    if first == b":":
        return VALUE if expect == COLON else None
    if first in b"]}":
        fits = stack and stack[-1] == ("[" if first == b"]" else "{") and expect in (COMMA_OR_END, KEY_OR_END, VALUE_OR_END)
        if not fits:
            return None
        stack.pop()
        return COMMA_OR_END
    if expect in (KEY, KEY_OR_END):
        return COLON if first == b'"' and len(token) > 1 else None
    if expect not in (VALUE, VALUE_OR_END):
        return None
    if first in b"[{":
        stack.append(first.decode())
        return KEY_OR_END if first == b"{" else VALUE_OR_END
    if first == b'"':
        return COMMA_OR_END if len(token) > 1 else None
    return COMMA_OR_END if token in _LITERALS or _NUMBER.fullmatch(token) else None


def last_number(data: bytes) -> bytes:
    """The last of the numbers and literals that touch in data: what a parser has not ended yet."""
    return next(iter([match[0] for match in _ALONE.finditer(data)][-1:]), data)
