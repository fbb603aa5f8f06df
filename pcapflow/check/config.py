"""A project's settings for `check`: `pcapflow.toml`, or `[tool.pcapflow]` in pyproject.toml.

Contract: `find` looks from a folder upwards; `load` raises `UsageError` with the file and the key for whatever is not what it should be.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pcapflow.check.baseline import MODES
from pcapflow.check.expectations import Expectation
from pcapflow.check.ignoring import Rules
from pcapflow.check.report_paths import refuse_unknown
from pcapflow.errors import UsageError
from pcapflow.files import is_file
from pcapflow.suggestions import did_you_mean
from pcapflow.terminal_text import brief

NAME = "pcapflow.toml"
_PERCENT = re.compile(r"([0-9]{1,6})%")
FAIL_ON = ("gap", "drop", "unread", "truncated", "invalid-json", "anomaly", "unanswered", "5xx")
_TABLES = ("options", "check", "expect")
_CHECK = ("fail-on", "baselines", "compare", "ignore", "header-values", "values", "size-tolerance")


@dataclass(frozen=True)
class Config:
    """What a project says. root: what globs are relative to; options: of the analysis, by their long names; baselines: whether captures must have one."""

    root: Path
    source: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    fail_on: tuple[str, ...] = ()
    baselines: bool = True
    compare: str | None = None
    """`content`, `exact`; None for the mode of the baseline that is there."""
    rules: Rules = field(default_factory=Rules)
    expect: tuple[tuple[str, tuple[Expectation, ...]], ...] = ()

    def expectations(self, capture: str) -> tuple[Expectation, ...]:
        """Those of every glob that a capture's path matches, in the file's order; the same path again takes the place of the one before."""
        found: dict[str, Expectation] = {}
        for glob, expectations in self.expect:
            if matches(glob, capture, self.root):
                found.update({expectation.path: expectation for expectation in expectations})
        return tuple(found.values())


def matches(glob: str, path: str, root: Path) -> bool:
    """As in .gitignore: a glob without `/` is held against the name, another against the path from root; `*` stays in a folder, `**` does not."""
    if "/" not in glob:
        return fnmatchcase(Path(path).name, glob)
    # links are not followed: a capture is called what it is called, wherever its bytes lie
    relative = os.path.relpath(path or os.curdir, root).replace(os.sep, "/")
    return _parts_match(glob.removeprefix("./").removeprefix("/").split("/"), relative.split("/"))


def _parts_match(glob: list[str], parts: list[str]) -> bool:
    reachable = {0}
    for want in glob:
        if want == "**":
            reachable = set(range(min(reachable), len(parts) + 1)) if reachable else set()
        else:
            reachable = {at + 1 for at in reachable if at < len(parts) and fnmatchcase(parts[at], want)}
    return len(parts) in reachable


def here() -> Path:
    """The working folder."""
    try:
        return Path.cwd()
    except OSError as e:
        raise UsageError(f"the working folder: {e.strerror}") from None


def find(folder: Path) -> Path | None:
    """The nearest settings: pcapflow.toml, or a pyproject.toml that has some."""
    for place in (folder, *folder.parents):
        if is_file(place / NAME):
            return place / NAME
        project = place / "pyproject.toml"
        if is_file(project) and _has_settings(project):
            return project
    return None


def _has_settings(project: Path) -> bool:
    """A pyproject.toml that is broken is for its own tools to say."""
    try:
        tool = _parsed(project).get("tool")
    except UsageError:
        return False
    return isinstance(tool, dict) and "pcapflow" in tool


def load(path: Path | None) -> Config:
    """The settings in a file; the defaults for None."""
    if path is None:
        return Config(here())
    tables = _parsed(path)
    if path.name == "pyproject.toml":
        tables = _table(path, "pcapflow", _table(path, "tool", tables))
    _known(path, "", tables, _TABLES)
    check, options, expect = (_table(path, name, tables) for name in ("check", "options", "expect"))
    _known(path, "check", check, _CHECK)
    fail_on = check.get("fail-on", [])
    if not isinstance(fail_on, list) or not all(isinstance(kind, str) and kind in FAIL_ON for kind in fail_on):
        raise UsageError(f"{path}: check.fail-on: {brief(fail_on):.80}: write a list of {', '.join(FAIL_ON)}")
    baselines = check.get("baselines", True)
    if not isinstance(baselines, bool):
        raise UsageError(f"{path}: check.baselines: write true or false")
    compare = check.get("compare")
    if compare is not None and compare not in MODES:
        raise UsageError(f"{path}: check.compare: {brief(compare):.80}: write one of {', '.join(MODES)}")
    expectations = []
    for glob, bounds in expect.items():
        if not isinstance(bounds, dict):
            raise UsageError(f'{path}: expect: write a table for each glob: [expect."*.pcap"]')
        try:
            expectations.append((glob, tuple(Expectation.parse(name, bound) for name, bound in _flat(bounds).items())))
        except UsageError as e:
            raise UsageError(f"{path}: expect.{glob!r}: {e}") from None
    rules = _rules(path, check)
    if compare == "exact":  # else some captures may have baselines of the other mode, where a path leads into bodies
        try:
            refuse_unknown(rules.paths, rules.keys)
        except UsageError as e:
            raise UsageError(f"{path}: check.ignore: {e}") from None
    return Config(path.parent, str(path), options, tuple(fail_on), baselines, compare, rules, tuple(expectations))


def _rules(path: Path, check: dict[str, Any]) -> Rules:
    lists = []
    for name in ("ignore", "header-values", "values"):
        value = check.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise UsageError(f"{path}: check.{name}: write a list of strings")
        lists.append(value)
    tolerance = check.get("size-tolerance", "50%")
    match = _PERCENT.fullmatch(tolerance) if isinstance(tolerance, str) else None
    if match is None:
        raise UsageError(f"{path}: check.size-tolerance: write it as 50%")
    try:
        return Rules.parse(lists[0], lists[1], lists[2], int(match[1]) / 100)
    except UsageError as e:
        raise UsageError(f"{path}: check.{e}") from None


def _flat(bounds: dict[str, Any]) -> dict[str, Any]:
    """`drops.streams = 0` without quotes is a table in a table: the same path."""
    found: dict[str, Any] = {}
    waiting = list(reversed(bounds.items()))
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict) and not value.keys() & {"min", "max", "equals", "one_of"} and value:
            waiting += [(f"{name}.{inner}", of_it) for inner, of_it in reversed(value.items())]
        else:
            found[name] = value
    return found


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise UsageError(f"{path}: cannot be opened: {e.strerror}") from None
    except (ValueError, RecursionError) as e:  # TOML that is none, or nested without end, or with a number without end
        raise UsageError(f"{path}: {e}") from None


def _table(path: Path, name: str, tables: dict[str, Any]) -> dict[str, Any]:
    found = tables.get(name, {})
    if not isinstance(found, dict):
        raise UsageError(f"{path}: {name}: is not a table")
    return found


def _known(path: Path, table: str, found: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in found:
        if name not in names:
            where = f"{table}.{name}" if table else name
            raise UsageError(
                f"{path}: {where}: there is no such setting" + (did_you_mean(name, names) or f"; write one of {', '.join(names)}")
            )
