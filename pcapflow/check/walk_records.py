"""Walks over the records, field by field (see `changes`), what tells a record from the others of its report, and how it is called."""

from __future__ import annotations

from pathlib import PurePath

from pcapflow.check.changes import Out, perhaps, perhaps_each
from pcapflow.check.changes import key_of as quoted
from pcapflow.check.walk_connection import connection, endpoint
from pcapflow.check.walk_contents import payload
from pcapflow.check.walk_json import json_body, json_error, shape, values
from pcapflow.messages import Body, Header, Request, Response
from pcapflow.records import (
    AnyRecord,
    Conflict,
    Connection,
    Drop,
    Gap,
    Http,
    Json,
    LimitValue,
    Plugin,
    Range,
)
from pcapflow.summary import Summary


def limit_value(at: str, a: LimitValue, b: LimitValue, out: Out) -> None:
    """Walks `LimitValue`."""
    out(f"{at}.name", a.name, b.name)
    out(f"{at}.value", a.value, b.value)


def span(at: str, a: Range, b: Range, out: Out) -> None:
    """Walks `Range`."""
    out(f"{at}.start", a.start, b.start)
    out(f"{at}.end", a.end, b.end)


def body(at: str, a: Body, b: Body, out: Out) -> None:
    """Walks `Body`."""
    out(f"{at}.framing", a.framing, b.framing)
    out(f"{at}.bytes", a.bytes, b.bytes)
    if (a.payload is None) == (b.payload is None):  # else one of them did not look
        out(f"{at}.decoded_bytes", a.decoded_bytes, b.decoded_bytes)
    out(f"{at}.missing_bytes", a.missing_bytes, b.missing_bytes)
    out(f"{at}.content_type", a.content_type, b.content_type)
    out(f"{at}.content_encoding", a.content_encoding, b.content_encoding)
    out(f"{at}.status", a.status, b.status)
    out(f"{at}.drop_reason", a.drop_reason, b.drop_reason)
    perhaps(f"{at}.json", a.json, b.json, out, json_body)
    payload(f"{at}.payload", a.payload, b.payload, out)
    out(f"{at}.sha256", a.sha256, b.sha256)
    if a.expected_bytes is not None and b.expected_bytes is not None:  # else from before it was told
        out(f"{at}.expected_bytes", a.expected_bytes, b.expected_bytes)


def header(at: str, a: Header, b: Header, out: Out) -> None:
    """Walks `Header`."""
    out(f"{at}.name", a.name, b.name)
    out(f"{at}.value", a.value, b.value)


def fields(at: str, a: Request | Response, b: Request | Response, out: Out) -> None:
    """Walks the fields of a message."""
    perhaps_each(f"{at}.headers", a.headers, b.headers, out, header)
    perhaps_each(f"{at}.trailers", a.trailers, b.trailers, out, header)


def place(at: str, a: Request | Response, b: Request | Response, out: Out) -> None:
    """Walks the fields of `MessagePlace`."""
    if a.packet is None or b.packet is None:
        return  # from before they were told
    out(f"{at}.packet", a.packet, b.packet)
    out(f"{at}.file", file_name(a.file), file_name(b.file))
    out(f"{at}.frame", a.frame, b.frame)
    out(f"{at}.ts", a.ts, b.ts)
    out(f"{at}.end_ts", a.end_ts, b.end_ts)


def request(at: str, a: Request, b: Request, out: Out) -> None:
    """Walks `Request`."""
    out(f"{at}.method", a.method, b.method)
    out(f"{at}.target", a.target, b.target)
    out(f"{at}.host", a.host, b.host)
    out(f"{at}.version", a.version, b.version)
    if a.operations is not None and b.operations is not None:  # else from before they were told
        out(f"{at}.operations", a.operations, b.operations)
    body(f"{at}.body", a.body, b.body, out)
    fields(at, a, b, out)
    place(at, a, b, out)


def response(at: str, a: Response, b: Response, out: Out) -> None:
    """Walks `Response`."""
    out(f"{at}.status", a.status, b.status)
    out(f"{at}.reason", a.reason, b.reason)
    out(f"{at}.version", a.version, b.version)
    body(f"{at}.body", a.body, b.body, out)
    fields(at, a, b, out)
    place(at, a, b, out)


