"""Reports of `pcapflow.report/1`, as this version calls their fields.

Contract: `upgraded` takes a record of either schema as JSON has it, and returns it with today's names; `NOW` has those of the summary, by path. Names changed, and paths of errors; other values stay as they were.
"""

from __future__ import annotations

import re
from typing import Any

from pcapflow.summary import SCHEMA

OLD = "pcapflow.report/1"
NOW = {
    "decode.left_out": "decode.filtered_out",
    "tcp.streams_reading_differently": "tcp.ambiguous_streams",
    "tcp.one_sided_connections": "tcp.one_directional_connections",
    "tcp.unanswered_connections": "tcp.half_open_connections",
    "tcp.examples.one_sided": "tcp.examples.one_directional",
    "limits.max_unanswered": "limits.max_half_open",
}
"""Of the summary: paths then and now. Both lie in the same object."""
_STREAM = {"reads_differently": "ambiguous_under"}
_POSITION = re.compile(r'\[([0-9]+)\]|\["(?:[^"\\]|\\.)*"\]')
_JSON = {"passed_over": "skipped", "http_index": "exchange"}


def upgraded(record: Any) -> Any:
    """A record with today's names; what is none comes back as it is."""
    if not isinstance(record, dict):
        return record
    kind = record.get("record")
    if kind == "connection":
        streams = record.get("streams")
        if isinstance(streams, dict):
            streams = {side: _renamed(stream, _STREAM) for side, stream in streams.items()}
            return {**record, "streams": streams}
    elif kind == "http":
        record = _renamed(record, {"index": "exchange"})
        return {**record, **{side: _message(record[side]) for side in ("request", "response") if side in record}}
    elif kind == "json":
        return _json(record)
    elif kind == "summary" and record.get("schema") == OLD:
        return _summary({**record, "schema": SCHEMA})
    return record


def _message(message: Any) -> Any:
    body = message.get("body") if isinstance(message, dict) else None
    if not isinstance(body, dict) or not isinstance(body.get("json"), dict):
        return message
    return {**message, "body": {**body, "json": _json(body["json"])}}


def _json(value: dict[str, Any]) -> dict[str, Any]:
    """What a body or stream of JSON was. The path of an error was a prefix as ijson has it; its location tells the path of today."""
    error = value.get("error")
    if "passed_over" in value and isinstance(error, dict) and isinstance(error.get("location"), str):
        value = {**value, "error": {**error, "path": _POSITION.sub(lambda m: "[]" if m[1] else m[0], error["location"])}}
    return {_JSON.get(key, key): inner for key, inner in value.items()}


def _summary(summary: dict[str, Any]) -> dict[str, Any]:
    for then, now in NOW.items():
        *inside, old = then.split(".")
        new = now.rpartition(".")[2]
        summary = _within(summary, inside, old, new)
    return summary


def _within(value: Any, inside: list[str], old: str, new: str) -> Any:
    if not isinstance(value, dict):
        return value
    if not inside:
        return _renamed(value, {old: new})
    return {key: _within(inner, inside[1:], old, new) if key == inside[0] else inner for key, inner in value.items()}


def _renamed(value: Any, names: dict[str, str]) -> Any:
    return {names.get(key, key): inner for key, inner in value.items()} if isinstance(value, dict) else value
