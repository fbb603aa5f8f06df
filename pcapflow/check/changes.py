"""What differs between two values of a report, and the few shapes that walks over its types meet.

Contract: a walk takes a path, an old and a new value of one type, and `Out`, which is called for every leaf with both values; `Out` says
what a difference is. The walks (`walk_records`, `walk_summary`) name every field by hand: no reflection, so what is compared is what is
written there, and a test holds that no field is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, TypeVar

import msgspec

Out = Callable[[str, Any, Any], None]
_Value = TypeVar("_Value")
Walk = Callable[[str, _Value, _Value, Out], None]


_SHOWN = 1 << 10
"""Bytes of a value, as JSON, beyond which a part of it is kept."""
_AROUND, _PART = 40, 400
"""Characters before the first difference of two long texts, and of the whole part that is kept."""


@dataclass(frozen=True, slots=True)
class Change:
    """A field that differs. path: as jq has it; old, new: JSON values, None for null and for what is not there; of a long one the part, as a text, where
    they begin to differ.
    """

    path: str
    old: Any
    new: Any


class Changes:
    """Collects them, `most` at most; the rest are counted."""

    def __init__(self, most: int, hides: Callable[[str], bool] | None = None) -> None:
        """hides: whether what differs at a path is left out; None for nothing."""
        self._hides = hides
        self.found: list[Change] = []
        self.count = 0
        self._most = most

    def __call__(self, path: str, old: Any, new: Any) -> None:
        """A leaf."""
        if old == new or (self._hides is not None and self._hides(path)):
            return
        self.count += 1
        if len(self.found) < self._most:
            self.found.append(Change(path, *_parts(msgspec.to_builtins(old), msgspec.to_builtins(new))))


def _parts(old: Any, new: Any) -> tuple[Any, Any]:
    """Both values, cut where they are long."""
    texts = [value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in (old, new)]
    if max(map(len, texts)) <= _SHOWN:
        return old, new
    at = max(0, len(commonprefix(texts)) - _AROUND)  # noqa: RUF071 - characters are meant
    shown = []
    for value, text in zip((old, new), texts, strict=True):
        part = ("..." if at else "") + text[at : at + _PART] + ("..." if len(text) > at + _PART else "")
        shown.append(f"{part} ({len(text):,} characters)" if len(text) > _SHOWN else value)
    return shown[0], shown[1]


def perhaps(at: str, old: _Value | None, new: _Value | None, out: Out, walk: Walk[_Value]) -> None:
    """A value that may be null."""
    if old is not None and new is not None:
        walk(at, old, new, out)
    else:
        out(at, old, new)


def perhaps_each(at: str, old: list[_Value] | None, new: list[_Value] | None, out: Out, walk: Walk[_Value]) -> None:
    """A list that may be null."""
    perhaps(at, old, new, out, lambda at, a, b, out: each(at, a, b, out, walk))


def each(at: str, old: list[_Value], new: list[_Value], out: Out, walk: Walk[_Value]) -> None:
    """A list, by position."""
    for index, (a, b) in enumerate(zip(old, new, strict=False)):
        walk(f"{at}[{index}]", a, b, out)
    common = min(len(old), len(new))
    for index, value in enumerate(old[common:], common):
        out(f"{at}[{index}]", value, None)
    for index, value in enumerate(new[common:], common):
        out(f"{at}[{index}]", None, value)


def lines(at: str, old: list[str], new: list[str], out: Out) -> None:
    """A list of sentences: those that went, those that came."""
    before, after = set(old), set(new)
    for text in old:
        if text not in after:
            out(f"{at}[]", text, None)
    for text in new:
        if text not in before:
            out(f"{at}[]", None, text)


def _keys(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [*old, *(key for key in new if key not in old)]


def counts(at: str, old: dict[str, int], new: dict[str, int], out: Out) -> None:
    """A map to counts: a key that is not there has none."""
    for key in _keys(old, new):
        out(f"{at}.{key_of(key)}", old.get(key), new.get(key))


def each_key(at: str, old: dict[str, _Value], new: dict[str, _Value], out: Out, walk: Walk[_Value]) -> None:
    """A map to values of one type."""
    for key in _keys(old, new):
        perhaps(f"{at}.{key_of(key)}", old.get(key), new.get(key), out, walk)


def key_of(key: str) -> str:
    """A key as jq has it in a path: quoted, where it is no identifier."""
    return key if key.isidentifier() and key.isascii() else msgspec.json.encode(key).decode()
