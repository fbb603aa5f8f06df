"""The JSON values at a path, in the order of the packets that completed them, for `pcapflow extract`.

Contract: a `Listener`; what it finds are entries of the kind VALUE, each the text of a value. Bodies that it does not want are not looked into. Invariant: values that
wait for the end of their exchange are reserved in the `output` account.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pcapflow.conditions import Conditions
from pcapflow.drops import Drop, DropReason
from pcapflow.endpoint_names import whole_url
from pcapflow.errors import UsageError
from pcapflow.findings.chosen import body_taken, exchange_taken
from pcapflow.findings.listening import Listener, Run
from pcapflow.payload.extract import Values
from pcapflow.payload.wanted import wanted
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.exchange import Exchange
from pcapflow.protocols.http.message import Head
from pcapflow.records import seconds

VALUE = "value"
"""The kind of an entry that is a value."""
_RANK_VALUE = 2
"""Of what one packet completes; the server's comes after the client's."""
_WAITING_BYTES = 200
"""Beside its text, of a value that waits."""
_URL_MOST = 1024
"""Bytes, as JSON, of an URL that is repeated with each value."""


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
        self._waiting: dict[object, list[tuple[str, bytes]]] = {}
        """By exchange: who said it, and the value."""

    def begin(self, run: Run) -> None:
        """See `Listener`."""
        self._run = run

    # --- bodies

    def tap(self, origin: BodyOrigin) -> Values | None:
        """See `Listener`."""
        taken = body_taken(self._where, origin)
        if taken is False:
            return None
        source = _source(origin) if self._with_source else b""

        def emit(line: bytes) -> None:
            if taken is None:
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

    # --- values that wait for their exchange's end

    def _wait(self, origin: BodyOrigin, line: bytes) -> None:
        account = self._run.ledger.output
        if not account.reserve(len(line) + _WAITING_BYTES):
            self._given_up(
                origin, Drop(DropReason.JSON_MEMORY, *account.refusal(), "a value that waits for the end of its exchange"), len(line)
            )
            return
        self._waiting.setdefault(origin.exchange, []).append((origin.stream, line))

    def _given_up(self, origin: BodyOrigin, drop: Drop, held: int) -> None:
        """A value was, of which so many bytes were held."""
        self._run.given_up(origin, drop, held, _RANK_VALUE)

    def exchange_over(self, connection: int, exchange: object, response: Head | None, packet: int) -> None:
        """See `Listener`."""
        lines = self._waiting.pop(exchange, None)
        if lines is None:
            return
        assert isinstance(exchange, Exchange)
        taken = exchange_taken(self._where, exchange)
        for stream, line in lines:
            self._run.ledger.output.release(len(line) + _WAITING_BYTES)
            if taken:
                self._add(packet, connection, stream, line)

    def _add(self, packet: int, connection: int, stream: str, line: bytes) -> None:
        self._run.entry(packet, connection, VALUE, line, _RANK_VALUE + (stream == "server"))


def _source(origin: BodyOrigin) -> bytes:
    """What stands before the value, `--with-source`."""
    request = origin.request
    url = None
    if request is not None:
        url = _shortened(whole_url(request.method, request.target, request.host))
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
