"""`pcapflow extract`: the JSON values at a prefix, in the order of the packets that completed them.

Contract: `Extractor` is a `Collector` that gives values instead of records. What was given up, and bodies that did not end well, go to
a second writer. Invariant: values of a request that wait for the status of its answer are reserved in the `output` account.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import msgspec

from pcapflow import records
from pcapflow.body_options import Looking
from pcapflow.budget import Ledger
from pcapflow.drops import Drop, DropReason
from pcapflow.entries import Entry
from pcapflow.errors import UsageError
from pcapflow.limits import Limits
from pcapflow.payload.body import BodyReader, read_whole
from pcapflow.payload.extract import Values
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http1_head import Head, RequestHead, ResponseHead
from pcapflow.records import JsonBody, seconds
from pcapflow.report.collector import Collector
from pcapflow.summary import DropCount

WriteLines = Callable[[list[bytes]], object]
_VALUE = "value"
_RANK_VALUE, _RANK_JSON = 2, 6
"""Of what one packet completes; the server's comes after the client's."""
_WAITING_BYTES = 200
"""Beside its text, of a value that waits."""
_STATUS = re.compile(r"[1-9](?:[0-9]{2}|[0-9]?x{1,2})")
_URL_MOST = 1024
"""Bytes, as JSON, of an URL that is repeated with each value."""
_KEYS = ("method", "host", "status", "path", "source")


@dataclass(frozen=True)
class Where:
    """Which bodies are looked into: all conditions must hold."""

    method: str | None = None
    host: str | None = None
    status: str | None = None
    path: str | None = None
    source: str | None = None

    @classmethod
    def parse(cls, text: str) -> Where:
        """`method=POST,host=api.example,status=2xx,path=/v1/*`; raises `UsageError`."""
        found: dict[str, str] = {}
        for part in filter(None, text.split(",")):
            key, equals, value = part.partition("=")
            if key not in _KEYS or not equals or not value:
                raise UsageError(f"--where: {part!r} is none of {', '.join(f'{k}=' for k in _KEYS)}")
            found[key] = value
        if "status" in found and not _STATUS.fullmatch(found["status"]):
            raise UsageError(f"--where: status={found['status']}: write 404, 40x or 4xx")
        if "source" in found and found["source"] not in ("request", "response", "raw"):
            raise UsageError(f"--where: source={found['source']}: write request, response or raw")
        return cls(**found)

    def takes(self, origin: BodyOrigin) -> bool:
        """Whether a body is one of those, as far as its request tells."""
        if self.source is not None and origin.source.removeprefix("http-") != self.source:
            return False
        request = origin.request
        if request is None:
            return self.method is None and self.host is None and self.path is None and (self.status is None or origin.source != "raw")
        return (
            (self.method is None or request.method == self.method.upper())
            and (self.host is None or self._is_host(request.host or ""))
            and (self.path is None or fnmatchcase(path_of(request), self.path))
        )

    def _is_host(self, host: str) -> bool:
        assert self.host is not None
        wanted, host = self.host.lower(), host.lower()
        return host == wanted or (":" not in wanted and host.partition(":")[0] == wanted)

    def status_is(self, status: str) -> bool:
        """Whether a status is the one that is asked for."""
        return self.status is None or all(want in ("x", have) for want, have in zip(self.status, status, strict=False))


def path_of(request: RequestHead) -> str:
    """A request target's path, without authority, query and fragment."""
    target = request.target
    if "://" in target:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    return target.partition("?")[0].partition("#")[0]


