"""The path language, read: jq's paths. Vocabulary: knows `paths`.

Contract: `parse_path` gives a path's steps and raises `ValueError` for what is none. The leading dot may be left out; a key that is no plain word stands in quotes, double (as JSON)
or single (nothing is escaped in them). What leads to several values has no other filter of jq's.
"""

from __future__ import annotations

import re
from json import JSONDecodeError, loads

from pcapflow.paths import Step

_QUOTED = r'"(?P<double>(?:[^"\\]|\\.)*)"|\'(?P<single>[^\']*)\''
_STEP = re.compile(
    rf"(?P<dot>\.?)(?:(?P<name>[A-Za-z_][A-Za-z0-9_-]*|[0-9]+|\.\.\.)|{_QUOTED}|\[(?:(?P<index>[0-9]{{0,9}})|{_QUOTED.replace('double', 'key').replace('single', 'word')})\])"
)
HOW = "write it as jq would: items[].address, items[0], .'odd key'"


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps; none for `.` and for an empty text."""
    steps: list[Step] = []
    at = 1 if text == "." else 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or (steps and not match["dot"] and text[at] != "["):
            raise ValueError(f"{text} is no path: {HOW}")
        if match["index"] is not None:
            steps.append(int(match["index"]) if match["index"] else None)
        else:
            steps.append(_key(text, match))
        at = match.end()
    return tuple(steps)


def _key(text: str, match: re.Match[str]) -> str:
    plain = next((match[name] for name in ("name", "single", "word") if match[name] is not None), None)
    if plain is not None:
        return plain
    quoted = match["double"] if match["double"] is not None else match["key"]
    try:
        return str(loads(f'"{quoted}"', strict=False))
    except JSONDecodeError:
        raise ValueError(f"{text} is no path: the key in quotes is no string of JSON") from None
