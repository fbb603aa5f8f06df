"""Walks over what bodies held that is not JSON.

Contract: see `changes`: each walk goes over the fields of one type, none by reflection. A body that only one of the reports looked into differs in nothing: the other is an earlier version's, or of an
installation that does not read it.
"""

from __future__ import annotations

from pcapflow.check.changes import Out, each, perhaps
from pcapflow.check.walk_json import json_body, shape, values
from pcapflow.contents import FormBody, FormField, MultipartBody, MultipartError, Other, Part, YamlBody, YamlError
from pcapflow.summary import PayloadSummary


def yaml_error(at: str, a: YamlError, b: YamlError, out: Out) -> None:
    """Walks `YamlError`."""
    out(f"{at}.message", a.message, b.message)
    out(f"{at}.line", a.line, b.line)
    out(f"{at}.column", a.column, b.column)
    out(f"{at}.path", a.path, b.path)
    out(f"{at}.location", a.location, b.location)
    out(f"{at}.document", a.document, b.document)


def yaml_body(at: str, a: YamlBody, b: YamlBody, out: Out) -> None:
    """Walks `YamlBody`."""
    if "not_read" in (a.status, b.status):
        return
    out(f"{at}.documents", a.documents, b.documents)
    out(f"{at}.events", a.events, b.events)
    out(f"{at}.keys", a.keys, b.keys)
    out(f"{at}.aliases", a.aliases, b.aliases)
    out(f"{at}.max_depth", a.max_depth, b.max_depth)
    out(f"{at}.top_level", a.top_level, b.top_level)
    out(f"{at}.bytes", a.bytes, b.bytes)
    out(f"{at}.status", a.status, b.status)
    out(f"{at}.encoding", a.encoding, b.encoding)
    out(f"{at}.broken", a.broken, b.broken)
    out(f"{at}.duplicate_keys", a.duplicate_keys, b.duplicate_keys)
    perhaps(f"{at}.error", a.error, b.error, out, yaml_error)
    out(f"{at}.drop_reason", a.drop_reason, b.drop_reason)
    shape(f"{at}.shape", a.shape, b.shape, out)
    values(f"{at}.values", a.values, b.values, out)


def form_field(at: str, a: FormField, b: FormField, out: Out) -> None:
    """Walks `FormField`."""
    out(f"{at}.name", a.name, b.name)
    out(f"{at}.bytes", a.bytes, b.bytes)
    perhaps(f"{at}.json", a.json, b.json, out, json_body)


def form_body(at: str, a: FormBody, b: FormBody, out: Out) -> None:
    """Walks `FormBody`."""
    out(f"{at}.fields", a.fields, b.fields)
    out(f"{at}.bytes", a.bytes, b.bytes)
    out(f"{at}.status", a.status, b.status)
    each(f"{at}.listed", a.listed, b.listed, out, form_field)
    out(f"{at}.drop_reason", a.drop_reason, b.drop_reason)


def part(at: str, a: Part, b: Part, out: Out) -> None:
    """Walks `Part`."""
    out(f"{at}.number", a.number, b.number)
    out(f"{at}.name", a.name, b.name)
    out(f"{at}.filename", a.filename, b.filename)
    out(f"{at}.content_type", a.content_type, b.content_type)
    out(f"{at}.bytes", a.bytes, b.bytes)
    out(f"{at}.status", a.status, b.status)
    perhaps(f"{at}.json", a.json, b.json, out, json_body)
    payload(f"{at}.payload", a.payload, b.payload, out)


def multipart_error(at: str, a: MultipartError, b: MultipartError, out: Out) -> None:
    """Walks `MultipartError`."""
    out(f"{at}.message", a.message, b.message)
    out(f"{at}.part", a.part, b.part)


def multipart_body(at: str, a: MultipartBody, b: MultipartBody, out: Out) -> None:
    """Walks `MultipartBody`."""
    out(f"{at}.parts", a.parts, b.parts)
    out(f"{at}.files", a.files, b.files)
    out(f"{at}.bytes", a.bytes, b.bytes)
    out(f"{at}.status", a.status, b.status)
    each(f"{at}.listed", a.listed, b.listed, out, part)
    perhaps(f"{at}.error", a.error, b.error, out, multipart_error)
    out(f"{at}.drop_reason", a.drop_reason, b.drop_reason)


def payload(at: str, a: Other | None, b: Other | None, out: Out) -> None:
    """Walks any of them."""
    if a is None or b is None:
        return
    if isinstance(a, YamlBody) and isinstance(b, YamlBody):
        yaml_body(at, a, b, out)
    elif isinstance(a, FormBody) and isinstance(b, FormBody):
        form_body(at, a, b, out)
    elif isinstance(a, MultipartBody) and isinstance(b, MultipartBody):
        multipart_body(at, a, b, out)
    else:
        out(at, a, b)


def payload_summary(at: str, a: PayloadSummary, b: PayloadSummary, out: Out) -> None:
    """Walks `PayloadSummary`."""
    out(f"{at}.bodies", a.bodies, b.bodies)
    out(f"{at}.pieces", a.pieces, b.pieces)
    out(f"{at}.bytes", a.bytes, b.bytes)
    out(f"{at}.complete", a.complete, b.complete)
    out(f"{at}.invalid", a.invalid, b.invalid)
    out(f"{at}.partial", a.partial, b.partial)
    out(f"{at}.truncated", a.truncated, b.truncated)
    out(f"{at}.gapped", a.gapped, b.gapped)
    out(f"{at}.dropped", a.dropped, b.dropped)
    out(f"{at}.not_read", a.not_read, b.not_read)
