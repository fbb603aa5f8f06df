"""The JSON values at a path, in the order of the packets that completed them, for `pcapflow extract`.

Contract: a `Listener`; what it finds are entries of the kind VALUE, each the text of a value. Bodies that it does not want are not looked into. Invariant: values of a
request that wait for the status of its answer are reserved in the `output` account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import msgspec

from pcapflow.drops import Drop, DropReason
from pcapflow.errors import UsageError
from pcapflow.findings.listening import Listener, Run
from pcapflow.payload.extract import Values
from pcapflow.payload.wanted import wanted
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.message import Head, RequestHead, ResponseHead
from pcapflow.records import seconds

VALUE = "value"
"""The kind of an entry that is a value."""
_RANK_VALUE = 2
"""Of what one packet completes; the server's comes after the client's."""
_WAITING_BYTES = 200
"""Beside its text, of a value that waits."""
_STATUS = re.compile(r"[1-9](?:[0-9]{2}|[0-9]?x{1,2})")
_URL_MOST = 1024
"""Bytes, as JSON, of an URL that is repeated with each value."""
_KEYS = ("method", "host", "status", "path", "source")


@dataclass(frozen=True)
class Conditions:
    """Which bodies are looked into: all conditions must hold."""

    method: str | None = None
    host: str | None = None
    status: str | None = None
    path: str | None = None
    source: str | None = None

    @classmethod
    def parse(cls, text: str) -> Conditions:
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


class Extraction(Listener):
    """One run's values."""

    by_packet = True
    by_exchange = True
    chooses = True

    def __init__(self, path: str, where: Conditions, *, with_source: bool = False) -> None:
        """path: see `payload.wanted`; with_source: each value in an object that says where it is from. Raises `UsageError`."""
        try:
            self._wanted = wanted(path)
        except ValueError as e:
            raise UsageError(str(e)) from None
        self._where = where
        self._with_source = with_source
        self._waiting: dict[object, list[bytes]] = {}

    def begin(self, run: Run) -> None:
        """See `Listener`."""
        self._run = run

    # --- bodies

    def tap(self, origin: BodyOrigin) -> Values | None:
        """See `Listener`."""
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
            self._wanted,
            self._run.limits,
            self._run.ledger.json,
            emit,
            lambda drop: self._given_up(origin, drop, 0),
            (source, b"}" if source else b""),
        )

    # --- values that wait for the answer's status

    def _wait(self, origin: BodyOrigin, line: bytes) -> None:
        account = self._run.ledger.output
        if not account.reserve(len(line) + _WAITING_BYTES):
            self._given_up(
                origin, Drop(DropReason.JSON_MEMORY, *account.refusal(), "a value that waits for its answer's status"), len(line)
            )
            return
        self._waiting.setdefault(origin.exchange, []).append(line)

    def _given_up(self, origin: BodyOrigin, drop: Drop, held: int) -> None:
        """A value was, of which so many bytes were held."""
        self._run.given_up(origin, drop, held, _RANK_VALUE)

    def exchange_over(self, connection: int, exchange: object, response: Head | None, packet: int) -> None:
        """See `Listener`."""
        lines = self._waiting.pop(exchange, None)
        if lines is None:
            return
        taken = isinstance(response, ResponseHead) and self._where.status_is(response.status_text)
        for line in lines:
            self._run.ledger.output.release(len(line) + _WAITING_BYTES)
            if taken:
                self._add(packet, connection, "client", line)

    def _add(self, packet: int, connection: int, stream: str, line: bytes) -> None:
        self._run.entry(packet, connection, VALUE, line, _RANK_VALUE + (stream == "server"))


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
