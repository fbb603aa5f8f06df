"""YAML's events as tokens of JSON, for whoever wants the values of a document, its shape or its keys.

Contract: `take` takes libyaml's events as they come; `flush` hands what they are in JSON to a `Tap`. Plain scalars are what the core schema says (YAML 1.2.2 section 10.3.2), so `yes` and `on` are strings; other
scalars are strings unless a tag says a type of the core schema. What JSON cannot say: an alias is the string `*name` and is not followed, a key that is a collection is `?` and its content is left out, and `.inf`
and `.nan` are strings. Invariant: what is kept between two flushes is the tokens since, and an entry for each open collection.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from pcapflow.drops import Drop
from pcapflow.payload.path import Event
from pcapflow.payload.tap import Tap

_encode = msgspec.json.Encoder().encode
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE, _FALSE = frozenset(("true", "True", "TRUE")), frozenset(("false", "False", "FALSE"))
_INTEGER = re.compile(r"([-+]?)([0-9]++)")
_OCTAL, _HEXADECIMAL = re.compile(r"0o([0-7]+)"), re.compile(r"0x([0-9a-fA-F]+)")
_FLOAT = re.compile(r"([-+]?)([0-9]*+)(?:\.([0-9]*+))?([eE][-+]?[0-9]++)?")
_TYPES = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float"))
_DIGITS = 4300
"""Of an integer that Python converts."""
_Scalar = tuple[Event, bytes]


def scalar_of(value: str, tag: str | None, *, plain: bool) -> _Scalar:
    """The event and the text of a scalar."""
    if (plain and tag is None) or tag in _TYPES:
        if value in _NULL:
            return ("null", None), b"null"
        if value in _TRUE:
            return ("boolean", True), b"true"
        if value in _FALSE:
            return ("boolean", False), b"false"
        number = _number(value) if len(value) <= _DIGITS else ""
        if number:
            return ("number", 0 if number.lstrip("-").isdigit() else 0.0), number.encode()
    return ("string", value), _encode(value)


def _number(value: str) -> str:
    """As JSON writes it; empty for what is none."""
    found = _INTEGER.fullmatch(value)
    if found is not None:
        return found[1].replace("+", "") + (found[2].lstrip("0") or "0")
    for pattern, base in ((_OCTAL, 8), (_HEXADECIMAL, 16)):
        found = pattern.fullmatch(value)
        if found is not None:
            return str(int(found[1], base)) if len(value) < _DIGITS // 2 else ""
    found = _FLOAT.fullmatch(value)
    if found is None or not (value.strip("-+")[:1].isdigit() or found[3]):
        return ""
    return f"{found[1].replace('+', '')}{found[2].lstrip('0') or '0'}{f'.{found[3]}' if found[3] else ''}{found[4] or ''}"


class Tokens:
    """One stream's."""

    __slots__ = ("_events", "_handlers", "_hidden", "_in_map", "_nodes", "_stack", "_tap", "_text")

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._events: list[Event] = []
        self._text: list[bytes] = []
        self._stack: list[tuple[bool, int]] = []
        """Of the collections around the innermost: whether it is a mapping, and its nodes so far."""
        self._in_map = False
        self._nodes = 0
        self._hidden = 0
        """Collections that are open within a key."""
        self._handlers: dict[str, Callable[[Any], None]] = {
            "DocumentStartEvent": self._document,
            "ScalarEvent": self._scalar,
            "AliasEvent": self._alias,
            "MappingStartEvent": self._mapping,
            "SequenceStartEvent": self._sequence,
            "MappingEndEvent": self._end,
            "SequenceEndEvent": self._end,
        }

    def take(self, event: Any) -> Any:
        """The next event, which is handed back."""
        handler = self._handlers.get(type(event).__name__)
        if handler is not None:
            handler(event)
        return event

    def flush(self) -> Drop | None:
        """Hand on what there is."""
        events, text = self._events, b"".join(self._text)
        self._events, self._text = [], []
        return self._tap.take(text, events) if events else None

    def clear(self) -> None:
        """Nobody wants any more."""
        self._events, self._text = [], []
        self._stack.clear()
        self._handlers.clear()  # which know this: nobody looks for circles

    def _document(self, _event: Any) -> None:
        self.flush()
        self._tap.begin()
        self._stack.clear()
        self._in_map, self._nodes, self._hidden = False, 0, 0

    def _scalar(self, event: Any) -> None:
        if not self._hidden:
            self._leaf(scalar_of(event.value, event.tag, plain=event.implicit[0]), event.value)

    def _alias(self, event: Any) -> None:
        if not self._hidden:
            name = f"*{event.anchor}"
            self._leaf((("string", name), _encode(name)), name)

    def _leaf(self, value: _Scalar, key: str) -> None:
        event, text = value
        if self._is_key():
            event, text = ("map_key", key), _encode(key)
        self._add(event, text)

    def _is_key(self) -> bool:
        return self._in_map and not self._nodes & 1

    def _add(self, event: Event, text: bytes) -> None:
        """A node: what parts it from the one before, and its text."""
        if self._nodes:
            self._text.append(b":" if self._in_map and self._nodes & 1 else b"," if self._stack else b" ")
        self._nodes += 1
        self._events.append(event)
        self._text.append(text)

    def _mapping(self, _event: Any) -> None:
        self._start(mapping=True)

    def _sequence(self, _event: Any) -> None:
        self._start(mapping=False)

    def _start(self, *, mapping: bool) -> None:
        if self._hidden:
            self._hidden += 1
        elif self._is_key():
            self._hidden = 1
            self._add(("map_key", "?"), b'"?"')
        else:
            self._add(("start_map" if mapping else "start_array", None), b"{" if mapping else b"[")
            self._stack.append((self._in_map, self._nodes))
            self._in_map, self._nodes = mapping, 0

    def _end(self, _event: Any) -> None:
        if self._hidden:
            self._hidden -= 1
            return
        self._events.append(("end_map" if self._in_map else "end_array", None))
        self._text.append(b"}" if self._in_map else b"]")
        self._in_map, self._nodes = self._stack.pop()