def http(at: str, a: Http, b: Http, out: Out) -> None:
    """Walks `Http`."""
    out(f"{at}.connection", a.connection, b.connection)
    out(f"{at}.exchange", a.exchange, b.exchange)
    out(f"{at}.ts", a.ts, b.ts)
    out(f"{at}.duration", a.duration, b.duration)
    out(f"{at}.anomalies", a.anomalies, b.anomalies)
    out(f"{at}.resynchronised", a.resynchronised, b.resynchronised)
    perhaps(f"{at}.request", a.request, b.request, out, request)
    perhaps(f"{at}.response", a.response, b.response, out, response)
    if a.client is not None and b.client is not None:  # else from before they were told
        perhaps(f"{at}.client", a.client, b.client, out, endpoint)
        perhaps(f"{at}.server", a.server, b.server, out, endpoint)
        out(f"{at}.community_id", a.community_id, b.community_id)
        out(f"{at}.wait", a.wait, b.wait)
    if a.stalled is not None and b.stalled is not None:
        out(f"{at}.stalled", a.stalled, b.stalled)
    if a.unanswered is not None and b.unanswered is not None:  # else answered, or from before it was told
        out(f"{at}.unanswered", a.unanswered, b.unanswered)


def json(at: str, a: Json, b: Json, out: Out) -> None:
    """Walks `Json`."""
    out(f"{at}.connection", a.connection, b.connection)
    out(f"{at}.stream", a.stream, b.stream)
    out(f"{at}.source", a.source, b.source)
    out(f"{at}.exchange", a.exchange, b.exchange)
    out(f"{at}.ts", a.ts, b.ts)
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


def file_name(path: str | None) -> str | None:
    """A capture without the folder it lies in, which differs between machines."""
    return PurePath(path).name if path is not None else None


def gap(at: str, a: Gap, b: Gap, out: Out) -> None:
    """Walks `Gap`."""
    out(f"{at}.connection", a.connection, b.connection)
    out(f"{at}.stream", a.stream, b.stream)
    out(f"{at}.stream_offset", a.stream_offset, b.stream_offset)
    out(f"{at}.bytes", a.bytes, b.bytes)
    out(f"{at}.cause", a.cause, b.cause)
    out(f"{at}.ts", a.ts, b.ts)
    out(f"{at}.packet", a.packet, b.packet)
    out(f"{at}.last_offset", a.last_offset, b.last_offset)
    out(f"{at}.sequence", a.sequence, b.sequence)
    out(f"{at}.last_sequence", a.last_sequence, b.last_sequence)
    out(f"{at}.held_bytes", a.held_bytes, b.held_bytes)
    perhaps(f"{at}.limit", a.limit, b.limit, out, limit_value)
    out(f"{at}.requested_by", a.requested_by, b.requested_by)
    out(f"{at}.file", file_name(a.file), file_name(b.file))
    out(f"{at}.frame", a.frame, b.frame)


def conflict(at: str, a: Conflict, b: Conflict, out: Out) -> None:
    """Walks `Conflict`."""
    out(f"{at}.connection", a.connection, b.connection)
    out(f"{at}.stream", a.stream, b.stream)
    out(f"{at}.stream_offset", a.stream_offset, b.stream_offset)
    out(f"{at}.bytes", a.bytes, b.bytes)
    span(f"{at}.segment", a.segment, b.segment, out)
    span(f"{at}.original", a.original, b.original, out)
    out(f"{at}.kept", a.kept, b.kept)
    out(f"{at}.ts", a.ts, b.ts)
    out(f"{at}.packet", a.packet, b.packet)
    out(f"{at}.sequence", a.sequence, b.sequence)
    out(f"{at}.file", file_name(a.file), file_name(b.file))
    out(f"{at}.frame", a.frame, b.frame)


def drop(at: str, a: Drop, b: Drop, out: Out) -> None:
    """Walks `Drop`."""
    out(f"{at}.connection", a.connection, b.connection)
    out(f"{at}.stream", a.stream, b.stream)
    out(f"{at}.layer", a.layer, b.layer)
    out(f"{at}.reason", a.reason, b.reason)
    out(f"{at}.ts", a.ts, b.ts)
    out(f"{at}.packet", a.packet, b.packet)
    out(f"{at}.stream_offset", a.stream_offset, b.stream_offset)
    out(f"{at}.bytes", a.bytes, b.bytes)
    perhaps(f"{at}.limit", a.limit, b.limit, out, limit_value)
    out(f"{at}.detail", a.detail, b.detail)
    out(f"{at}.sequence", a.sequence, b.sequence)
    out(f"{at}.requested_by", a.requested_by, b.requested_by)
    out(f"{at}.resumes", a.resumes, b.resumes)
    out(f"{at}.file", file_name(a.file), file_name(b.file))
    out(f"{at}.frame", a.frame, b.frame)


