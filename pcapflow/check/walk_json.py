"""Walks over what bodies of JSON held.

Contract: see `changes`: each walk goes over the fields of one type, none by reflection.
"""

from __future__ import annotations

from pcapflow.check.changes import Out, each, perhaps
from pcapflow.contents import JsonBody, JsonError, JsonValues


def json_error(at: str, a: JsonError, b: JsonError, out: Out) -> None:
    """Walks `JsonError`. Without a kind it is an earlier version's; words are those of a version, the kind says what they say."""
    if a.kind and b.kind:
        out(f"{at}.kind", a.kind, b.kind)
    out(f"{at}.offset", a.offset, b.offset)
    out(f"{at}.path", a.path, b.path)
    out(f"{at}.location", a.location, b.location)
    out(f"{at}.document", a.document, b.document)


def json_body(at: str, a: JsonBody, b: JsonBody, out: Out) -> None:
    """Walks `JsonBody`."""
    out(f"{at}.documents", a.documents, b.documents)
    out(f"{at}.events", a.events, b.events)
    out(f"{at}.keys", a.keys, b.keys)
    out(f"{at}.max_depth", a.max_depth, b.max_depth)
    out(f"{at}.top_level", a.top_level, b.top_level)
    out(f"{at}.bytes", a.bytes, b.bytes)
    out(f"{at}.status", a.status, b.status)
    out(f"{at}.encoding", a.encoding, b.encoding)
    out(f"{at}.bom", a.bom, b.bom)
    out(f"{at}.prefix", a.prefix, b.prefix)
    out(f"{at}.broken", a.broken, b.broken)
    out(f"{at}.skipped", a.skipped, b.skipped)
    out(f"{at}.duplicate_keys", a.duplicate_keys, b.duplicate_keys)
    perhaps(f"{at}.error", a.error, b.error, out, json_error)
    out(f"{at}.drop_reason", a.drop_reason, b.drop_reason)
    shape(f"{at}.shape", a.shape, b.shape, out)
    values(f"{at}.values", a.values, b.values, out)


def shape(at: str, a: list[str] | None, b: list[str] | None, out: Out) -> None:
    """Walks the shape of JSON: a report that was made without shapes differs in none."""
    if a is not None and b is not None:
        out(at, a, b)


def values(at: str, a: list[JsonValues] | None, b: list[JsonValues] | None, out: Out) -> None:
    """Walks values of JSON, likewise."""
    if a is not None and b is not None:
        each(at, a, b, out, json_values)


def json_values(at: str, a: JsonValues, b: JsonValues, out: Out) -> None:
    """Walks `JsonValues`."""
    out(f"{at}.path", a.path, b.path)
    out(f"{at}.values", a.values, b.values)
