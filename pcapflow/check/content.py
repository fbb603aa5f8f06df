"""What a capture says, without what differs between two recordings of it: the report of content mode.

Contract: `content_of` takes a report's records and makes its `Content`, and `Seen`, where in this capture each outcome is; `written` and `read_content` are its file,
`NAME.content.json`: keys sorted, one outcome a line. An outcome is what one exchange came to, by endpoint (method and path, ids folded): status, version, names of header fields,
media type, coding, how its bodies ended, and the shape of their JSON. Times, ports, addresses, packet numbers, memory, file names and order are in none.

Invariant: what is kept is one outcome of each kind, OUTCOMES and OUTCOME_BYTES at the most; those beyond are told by their status alone, and of no endpoint where these are too many. A body that did not come whole has no shape and no size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from pcapflow.check.ignoring import Rules
from pcapflow.check.shapes import shape_of
from pcapflow.contents import YamlBody
from pcapflow.endpoint_names import endpoint_of, with_operations
from pcapflow.errors import ReportError
from pcapflow.files import is_file
from pcapflow.messages import Body, Header, Request, Response
from pcapflow.records import AnyRecord, Drop, Gap, Http
from pcapflow.summary import Summary

SCHEMA = "pcapflow.baseline/1"
SUFFIX = ".content.json"
OUTCOMES = 5_000
"""Different outcomes of one capture that are told apart."""
OUTCOME_BYTES = 3 << 19
"""The same in bytes, as JSON, with the names of their endpoints; as objects they take ten times as much."""
REST = "..."
"""The endpoint of what is told of no endpoint, since there are too many."""
_BROKEN = 10_000
"""Bodies that did not come whole, and connections that lost something, that are told one by one."""
_GAPS = 10
"""Gaps that are told one by one."""
_BEGIN = b'{"schema":"' + SCHEMA.partition("/")[0].encode()
MOST_BYTES = 2 << 20
"""Of a baseline; as objects it takes up to forty times as much."""
NO_REQUEST = "(no request)"


class Message(msgspec.Struct, frozen=True, omit_defaults=True, order=True):
    """A request or a response."""

    version: str = "1.1"
    headers: tuple[str, ...] = ()
    """Names, small letters, sorted; `name: value` of those whose values are compared."""
    type: str | None = None
    coding: str | None = None
    body: str = "complete"
    json: str | None = None
    """How its JSON ended; None for none, and for JSON that is complete and has a shape."""
    shape: tuple[str, ...] | None = None
    values: tuple[str, ...] = ()
    """Of the paths whose values are compared, `path: value`."""


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True, order=True):
    """What an exchange came to."""

    status: int = 0
    """0: there was no answer."""
    request: Message | None = None
    response: Message | None = None
    anomalies: tuple[str, ...] = ()


class Counted(msgspec.Struct, omit_defaults=True):
    """An outcome, how often it came, and the least and greatest size of its bodies, content codings undone; None where one did not come whole."""

    count: int
    outcome: Outcome
    request_bytes: tuple[int, int] | None = None
    response_bytes: tuple[int, int] | None = None


class Content(msgspec.Struct):
    """A capture's. Maps are sorted by their keys."""

    endpoints: dict[str, list[Counted]]
    spoken: list[str]
    gaps: int = 0
    missing_bytes: int = 0
    drops: dict[str, int] = {}
    unread: dict[str, int] = {}
    """Bytes by reason."""
    budgets: dict[str, float] = {}
    """What is bounded relative to the baseline, by path."""
    connections: bool = False
    """Whether there are any."""


@dataclass(frozen=True)
class Place:
    """Where an outcome is first in this capture."""

    connection: int
    packet: int


@dataclass
class Seen:
    """What only this capture knows. gaps: the first of them; broken: bodies that did not come whole, by connection, with their endpoint."""

    places: dict[tuple[str, Outcome], Place] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    broken: dict[tuple[int, str], str] = field(default_factory=dict)
    holed: set[int] = field(default_factory=set)
    """Connections that lost something."""
    beyond: int = 0
    """Exchanges whose outcome is told by its status alone."""


