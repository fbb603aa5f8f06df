"""Which reader a body of JSON gets, by the form it says or seems to have."""

from __future__ import annotations

import re

from pcapflow.budget import Account
from pcapflow.limits import Limits
from pcapflow.payload.event_stream import EventStream
from pcapflow.payload.json_raw_text import Raw
from pcapflow.payload.json_texts import NEW_LINE, RECORD_SEPARATOR, Separated, Text, Whole
from pcapflow.payload.tap import Tap

_FORMS = (
    (re.compile(r"[a-z0-9.+-]+/(?:[a-z0-9!#$&^_.+-]+\+)?json\Z|application/(?:x-amz-json-1\.[0-9]|csp-report)\Z"), "json"),
    (re.compile(r"(?:application|text)/(?:x-)?(?:ndjson|jsonl|jsonlines|json-lines|json-stream)\Z"), "ndjson"),
    (re.compile(r"application/(?:[a-z0-9!#$&^_.+-]+\+)?json-seq\Z"), "json-seq"),
    (re.compile(r"text/event-stream\Z"), "sse"),
)


def form_of(media_type: str) -> str:
    """How JSON comes under a media type: `json` (RFC 8259, RFC 6839), `ndjson`, `json-seq` (RFC 7464), `sse`; empty for no JSON."""
    return next((form for pattern, form in _FORMS if pattern.match(media_type)), "")


def open_text(form: str, limits: Limits, account: Account, tap: Tap | None = None) -> Text:
    """What reads a body of that form: `json`, `ndjson`, `json-seq`, `sse` or `raw`."""
    if form == "ndjson":
        return Separated(NEW_LINE, limits, account, tap)
    if form == "json-seq":
        return Separated(RECORD_SEPARATOR, limits, account, tap)
    if form == "sse":
        return EventStream(limits, account, tap)
    if form == "raw":
        return Raw(limits, account, tap)
    return Whole(limits, account, tap)


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
