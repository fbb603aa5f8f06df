"""Text from the wire or the file system, made harmless for a terminal. Vocabulary: knows nobody."""

from __future__ import annotations

import re

_OBEYED = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal would obey or cannot show: control characters, changes of direction, lone surrogates."""


def plain(text: str) -> str:
    """The text with nothing in it that a terminal would obey."""
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)
