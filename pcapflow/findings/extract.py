"""The JSON values at a path, in the order of the packets that completed them, for `pcapflow extract`.

Contract: a `Listener`; what it finds are entries of the kind VALUE, each the text of a value. Bodies that it does not want are not looked into. Invariant: values that
wait for the end of their exchange are reserved in the `output` account.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pcapflow.budget import Account
from pcapflow.conditions import Conditions
from pcapflow.drops import Drop, DropReason
from pcapflow.endpoint_names import whole_url
from pcapflow.errors import UsageError
from pcapflow.findings.listening import Listener, Run
from pcapflow.findings.matching import body_taken, exchange_taken
from pcapflow.payload.extract import Values
from pcapflow.payload.nearest import BYTES, Nearest, keys_of, likeness
from pcapflow.payload.tap import Both, Tap
from pcapflow.payload.wanted import pattern_of, wanted
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.exchange import Exchange
from pcapflow.protocols.http.message import Head
from pcapflow.records import seconds
from pcapflow.streams.conversation import Conversation

VALUE, SEARCHED = "value", "searched"
"""The kinds of entries: a value; and of a run, or a part of it, that found none: how many bodies were searched, and where else the keys stand (`Searched`)."""
_RANK_VALUE = 2
"""Of what one packet completes; the server's comes after the client's."""
_WAITING_BYTES = 200
"""Beside its text, of a value that waits."""
_URL_MOST = 1024
"""Bytes, as JSON, of an URL that is repeated with each value."""


class Searched(msgspec.Struct, frozen=True):
    """What was searched without a value found."""

    bodies: int
    elsewhere: dict[str, int]
    """Values at other paths that end with the same key, by path."""


def nearest_to(path: str, elsewhere: Mapping[str, int], most: int) -> list[tuple[str, int]]:
    """Of other paths those that are most like one, and how many values each has."""
    keys = keys_of(pattern_of(path))
    return sorted(elsewhere.items(), key=lambda item: (-likeness(keys, item[0]), -item[1], item[0]))[:most]


class Extraction(Listener):
    """One run's values."""

    by_packet = True
    by_exchange = True
    chooses = True

    def __init__(self, path: str, where: Conditions, *, with_source: bool = False) -> None:
        """path: see `payload.wanted`; with_source: each value in an object that says where it is from. Raises `UsageError`."""
        try:
            self._wanted = wanted(path)
            self._keys = keys_of(pattern_of(path))
        except ValueError as e:
            raise UsageError(str(e)) from None
        self._where = where
        self._with_source = with_source
        self._found = False
        self._bodies = 0
        self._elsewhere: dict[str, int] = {}
        self._waiting: dict[object, list[tuple[str, bytes | None]]] = {}
        """By exchange: who said it, and the value; None for a body that counts if its exchange is taken."""

    def begin(self, run: Run) -> None:
        """See `Listener`."""
        self._run = run

    # --- bodies

    def tap(self, origin: BodyOrigin) -> Tap | None:
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

        if taken is None:
            self._await(origin)
        else:
            self._bodies += 1
        values = Values(
            self._wanted,
            self._run.limits,
            self._run.ledger.json,
            emit,
            lambda drop: self._given_up(origin, drop, 0),
            (source, b"}" if source else b""),
        )
        nearest = self._nearest() if taken else None
        return values if nearest is None else Both(values, nearest)

    def _nearest(self) -> Tap | None:
        """Who looks for the keys elsewhere, as long as nothing was found."""
        account = self._run.ledger.json
        if self._found or not self._keys or not account.reserve(BYTES):
            return None
        return _Nearest(self._keys, self._elsewhere, account)

    def close(self) -> None:
        """See `Listener`."""
        if not self._found:
            said = msgspec.json.encode(Searched(self._bodies, self._elsewhere))
            self._run.entry(self._run.ledger.packet, 0, SEARCHED, said, _RANK_VALUE)

    # --- values that wait for their exchange's end

    def _await(self, origin: BodyOrigin) -> None:
        """A body is searched that may not be meant. Where there is no room it is not counted, which matters where nothing is found alone."""
        if not self._found and self._run.ledger.output.reserve(_WAITING_BYTES):
            self._waiting.setdefault(origin.exchange, []).append((origin.stream, None))

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

    def exchange_over(self, conversation: Conversation, exchange: object, response: Head | None, packet: int) -> None:
        """See `Listener`."""
        lines = self._waiting.pop(exchange, None)
        if lines is None:
            return
        assert isinstance(exchange, Exchange)
        taken = exchange_taken(self._where, exchange)
        for stream, line in lines:
            self._run.ledger.output.release(len(line or b"") + _WAITING_BYTES)
            if line is None:
                self._bodies += taken
            elif taken:
                self._add(packet, conversation.number, stream, line)

    def _add(self, packet: int, connection: int, stream: str, line: bytes) -> None:
        self._found = True
        self._run.entry(packet, connection, VALUE, line, _RANK_VALUE + (stream == "server"))


class _Nearest(Nearest):
    """Gives back what is reserved for it."""

    __slots__ = ("_account",)

    def __init__(self, keys: tuple[str, ...], counts: dict[str, int], account: Account) -> None:
        super().__init__(keys, counts)
        self._account: Account | None = account

    def close(self) -> None:
        """See `Tap`."""
        super().close()
        if self._account is not None:
            self._account.release(BYTES)
            self._account = None


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
