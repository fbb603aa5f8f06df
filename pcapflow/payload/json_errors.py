"""What is wrong with a JSON text, in words of our own: any parser that knows where it stopped can say them.

Contract: `problem_of` takes the text at hand and where it broke. It quotes nothing of the text. Invariant: what it says depends on the byte at which the
text broke, and on what the grammar let come there (RFC 8259), not on how the text was cut.
"""

from __future__ import annotations

import re

from pcapflow.json_problems import JsonProblem
from pcapflow.payload.json_error_offset import COLON, COMMA_OR_END, KEY, KEY_OR_END, VALUE, VALUE_OR_END, Broken

SENTENCES = {
    JsonProblem.STRING: "a string has an escape or a control character that JSON does not allow",
    JsonProblem.NUMBER: "a number is not written as JSON has it",
    JsonProblem.LITERAL: "the literal is not true, false or null",
    JsonProblem.UNICODE: "a string is not valid Unicode",
    JsonProblem.ENDS: "the text ends inside a document",
    JsonProblem.CUT: "the body ends inside a document",
}
_EXPECTED = {
    VALUE: "a value",
    KEY: "a key",
    KEY_OR_END: "a key or the end of the object",
    COLON: "a colon",
    VALUE_OR_END: "a value or the end of the array",
}
_FOUND = {
    ord(","): "a comma",
    ord(":"): "a colon",
    ord("{"): "the beginning of an object",
    ord("["): "the beginning of an array",
    ord("}"): "the end of an object",
    ord("]"): "the end of an array",
    ord('"'): "a string",
}
_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')


def problem_of(data: bytes, broken: Broken, *, unicode: bool) -> tuple[JsonProblem, str]:
    """The kind and the words. data: the text at hand, empty where no more of it comes; unicode: its decoder refused a string."""
    if unicode:
        return JsonProblem.UNICODE, SENTENCES[JsonProblem.UNICODE]
    if not data:
        return JsonProblem.ENDS, SENTENCES[JsonProblem.ENDS]
    if broken.offset >= len(data):
        return JsonProblem.UNEXPECTED, f"expected {_expected(broken)}"
    byte = data[broken.offset]
    kind = JsonProblem.UNEXPECTED
    if byte == ord('"') and broken.expect in (VALUE, VALUE_OR_END, KEY, KEY_OR_END):
        kind = JsonProblem.UNICODE if _STRING.match(data, broken.offset) else JsonProblem.STRING
    elif broken.expect in (VALUE, VALUE_OR_END) and _is_number(byte):
        kind = JsonProblem.NUMBER
    elif broken.expect in (VALUE, VALUE_OR_END) and _is_letter(byte):
        kind = JsonProblem.LITERAL
    if kind is not JsonProblem.UNEXPECTED:
        return kind, SENTENCES[kind]
    found = _FOUND.get(byte) or ("a number" if _is_number(byte) else "a word" if _is_letter(byte) else "an invalid character")
    return kind, f"expected {_expected(broken)}, found {found}"


def _expected(broken: Broken) -> str:
    if broken.expect == COMMA_OR_END:
        return f"a comma or the end of the {'object' if broken.inside == '{' else 'array'}"
    return _EXPECTED[broken.expect]


def _is_number(byte: int) -> bool:
    return byte in b"-+.0123456789"


def _is_letter(byte: int) -> bool:
    return bytes((byte,)).isalpha()
