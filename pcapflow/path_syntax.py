"""The path language, read: jq's paths. Vocabulary: knows `paths`.

Contract: `parse_path` gives a path's steps, `parse_pattern` those of a path with wildcards; they raise `ValueError` for what is none. The leading dot may be left out; a key that is no plain word stands in quotes, double (as JSON)
or single (nothing is escaped in them). No other filter of jq's is read.
"""

from __future__ import annotations

import re
from json import JSONDecodeError, loads
from shlex import quote
from types import EllipsisType

from pcapflow.paths import Step

_QUOTED = r'"(?P<double>(?:[^"\\]|\\.)*)"|\'(?P<single>[^\']*)\''
_STEP = re.compile(
    rf"(?P<dot>\.?)(?:(?P<name>[A-Za-z_][A-Za-z0-9_-]*|[0-9]+|\.\.\.)|{_QUOTED}|\[(?:(?P<index>[0-9]{{0,9}})|{_QUOTED.replace('double', 'key').replace('single', 'word')})\])"
)
HOW = 'write it like items[].address, items[0] or ."odd key"'


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps; none for `.` and for an empty text."""
    steps: list[Step] = []
    at = 1 if text == "." else 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or (steps and not match["dot"] and text[at] != "["):
            raise ValueError(f"{text} is not a path: {HOW}")
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
        raise ValueError(f"{text} is not a path: the key in quotes is not a JSON string") from None


Pattern = tuple[Step | EllipsisType, ...]
"""Steps of which `...` stands for any number of levels, none too; None for every child, of an array or an object."""
_IN_PATTERN = re.compile(rf"(?P<deep>\.\.)|(?P<any>\.?\*|\.?\[\*\])|{_STEP.pattern}")
_PARTS = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^|"'])+|[|"']""")


def parse_pattern(text: str) -> Pattern:
    """A path of which a step may be `*` or `[]` for every child, `..` for any depth; `?` behind a step and `|` between paths are read as jq does, `$` and `[*]` as JSONPath. For another
    filter of jq's the error says how to give it to jq.
    """
    steps: list[Step | EllipsisType] = []
    path, done = text.strip().removeprefix("$"), ""
    parts = _piped(path)
    for i, part in enumerate(parts):
        found = (
            _steps_of(part.strip()) if (not i and (len(parts) == 1 or part.strip())) or part.strip().startswith((".", "[")) else None
        )  # others are filters
        if found is None:
            if not done and not i:
                raise ValueError(
                    f"{text} is not a path: {HOW}, domains.*.serial, ..id; pass other filters to jq: extract '' ... | jq {quote(text)}"
                )
            rest = " | ".join(one.strip() for one in parts[i:])
            raise ValueError(
                f"{text}: {part.strip()} is not a path; values are printed one per line; pass them to jq: extract {quote(done)} ... | jq {quote(rest)}"
            )
        steps += found
        done += part.strip().removesuffix(".") if i else part.strip()
    return tuple(steps)


def _piped(path: str) -> list[str]:
    """What stands between `|`, in no quotes."""
    parts = [""]
    for piece in _PARTS.findall(path):
        if piece == "|":
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _steps_of(text: str) -> list[Step | EllipsisType] | None:
    """None for what is not a path."""
    steps: list[Step | EllipsisType] = []
    at = 1 if text == "." else 0
    while at < len(text):
        match = _IN_PATTERN.match(text, at)
        if match is None:
            return None
        if match["deep"]:
            steps.append(...)
        elif match["any"]:
            if steps and text[at] == "*" and steps[-1] is not ...:
                return None
            steps.append(None)
        elif steps and not match["dot"] and text[at] != "[" and steps[-1] is not ...:
            return None
        elif match["index"] is not None:
            steps.append(int(match["index"]) if match["index"] else None)
        else:
            steps.append(_key(text, match))
        at = match.end()
        at += text.startswith("?", at)
    return steps
