"""Finds where in a slice of JSON text the parser stopped, which ijson does not say.

Contract: `error_offset` takes the slice that ijson refused, what was known before it, and how many events ijson had made of
it; it returns the offset in the slice of the token that broke the text. Runs once a body, after it failed; time is
linear in the slice. Nothing here raises.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*+"|[-+0-9.eE]+|[A-Za-z]+|.', re.DOTALL)
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_BLANK, _COMMA, _COLON, _OPENS_ONE, _CLOSES, _OTHER = range(6)
_KINDS = bytes(
    _BLANK
    if c in b" \t\r\n\v\f"
    else _COMMA
    if c == 0x2C
    else _COLON
    if c == 0x3A
    else _OPENS_ONE
    if c in b"{["
    else _CLOSES
    if c in b"}]"
    else _OTHER
    for c in range(256)
)
"""What each byte begins."""
_OPENS = {ord("}"): "{", ord("]"): "["}
_LONGEST_BEGUN = 8
"""A literal, or a number's exponent, is begun by fewer bytes."""
_LITERALS = (b"true", b"false", b"null")
_ALONE = re.compile(_NUMBER.pattern + b"|true|false|null")
"""Numbers and literals outside containers may touch: each is a document."""

VALUE, KEY_OR_END, KEY, COLON, COMMA_OR_END, VALUE_OR_END = range(6)
"""What the grammar of RFC 8259 lets come next."""


class Broken(NamedTuple):
    """Where a text broke."""

    offset: int
    """Of the token that broke it, in the slice; its length where all of the slice is right."""
    start: int
    """Where the document began that was open there; -1 if before the slice."""
    expect: int
    """What could have come."""
    inside: str
    """The innermost container that was open: `{`, `[`, or nothing."""


def error_offset(data: bytes, *, containers: str, expect: int, events: int) -> Broken:
    """Where the text broke. containers: `{` and `[` open before the slice, outermost first. expect: what may come at its beginning. events: how
    many of the slice's tokens ijson took.
    """
    stack = list(containers)
    start = -1
    at = 0
    size = len(data)
    while at < size:
        kind = _KINDS[data[at]]
        if kind == _BLANK:
            at += 1
            continue
        if not stack:
            if expect == COMMA_OR_END:
                expect = VALUE
            if expect == VALUE:
                start = at
        if kind == _COMMA:
            if expect != COMMA_OR_END or not stack:
                break
            expect = KEY if stack[-1] == "{" else VALUE
        elif kind == _COLON:
            if expect != COLON:
                break
            expect = VALUE
        else:
            if not events:
                break
            events -= 1
            if kind == _CLOSES:
                if not stack or stack[-1] != _OPENS[data[at]] or expect not in (COMMA_OR_END, KEY_OR_END, VALUE_OR_END):
                    break
                stack.pop()
                expect = COMMA_OR_END
            elif expect != VALUE and expect != VALUE_OR_END and kind == _OPENS_ONE:
                break
            elif kind == _OPENS_ONE:
                stack.append(chr(data[at]))
                expect = KEY_OR_END if stack[-1] == "{" else VALUE_OR_END
            else:
                match = (None if stack else _ALONE.match(data, at)) or _TOKEN.match(data, at)
                following = _behind(match[0], expect) if match is not None else None
                if match is None or following is None:
                    break
                expect = following
                at = match.end() - 1
        at += 1
    return Broken(at, start, expect, stack[-1] if stack else "")


def _behind(token: bytes, expect: int) -> int | None:
    """What may come after a string, number or literal where `expect` may come; None where the token may not."""
    is_string = token[:1] == b'"' and len(token) > 1
    if expect in (KEY, KEY_OR_END):
        return COLON if is_string else None
    if expect not in (VALUE, VALUE_OR_END):
        return None
    return COMMA_OR_END if is_string or token in _LITERALS or _NUMBER.fullmatch(token) else None


def last_touching(data: bytes) -> tuple[int, bool]:
    """Where the last of the numbers and literals that touch in data begins; False where bytes behind it begin none, so that the text is broken there."""
    start = end = 0
    for match in _ALONE.finditer(data):
        if match.start() != end:
            break
        start, end = match.span()
    return start, len(data) - end < _LONGEST_BEGUN


def last_number(data: bytes) -> bytes:
    """The last of the numbers and literals that touch in data: what a parser has not ended yet."""
    return next(iter([match[0] for match in _ALONE.finditer(data)][-1:]), data)