class _Kinds:
    """The outcomes of one capture, by endpoint: as many as are told apart, and what the others are told by."""

    def __init__(self) -> None:
        self.found: dict[str, dict[Outcome, Counted]] = {}
        self._outcomes = self._bytes = self._statuses = 0

    def of(self, endpoint: str, outcome: Outcome) -> tuple[str, Outcome]:
        """What an outcome is told by: itself, its status alone, or that of no endpoint."""
        for name, kind in ((endpoint, outcome), (endpoint, Outcome(outcome.status)), (REST, Outcome(outcome.status))):
            if kind in self.found.get(name, ()):
                return name, kind
            size = len(msgspec.json.encode(kind)) + (0 if name in self.found else len(name))
            if self._outcomes < OUTCOMES and self._bytes + size <= OUTCOME_BYTES:
                self._outcomes += 1
                self._bytes += size
                break
            if name in self.found and name == endpoint and kind is not outcome and self._statuses < OUTCOMES:
                self._statuses += 1
                break
        self.found.setdefault(name, {})
        return name, kind


def content_of(records: Iterator[AnyRecord], rules: Rules) -> tuple[Content, Seen]:
    """A report's content. rules: what is left out of it, and what more is compared."""
    kinds = _Kinds()
    found, seen = kinds.found, Seen()
    content = Content({}, [])
    for record in records:
        if isinstance(record, Http):
            endpoint = _endpoint(record)
            if rules.hides_endpoint(endpoint):
                continue
            given = endpoint, _outcome(endpoint, record, rules)
            endpoint, outcome = kinds.of(*given)
            seen.beyond += (endpoint, outcome) != given
            _count(found[endpoint], outcome, record, sized=endpoint not in rules.bodies)
            _place(seen, endpoint, outcome, record)
        elif isinstance(record, Gap):
            if len(seen.holed) < _BROKEN:
                seen.holed.add(record.connection)
            seen.gaps += [record] if len(seen.gaps) < _GAPS else []
        elif isinstance(record, Drop):
            seen.drops += [record] if len(seen.drops) < _GAPS else []
        elif isinstance(record, Summary):
            _totals(content, record)
    for endpoint in sorted(found):
        content.endpoints[endpoint] = in_order(endpoint, found[endpoint], rules)
    return content, seen


def in_order(endpoint: str, found: dict[Outcome, Counted], rules: Rules) -> list[Counted]:
    """An endpoint's outcomes, sorted, and counted where the rules do not leave that out."""
    if rules.hides_count(endpoint):
        for one in found.values():
            one.count = 1
    return sorted(found.values(), key=sorting)


def sorting(one: Counted) -> tuple[int, bytes]:
    """The order of an endpoint's outcomes."""
    return one.outcome.status, msgspec.json.encode(one.outcome)


def _endpoint(record: Http) -> str:
    request = record.request
    return with_operations(endpoint_of(request.method, None, request.target), request.operations) if request is not None else NO_REQUEST


def _outcome(endpoint: str, record: Http, rules: Rules) -> Outcome:
    response = record.response
    return Outcome(
        0 if response is None else response.status,
        _message(endpoint, record.request, rules),
        _message(endpoint, response, rules),
        tuple(sorted(record.anomalies)),
    )


def _message(endpoint: str, message: Request | Response | None, rules: Rules) -> Message | None:
    if message is None:
        return None
    body = message.body
    names = {_field(header, rules) for header in message.headers or () if not rules.hides_header(endpoint, header.name)}
    if rules.hides_body(endpoint):
        return Message(message.version, tuple(sorted(names)))
    json = body.payload if isinstance(body.payload, YamlBody) and body.payload.status != "not_read" else body.json
    lines = shape_of(body)
    shape = tuple(rules.shape(lines)) if lines is not None else None
    status = json.status if json is not None and shape is None else None
    kind = (body.content_type or "").partition(";")[0].strip().lower() or None
    wanted = [one for one in (json.values or () if json is not None else ()) if not rules.hides_path(one.path.removeprefix("."))]
    values = [f"{one.path}: {value}" for one in wanted for value in one.values]
    return Message(message.version, tuple(sorted(names)), kind, body.content_encoding, body.status, status, shape, tuple(values))


