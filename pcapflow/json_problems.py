"""What may be wrong with a JSON text. Vocabulary."""

from __future__ import annotations

from enum import StrEnum


class JsonProblem(StrEnum):
    """What kind of error it is."""

    UNEXPECTED = "unexpected_token"
    STRING = "bad_string"
    NUMBER = "bad_number"
    LITERAL = "bad_literal"
    UNICODE = "bad_unicode"
    ENDS = "ends_early"
    CUT = "cut"
