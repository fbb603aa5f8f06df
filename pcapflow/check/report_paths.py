"""Paths into a report, held against its JSON Schema.

Contract: `steps_of` parses a path as jq has it, `kinds_of` says what single value it leads to, `refuse_unknown` whether what a rule of exact mode leaves out is in any report. Each raises `UsageError` for what a report
does not have, with the nearest name. A key of a map that the traffic names may be any.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pcapflow.check.schema_1 import NOW
from pcapflow.errors import UsageError
from pcapflow.path_syntax import parse_path
from pcapflow.paths import Step
from pcapflow.report.schema import schema
from pcapflow.suggestions import did_you_mean

Kind = dict[str, Any]
"""A field's JSON Schema."""


def steps_of(path: str) -> tuple[Step, ...]:
    """The steps of a path as jq has it."""
    try:
        steps = parse_path(path)
    except ValueError:
        raise UsageError(f"{path}: is not a path: write it as jq would, drops.streams or captures[0].packets") from None
    if not steps:
        raise UsageError("an empty path")
    return steps


def kinds_of(path: str, steps: tuple[Step, ...]) -> list[Kind]:
    """What a path leads to, as JSON Schema; `UsageError` where it leads nowhere."""
    whole = schema()
    if steps[0] == "records" and steps[1:2] != (None,):
        raise UsageError(f"{path}: write records[], for every record that has the field")
    kinds = _led_to(path, steps, [whole], whole["$defs"])
    kinds = alternatives(kinds, whole["$defs"])
    if any("properties" in kind or "items" in kind or "additionalProperties" in kind for kind in kinds):
        raise UsageError(f"{path}: is not a single value; go on to one of its fields")
    return kinds


def alternatives(kinds: list[Kind], definitions: dict[str, Kind]) -> list[Kind]:
    """References and alternatives followed."""
    found: list[Kind] = []
    for kind in kinds:
        if "$ref" in kind:
            found += alternatives([definitions[kind["$ref"].rpartition("/")[2]]], definitions)
        elif "anyOf" in kind:
            found += alternatives(kind["anyOf"], definitions)
        else:
            found.append(kind)
    return found


def _led_to(path: str, steps: tuple[Step, ...], kinds: list[Kind], definitions: dict[str, Kind]) -> list[Kind]:
    """What the steps lead to from there; `UsageError` where they lead nowhere."""
    for step in steps:
        reached: list[Kind] = []
        names: set[str] = set()
        for kind in alternatives(kinds, definitions):
            if isinstance(step, str) and "properties" in kind:
                names.update(kind["properties"])
                if step in kind["properties"]:
                    reached.append(kind["properties"][step])
            elif isinstance(step, str) and "additionalProperties" in kind:
                closed = kind.get("propertyNames", {}).get("enum")
                names.update(closed or ())
                if closed is None or step in closed:
                    reached.append(kind["additionalProperties"])
            elif not isinstance(step, str) and "items" in kind:
                reached.append(kind["items"])
        if not reached:
            now = NOW.get(path.removeprefix("."))
            called = f"; it is called {now} now" if now is not None else did_you_mean(str(step), sorted(names))
            raise UsageError(f"{path}: a report has no such field{called}")
        kinds = reached
    return kinds


def refuse_unknown(paths: Iterable[str], keys: Iterable[str]) -> None:
    """Paths into the summary or a record, and keys at any depth, that no report has."""
    whole = schema()
    definitions = whole["$defs"]
    roots = [whole, *alternatives([whole["properties"]["records"]["items"]], definitions)]
    for path in paths:
        if "*" in path:
            continue
        told: list[UsageError] = []
        for root in roots:
            try:
                _led_to(path, steps_of(path), [root], definitions)
                break
            except UsageError as e:
                told.append(e)
        else:
            raise next((e for e in told if "did you mean" in str(e)), told[0])
    names = {name for kind in [whole, *definitions.values()] for name in kind.get("properties", ())}
    for key in keys:
        if key not in names:
            raise UsageError(f"..{key}: a report has no such field{did_you_mean(key, sorted(names))}")
