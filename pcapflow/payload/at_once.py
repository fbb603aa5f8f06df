"""ijson, and texts that are parsed in one go.

Contract: `tools` gives ijson's push parser; `events_at_once` a whole text's events, `parse_at_once` its counts, or None where it is not valid. None raises
for what the text is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from json import JSONDecodeError, JSONDecoder
from typing import Any

from pcapflow.contents import JsonBody
from pcapflow.json_backend import ijson_backend
from pcapflow.limits import Limits
from pcapflow.payload.path import CLOSING, OPENING, Event

SMALL = 512
"""A whole body of at most so many bytes cannot pass a limit and is parsed in one go."""
_TOP_LEVEL = {"start_map": "object", "start_array": "array"}
"""What a document is by its first event; the others say it themselves."""


@cache
def backend() -> str:
    """Name of the ijson backend that runs: the fastest that is installed, whatever IJSON_BACKEND says."""
    return str(ijson_backend().backend_name)


@cache
def tools() -> tuple[Callable[..., Any], type[list[Any]]]:
    """ijson's push parser and the list it fills; imported when the first body of JSON comes."""
    parser = ijson_backend().basic_parse_coro
    from ijson.utils import sendable_list

    return parser, sendable_list


def events_at_once(data: bytes) -> list[Event] | None:
    """ijson's events of a whole text that passes no limit; None where it is not valid, and `JsonParser` tells why."""
    make, event_list = tools()
    events: list[Event] = event_list()
    try:
        coroutine = make(events, multiple_values=True)
        # a line feed ends a number and breaks a string: without it yajl would take an unclosed one behind a document
        coroutine.send(data + b"\n")
        coroutine.close()
    except Exception:
        return None
    return events


_first = JSONDecoder().raw_decode
_ODD = re.compile(rb"[0-9]{1000}|[eE][-+]?[0-9]{16}")
"""Numbers that Python may refuse, which is a drop."""
_BLANKS = bytes.maketrans(b"\x0b\x0c", b"  ")
"""White space that yajl takes."""


def has_no_document(data: bytes, limits: Limits) -> bool:
    """Whether a text that begins as JSON does breaks before its first document ends, as far as that is told without ijson, which takes ten times as long; False where nobody knows, or where a limit may be passed first."""
    if len(data) > limits.json_scalar_max_bytes or data.count(b"[") + data.count(b"{") > limits.json_max_depth or _ODD.search(data):
        return False
    try:
        _first(data.translate(_BLANKS).decode("utf-8", "replace").lstrip(" \t\r\n"))
    except JSONDecodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


class CountsAlone:
    """What reads a small text that is whole, and was read. A `Text`."""

    __slots__ = ("_found",)

    drop = None

    def __init__(self, found: JsonBody) -> None:
        self._found = found

    def feed(self, data: bytes) -> None:
        """See `Text`; nothing comes."""

    def gap(self) -> bool:
        """See `Text`."""
        return False

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody:
        """See `Text`."""
        return self._found


def counts_alone(data: bytes, limits: Limits) -> CountsAlone | None:
    """What a small text holds, but not where it broke: that takes ten times as long; None where a limit may be passed, or more is to be undone first."""
    if len(data) > SMALL or min(limits.json_max_depth, limits.json_scalar_max_bytes) < SMALL or b"\0" in data or data[:1] not in b"{[":
        return None
    from ijson.common import JSONError

    make, event_list = tools()
    events: list[Event] = event_list()
    status = "complete"
    try:
        coroutine = make(events, multiple_values=True)
        coroutine.send(data + b"\n")  # see `events_at_once`
        coroutine.close()
    except (JSONError, UnicodeError):
        status = "invalid"
    except Exception:
        return None
    found = counted(events, len(data))
    found.status = status
    return CountsAlone(found)


def parse_at_once(data: bytes) -> JsonBody | None:
    """What such a text holds."""
    events = events_at_once(data)
    return counted(events, len(data)) if events is not None else None


def counted(events: list[Event], size: int) -> JsonBody:
    """What the events of a whole text of so many bytes are."""
    _, highest, documents, keys, top_level = count(events, 0, 0, None)
    return JsonBody(documents, len(events), keys, highest, top_level, size, "complete")


def count(events: list[Event], level: int, highest: int, top_level: str | None) -> tuple[int, int, int, int, str | None]:
    """Walks the events of a part of a text, which begins at that level, in a text that had come so deep and whose documents so far are that. What the
    three are behind it, and how many documents ended and keys came in it: level, highest, documents, keys, top_level.
    """
    documents = keys = 0
    for name, _ in events:
        if level == 0:
            top_level = top_level_with(top_level, name)
        if name == "map_key":
            keys += 1
        elif name in OPENING:
            level += 1
            if level > highest:
                highest = level
        elif name in CLOSING:
            level -= 1
            if level == 0:
                documents += 1
        elif level == 0:
            documents += 1
    return level, highest, documents, keys, top_level


def top_level_with(top_level: str | None, first: str) -> str:
    """What documents are with one more. first: its first event, or what it is."""
    kind = _TOP_LEVEL.get(first, first)
    return kind if top_level in (None, kind) else "mixed"