def _field(header: Header, rules: Rules) -> str:
    name = header.name.lower()
    return f"{name}: {header.value}" if name in rules.header_values else name


def _size(body: Body) -> int | None:
    return (body.decoded_bytes if body.decoded_bytes is not None else body.bytes) if body.status == "complete" else None


def _count(found: dict[Outcome, Counted], outcome: Outcome, record: Http, *, sized: bool) -> None:
    one = found.get(outcome)
    if one is None:
        one = found[outcome] = Counted(0, outcome)
    one.count += 1
    for name, message in (("request_bytes", record.request), ("response_bytes", record.response)):
        size = _size(message.body) if sized and message is not None and message.body.framing != "none" else None
        if size is not None:
            known = getattr(one, name) or (size, size)
            setattr(one, name, (min(known[0], size), max(known[1], size)))


def _place(seen: Seen, endpoint: str, outcome: Outcome, record: Http) -> None:
    packets = [message.packet for message in (record.request, record.response) if message is not None and message.packet is not None]
    seen.places.setdefault((endpoint, outcome), Place(record.connection, packets[0] if packets else record.connection))
    for side, message in (("client", record.request), ("server", record.response)):
        if message is not None and message.body.status != "complete" and len(seen.broken) < _BROKEN:
            seen.broken.setdefault((record.connection, side), endpoint)


def _totals(content: Content, summary: Summary) -> None:
    tcp = summary.tcp
    content.spoken = sorted(name for name in tcp.spoken if name != "empty")
    content.gaps, content.missing_bytes = tcp.gaps, tcp.missing_bytes
    content.drops = {name: drop.count for name, drop in sorted(summary.drops.by_reason.items())}
    content.unread = {name: one.bytes for name, one in sorted(tcp.unread.items())}
    content.connections = tcp.connections > 0


# --- its file


def path_of(capture: str) -> Path:
    """Where a capture's baseline lies."""
    return Path(capture + SUFFIX)


def written(content: Content) -> bytes:
    """The file: an outcome a line."""
    fields = msgspec.to_builtins(content)
    del fields["endpoints"]
    head = msgspec.json.encode({"schema": SCHEMA, "compare": "content", **{name: fields[name] for name in sorted(fields)}})[:-1]
    parts = [head, b',\n"endpoints":{']
    for i, (name, outcomes) in enumerate(content.endpoints.items()):
        parts.append(b"," * (i > 0) + b"\n" + msgspec.json.encode(name) + b":[\n")
        parts.append(b",\n".join(map(msgspec.json.encode, outcomes)) + b"]")
    return b"".join((*parts, b"\n}}\n"))


def is_content(path: str | Path) -> bool:
    """Whether a file begins as a baseline of content mode does, as `written` makes it; False for what is no file."""
    try:
        with Path(path).open("rb") as file:
            return is_file(path) and file.read(len(_BEGIN)) == _BEGIN
    except OSError:
        return False


class _Schema(msgspec.Struct):
    schema: str


def read_content(path: Path) -> Content:
    """A baseline. Raises `ReportError`."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as e:
        raise ReportError(f"{path}: cannot be opened: {e.strerror or e}") from None
    if len(data) > MOST_BYTES:
        raise ReportError(f"{path}: is larger than any baseline, {MOST_BYTES} bytes")
    try:
        schema = msgspec.json.decode(data, type=_Schema).schema
        content = msgspec.json.decode(data, type=Content) if schema == SCHEMA else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise ReportError(f"{path}: is not a content baseline: {e}") from None
    if content is None:
        raise ReportError(f"{path}: is of schema {schema:.60}, not {SCHEMA}")
    return content
