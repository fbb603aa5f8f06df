"""Which reader a body of JSON gets, by the form it says or seems to have."""

from __future__ import annotations

import re

from pcapflow.budget import Account
from pcapflow.limits import Limits
from pcapflow.payload.event_stream import EventStream
from pcapflow.payload.json_encoding import Encoded
from pcapflow.payload.json_envelopes import Enveloped
from pcapflow.payload.json_raw_text import Raw
from pcapflow.payload.json_texts import NEW_LINE, RECORD_SEPARATOR, Separated, Text, Whole
from pcapflow.payload.tap import Tap

JSON_FORMS = frozenset(("json", "ndjson", "json-seq", "sse", "envelopes", "raw"))
"""What `open_text` reads."""
_TYPE = re.compile(r"(?:^|,)[ \t]*([a-z0-9!#$&^_.+-]+)/([a-z0-9!#$&^_.+-]+)[ \t]*(?=[;,]|\Z)")
"""A media type in a field that may have several (RFC 9110 section 8.3.1), parameters left aside."""
_ONE_TEXT = frozenset(("json", "json-rpc", "jsonrequest", "csp-report", "amz-json-1.0", "amz-json-1.1"))
_LINES = frozenset(("ndjson", "nd-json", "jsonl", "jsonlines", "json-lines", "json-stream", "ldjson", "ld-json"))


_ENVELOPES = frozenset(("grpc+json", "grpc-web+json", "connect+json"))
"""Messages of JSON, each behind five bytes of its own."""
_TEXT_ENVELOPES = "grpc-web-text+json"
"""The same in base64, which is not read."""


def form_of(content_type: str) -> str:
    """How JSON comes under a content type in small letters: `json` (RFC 8259), `ndjson`, `json-seq` (RFC 7464), `sse`; empty for no JSON. By rule: a subtype, or what is behind its
    last `+` (RFC 6839), with `x-` or without.
    """
    for match in _TYPE.finditer(content_type):
        if match[1] == "text" and match[2] == "event-stream":
            return "sse"
        if match[2] in _ENVELOPES:
            return "envelopes"
        for name in () if match[2] == _TEXT_ENVELOPES else (match[2], match[2].rpartition("+")[2]):
            bare = name.removeprefix("x-")
            if bare in _ONE_TEXT:
                return "json"
            if bare in _LINES:
                return "ndjson"
            if bare == "json-seq":
                return "json-seq"
    return ""


def open_text(form: str, limits: Limits, account: Account, tap: Tap | None = None) -> Text:
    """What reads a body of that form: `json`, `ndjson`, `json-seq`, `sse`, `envelopes` or `raw`."""
    if form == "ndjson":
        return Encoded(Separated(NEW_LINE, limits, account, tap))
    if form == "json-seq":
        return Encoded(Separated(RECORD_SEPARATOR, limits, account, tap))
    if form == "sse":
        return EventStream(limits, account, tap)
    if form == "envelopes":
        return Enveloped(limits, account, tap)
    if form == "raw":
        return Raw(limits, account, tap)
    return Encoded(Whole(limits, account, tap))


def seems_json(data: bytes) -> bool | None:
    """Whether a body that does not say what it is begins as JSON does; None where more of it is needed."""
    data = data.lstrip(b" \t\r\n")
    if len(data) < 2:
        return None
    if data[:1] == b"{":
        rest = data[1:].lstrip(b" \t\r\n")
        return rest[:1] in (b'"', b"}") if rest else None
    if data[:1] == b"[":
        rest = data[1:].lstrip(b" \t\r\n")
        return rest[:1] in (b"[", b"{", b'"', b"]", b"-", b"t", b"f", b"n") or rest[:1].isdigit() if rest else None
    return False