class Extractor(Collector):
    """One run's values."""

    def __init__(
        self,
        prefix: str,
        where: Where,
        limits: Limits,
        ledger: Ledger,
        write: WriteLines,
        others: WriteLines,
        looking: Looking,
        *,
        with_source: bool,
    ) -> None:
        """write takes values, one JSON text each; others takes records of what was given up, or did not end well."""
        super().__init__(limits, ledger, self._part, looking)
        self.by_packet = True
        self.by_exchange = True
        self._prefix = prefix
        self._where = where
        self._values_to = write
        self._others_to = others
        self._with_source = with_source
        self._waiting: dict[object, list[bytes]] = {}
        self.given = 0
        """Values that were written."""

    def _part(self, some: list[Entry]) -> None:
        """Values to their writer, the rest to theirs."""
        values = [entry.line for entry in some if entry.kind == _VALUE]
        others = [entry.line for entry in some if entry.kind != _VALUE]
        self.given += len(values)
        if values:
            self._values_to(values)
        if others:
            self._others_to(others)

    # --- bodies

    def _tap(self, origin: BodyOrigin) -> Values | None:
        if not self._where.takes(origin):
            return None
        waits = self._where.status is not None and origin.source == "http-request"
        if (
            not waits
            and self._where.status is not None
            and (origin.response is None or not self._where.status_is(origin.response.status_text))
        ):
            return None
        source = _source(origin) if self._with_source else b""

        def emit(line: bytes) -> None:
            if waits:
                self._wait(origin, line)
            else:
                self._add(origin.packet, origin.connection, origin.stream, line)

        return Values(
            self._prefix,
            self.limits,
            self.ledger.json,
            emit,
            lambda drop: self._given_up(origin, drop, 0),
            (source, b"}" if source else b""),
        )

    def open_body(self, head: Head, origin: BodyOrigin) -> BodyReader:
        """See `Host`."""
        tap = self._tap(origin)
        if tap is None:
            return BodyReader((), "", self.limits, self.ledger)
        return BodyReader(head.codings, head.form, self.limits, self.ledger, self.looking, tap)

    def open_raw(self, form: str, origin: BodyOrigin) -> BodyReader:
        """See `Host`."""
        tap = self._tap(origin)
        return BodyReader((), form if tap is not None else "", self.limits, self.ledger, tap=tap)

    def whole_body(self, data: bytes, head: Head, origin: BodyOrigin) -> BodyReader | JsonBody:
        """See `Host`; with `by_packet` nobody calls it for a body that has bytes."""
        return read_whole(data, head.codings, head.form, self.limits, self.ledger)

    # --- values that wait for the answer's status

    def _wait(self, origin: BodyOrigin, line: bytes) -> None:
        if not self.ledger.output.reserve(len(line) + _WAITING_BYTES):
            drop = Drop(DropReason.JSON_MEMORY, *self.ledger.output.refusal(), "a value that waits for its answer's status")
            self._given_up(origin, drop, len(line))
            return
        self._waiting.setdefault(origin.exchange, []).append(line)

    def _given_up(self, origin: BodyOrigin, drop: Drop, held: int) -> None:
        """A value was, of which so many bytes were held."""
        count = self.drops.by_reason.setdefault(drop.reason, DropCount())
        count.count += 1
        count.bytes += held
        limit = records.LimitValue(drop.limit_name, drop.limit_value) if drop.limit_name else None
        record = records.Drop(
            origin.connection, origin.stream, "json", drop.reason.value, seconds(self.places.ts(origin.packet, origin.ts)), origin.packet, 0, held, limit, drop.detail, None, None,
            True, *self.places.of(origin.packet),
        )  # fmt: skip
        self._record(origin.packet, origin.connection, record, _RANK_VALUE + (origin.stream == "server"))

    def exchange_over(self, connection: int, exchange: object, response: Head | None, packet: int) -> None:
        """See `Host`."""
        lines = self._waiting.pop(exchange, None)
        if lines is None:
            return
        taken = isinstance(response, ResponseHead) and self._where.status_is(response.status_text)
        for line in lines:
            self.ledger.output.release(len(line) + _WAITING_BYTES)
            if taken:
                self._add(packet, connection, "client", line)

    # --- records

    def _add(self, packet: int, connection: int, stream: str, line: bytes) -> None:
        assert self._sorter is not None
        self._sorter.add(packet, connection, _VALUE, line, _RANK_VALUE + (stream == "server"))

    def _record(self, packet: int, connection: int, record: records.Record, rank: int = 0) -> None:
        if isinstance(record, records.Drop):
            assert self._sorter is not None
            self._sorter.add(packet, connection, "drop", self._encode(record), rank)

    def http(self, packet: int, record: records.Http) -> None:
        """See `Host`."""

    def json(self, packet: int, record: records.Json) -> None:
        """See `Host`."""
        if record.status != "complete":
            assert self._sorter is not None
            self._sorter.add(packet, record.connection, "json", self._encode(record), _RANK_JSON + (record.stream == "server"))


def _source(origin: BodyOrigin) -> bytes:
    """What stands before the value, `--with-source`."""
    request = origin.request
    url = None
    if request is not None:
        url = request.target if "://" in request.target or request.host is None else f"http://{request.host}{request.target}"
        url = _shortened(url)
    fields: Mapping[str, object] = {
        "connection": origin.connection,
        "stream": origin.stream,
        "exchange": origin.index,
        "ts": seconds(origin.ts),
        "url": url,
        "status": origin.response.status if origin.response is not None else None,
    }
    return msgspec.json.encode(fields)[:-1] + b',"value":'


def _shortened(url: str) -> str:
    """An URL, or its beginning where it takes too many bytes as JSON: a character may take six."""
    cut = url
    while (size := len(msgspec.json.encode(cut))) > _URL_MOST:
        cut = cut[: min(len(cut) * _URL_MOST // size, len(cut) - 1)]
    return cut if cut is url else cut + "..."
