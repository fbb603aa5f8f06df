"""Paths into JSON, as jq writes them: `items[].address`, `captures[0].packets`, `by_status["500"]`. Vocabulary: knows nobody.

Contract: `show_path` writes steps so that `path_syntax.parse_path` reads them, and jq behind a dot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from json.encoder import encode_basestring

Step = str | int | None
"""A key, a position from 0, or every position."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def show_path(steps: Iterable[Step]) -> str:
    """`items[412].address`."""
    parts = [
        "[]"
        if step is None
        else f"[{step}]"
        if isinstance(step, int)
        else f".{step}"
        if _PLAIN.fullmatch(step)
        else f"[{encode_basestring(step)}]"
        for step in steps
    ]
    return "".join(parts).removeprefix(".")
