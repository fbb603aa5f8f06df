"""What a text of JSON holds, found without events: msgspec validates it, and what it is built of tells the rest.

Contract: `counts` says what ijson's events of a whole text would be counted as; None where the text is not valid, where ijson may see it in another way, or where
it passes a limit: then ijson decides, and tells why. Nothing is raised for what the text is, and nothing of it is kept.

msgspec's `Raw` checks the grammar of RFC 8259 and builds nothing, but neither UTF-8 nor the length of numbers, which ijson does not convert beyond some: both are looked at
here. Of a valid text in which containers hold n values, all but the first of each behind a comma: events = documents + commas + 2 x containers - empty ones + keys.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from pcapflow.contents import JsonBody
from pcapflow.limits import Limits
from pcapflow.payload.at_once import top_level_with

_RAW = msgspec.json.Decoder(msgspec.Raw)
_NOT_BUILT = bytes(c for c in range(256) if c not in b'{}[]",:')
_NOT_BUILT_NOR_LINES = _NOT_BUILT.replace(b"\n", b"")
_QUOTE, _NEW_LINE = b'"\n'
_BLANK = b" \t\r\n"
_EXPONENT_DIGITS = 18
"""Digits of an exponent that Python's decimal, which ijson makes of such a number, may refuse: it adds to it how long the number is."""
_INTEGER_DIGITS = 608
"""Digits of an integer that ijson gets: far fewer than the 4,300 that Python converts."""
_NUMBERS = bytes(ord("0") if c in b"0123456789" else ord("e") if c in b"eE" else ord(" ") for c in range(256))
_BEGIN, _END = b"\x01\xff"
_STEPS = bytes(_BEGIN if c in b"{[" else _END if c in b"}]" else 0 for c in range(256))
"""Brackets as signed bytes: what each does to the depth."""
_INNERMOST = bytes((_BEGIN, _END))
_FEW = 1 << 11
"""Bytes up to which Python's own ways cost less than calls of numpy's."""
_SHALLOW = 8
_MOST_LINES_BYTES = 64 << 10
"""Of lines at one time: each document is an object here, of 64 bytes."""
_PART = 128 << 10
_ZERO, _TEN, _SMALL_LETTER, _E, _BEGINS, _ENDS, _COLON, _COMMA = map(
    np.uint8, (ord("0"), 10, 32, ord("e"), ord("{"), ord("}"), ord(":"), ord(","))
)
_KINDS = {ord("{"): "object", ord("["): "array", ord('"'): "string", ord("t"): "boolean", ord("f"): "boolean", ord("n"): "null"}


def counts(data: bytes | bytearray, limits: Limits, *, lines: bool = False) -> JsonBody | None:
    """What a text holds. lines: each line is a text by itself, blank or documents in a row."""
    if len(data) > min(
        limits.json_whole_max_bytes, limits.json_scalar_max_bytes, _MOST_LINES_BYTES if lines else limits.json_whole_max_bytes
    ):
        return None
    try:
        return _counts(data, limits, lines=lines)
    except MemoryError:
        return None  # a limit on the process, within which ijson may have room


def _counts(data: bytes | bytearray, limits: Limits, *, lines: bool) -> JsonBody | None:
    try:
        if not data.isascii():
            data.decode()
        texts = _RAW.decode_lines(data) if lines else [_RAW.decode(data)]
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return None
    if _has_long_numbers(data):
        return None
    plain = data
    if b"\\" in plain:
        # pairs from the left: what remains of a quote after them is one that begins or ends a string
        plain = plain.replace(b"\\\\", b"").replace(b'\\"', b"")
    built = plain.translate(None, _NOT_BUILT_NOR_LINES if lines else _NOT_BUILT)
    in_strings = _strings_hold_any(built)
    bare = _outside(built) if in_strings else built.translate(None, b'"')
    depth = _depth_of_lines(bare) if lines else _depth(bare.translate(_STEPS, b",:"))
    if not 0 <= depth <= limits.json_max_depth:
        return None
    keys, commas, containers, nothing = _pieces(bare)
    if nothing:
        nothing = bare.count(b"{}") + (_empty_arrays(plain, in_strings=in_strings) if b"[]" in bare else 0)
    events = len(texts) + commas + 2 * containers - nothing + keys
    if events > limits.json_document_max_events:
        return None
    return JsonBody(len(texts), events, keys, depth, _top_level(texts), len(data), "complete")