def plugin(at: str, a: Plugin, b: Plugin, out: Out) -> None:
    """Walks `Plugin`; what a plug-in says, name by name."""
    out(f"{at}.record", a.record, b.record)
    out(f"{at}.connection", a.connection, b.connection)
    out(f"{at}.stream", a.stream, b.stream)
    out(f"{at}.exchange", a.exchange, b.exchange)
    out(f"{at}.ts", a.ts, b.ts)
    out(f"{at}.packet", a.packet, b.packet)
    out(f"{at}.stream_offset", a.stream_offset, b.stream_offset)
    for name in dict.fromkeys((*a.fields, *b.fields)):
        out(f"{at}.fields.{quoted(name)}", a.fields.get(name), b.fields.get(name))
    out(f"{at}.file", file_name(a.file), file_name(b.file))
    out(f"{at}.frame", a.frame, b.frame)


Key = tuple[str | int | None, ...]
_LONGEST = 200
"""Characters of a target in a sentence."""


def key_of(record: AnyRecord) -> Key:
    """What a record is about: two reports' records with the same key are one thing at two times."""
    if isinstance(record, Connection):
        return ("connection", record.connection)
    if isinstance(record, Http):
        return ("http", record.connection, record.exchange)
    if isinstance(record, Json):
        return ("json", record.connection, record.stream, record.exchange)
    if isinstance(record, Gap):
        return ("gap", record.connection, record.stream, record.stream_offset)
    if isinstance(record, Conflict):
        return ("conflict", record.connection, record.stream, record.stream_offset, record.packet)
    if isinstance(record, Drop):
        return ("drop", record.connection, record.stream, record.layer, record.reason, record.stream_offset)
    if isinstance(record, Plugin):
        return (record.record, record.connection, record.stream, record.stream_offset)
    return ("summary",)


def packet_of(record: AnyRecord) -> int | None:
    """The packet to look at."""
    if isinstance(record, Gap | Conflict | Drop | Plugin):
        return record.packet
    if isinstance(record, Http):
        first = record.request or record.response
        return first.packet if first is not None else record.connection
    return None if isinstance(record, Summary) else record.connection


def name_of(record: AnyRecord) -> str:
    """A record in few words."""
    if isinstance(record, Connection):
        return f"connection {record.connection}"
    if isinstance(record, Http):
        said = f"{record.request.method} {record.request.target[:_LONGEST]}" if record.request is not None else "response"
        return f"{said} (connection {record.connection}, exchange {record.exchange})"
    if isinstance(record, Json):
        return f"JSON of connection {record.connection}, {record.stream}" + (
            f", exchange {record.exchange}" if record.exchange is not None else ""
        )
    if isinstance(record, Gap):
        return f"{record.bytes:,} bytes missing from byte {record.stream_offset:,} of the {record.stream}'s stream (connection {record.connection})"
    if isinstance(record, Conflict):
        return f"{record.bytes:,} conflicting bytes from byte {record.stream_offset:,} of the {record.stream}'s stream (connection {record.connection})"
    if isinstance(record, Drop):
        return f"{record.reason} at byte {record.stream_offset:,} of the {record.stream}'s stream (connection {record.connection})"
    if isinstance(record, Plugin):
        return f"{record.record} at {record.stream_offset}, connection {record.connection}, {record.stream}"
    return "summary"


def walk(old: AnyRecord, new: AnyRecord, out: Out) -> None:
    """Both have the same key."""
    if isinstance(old, Connection) and isinstance(new, Connection):
        connection("", old, new, out)
    elif isinstance(old, Http) and isinstance(new, Http):
        http("", old, new, out)
    elif isinstance(old, Json) and isinstance(new, Json):
        json("", old, new, out)
    elif isinstance(old, Gap) and isinstance(new, Gap):
        gap("", old, new, out)
    elif isinstance(old, Conflict) and isinstance(new, Conflict):
        conflict("", old, new, out)
    elif isinstance(old, Drop) and isinstance(new, Drop):
        drop("", old, new, out)
    elif isinstance(old, Plugin) and isinstance(new, Plugin):
        plugin("", old, new, out)