def _has_long_numbers(data: bytes | bytearray) -> bool:
    """Whether there may be numbers that ijson does not convert."""
    if len(data) < _EXPONENT_DIGITS:
        return False
    if len(data) > _FEW:
        columns = np.frombuffer(data, dtype=np.uint8)
        # by parts that lie in the processor's cache, each with as much of the next as a number takes
        if not any(_may_have_long_numbers(columns[at : at + _PART + _INTEGER_DIGITS]) for at in range(0, len(data), _PART)):
            return False
    numbers = data.translate(_NUMBERS, b"+-")
    return b"e" + b"0" * _EXPONENT_DIGITS in numbers or b"0" * _INTEGER_DIGITS in numbers


def _may_have_long_numbers(columns: Any) -> bool:
    """The same of bytes, uint8; True for some others too."""
    digits = columns - _ZERO < _TEN
    # behind an `e` and perhaps a sign: digits at places that both forms have
    exponents = (columns | _SMALL_LETTER == _E)[:-_EXPONENT_DIGITS]
    exponents &= digits[_EXPONENT_DIGITS:]
    exponents &= digits[2 : 2 - _EXPONENT_DIGITS]
    # of so long a run 32 samples in a row are digits; 16 in a row may be of one
    samples = digits[:: _INTEGER_DIGITS >> 5]
    for step in (1, 2, 4, 8):
        samples = samples[step:] & samples[:-step]
    return bool(exponents.any() or samples.any())


def _strings_hold_any(built: bytes | bytearray) -> bool:
    """Whether a string holds something that texts are built of. If none does, each has its quotes side by side; a run of quotes that one with some begins or ends is odd."""
    if len(built) > _FEW:
        quotes = np.frombuffer(built, dtype=np.uint8) == _QUOTE
        pairs = quotes[1:] & quotes[:-1]
        if not (pairs[1:] & pairs[:-1]).any():
            return 2 * int(np.count_nonzero(pairs)) != int(np.count_nonzero(quotes))
    return 2 * built.count(b'""') != built.count(b'"')


def _pieces(bare: bytes | bytearray) -> tuple[int, int, int, int]:
    """Colons, commas, containers, and those of them that begin and end side by side."""
    if len(bare) < _FEW:
        return bare.count(b":"), bare.count(b","), bare.count(b"{") + bare.count(b"["), bare.count(b"{}") + bare.count(b"[]")
    columns = np.frombuffer(bare, dtype=np.uint8)
    brackets = columns | _SMALL_LETTER  # `[` and `{` are one then, and so are `]` and `}`
    begins = brackets == _BEGINS
    side_by_side = begins[:-1] & (brackets[1:] == _ENDS)
    return tuple(int(np.count_nonzero(some)) for some in (columns == _COLON, columns == _COMMA, begins, side_by_side))  # type: ignore[return-value]


def _outside(built: bytes | bytearray) -> bytes | bytearray:
    """What is in no string."""
    if len(built) < _FEW:
        # every second piece between the quotes that are left is in a string
        return b"".join(built.replace(b'""', b"").split(b'"')[::2])
    columns = np.frombuffer(built, dtype=np.uint8)
    quotes = columns == _QUOTE
    outside: bytes = columns[~(np.bitwise_xor.accumulate(quotes) | quotes)].tobytes()
    return outside


def _depth(steps: bytes | bytearray) -> int:
    """The greatest depth."""
    depth = 0
    if len(steps) < _FEW:
        while steps and depth < _SHALLOW:
            # what is innermost goes, one level of each that is left
            steps = steps.replace(_INNERMOST, b"")
            depth += 1
        if not steps:
            return depth
    columns = np.frombuffer(steps, dtype=np.int8)
    highest = level = 0
    for at in range(0, len(steps), _PART):
        levels = np.add.accumulate(columns[at : at + _PART], dtype=np.int32)
        highest = max(highest, level + int(levels.max()))
        level += int(levels[-1])
    return depth + highest


def _depth_of_lines(bare: bytes | bytearray) -> int:
    """The same of lines; below 0 where one ends within a container."""
    if not bare:
        return 0
    depths = np.add.accumulate(np.frombuffer(bare.translate(_STEPS), dtype=np.int8), dtype=np.int32)
    ends = np.frombuffer(bare, dtype=np.uint8) == _NEW_LINE
    return -1 if depths[ends].any() else int(depths.max())


def _empty_arrays(plain: bytes | bytearray, *, in_strings: bool) -> int:
    """Arrays of nothing: those of one number or literal have nothing else between their brackets either."""
    dense = plain.translate(None, _BLANK)
    if in_strings:
        columns = np.frombuffer(dense, dtype=np.uint8)
        dense = columns[~np.bitwise_xor.accumulate(columns == _QUOTE)].tobytes()  # one quote of each string is left
    return dense.count(b"[]")


def _top_level(texts: list[msgspec.Raw]) -> str | None:
    """What the documents are."""
    top_level = None
    for first in {memoryview(text)[0] for text in texts}:
        top_level = top_level_with(top_level, _KINDS.get(first, "number"))
    return top_level
