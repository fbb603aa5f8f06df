"""Which connections a user means, for `pcapflow slice`: told as each is over.

Contract: a `Listener`. Each connection that is meant becomes an entry of the kind CHOSEN, and so does the next one with the same ends, whose beginning is the end of its packets.
Invariant: what is kept of a connection under way is reserved in the `output` account; one for which there is no room is meant all the same, since its problem may be that.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import msgspec

from pcapflow.conditions import Conditions
from pcapflow.connection_names import ConnectionName
from pcapflow.findings.ends import is_called
from pcapflow.findings.listening import Listener, Run
from pcapflow.findings.matching import exchange_meant
from pcapflow.protocols.http.exchange import Exchange
from pcapflow.protocols.http.message import Head
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.keys import Endpoint, endpoints
from pcapflow.streams.conversation import Conversation
from pcapflow.unread import UnreadReason

CHOSEN = "chosen"
_RANK = 9
_KEPT_BYTES = 160
"""Of a connection that has an exchange which is meant, and of one that was meant."""
_CLIENT_ERROR = 400
_NOT_WRONG = frozenset(
    (
        UnreadReason.ENCRYPTED.value,
        UnreadReason.UNKNOWN_PROTOCOL.value,
        UnreadReason.NOT_SUPPORTED.value,
        UnreadReason.BEFORE_PROTOCOL.value,
    )
)


class Choice(NamedTuple):
    """Which connections are meant: those for which all of it holds."""

    name: ConnectionName | None = None
    where: Conditions | None = None
    """It has an exchange that meets them."""
    problems: bool = False
    """Something is wrong with it, or with an exchange of it."""


class Chosen(msgspec.Struct, frozen=True):
    """A connection that is meant, or one that only ends what is of the one before with the same ends."""

    key: str
    """What tells connections apart that are there at one time."""
    number: int
    meant: bool
    ends: tuple[tuple[int, int, int], tuple[int, int, int]] | None
    """Of one that is meant: high and low word of the address, and the port, of each."""

    @classmethod
    def of(cls, line: bytes) -> Self:
        """Of an entry's line."""
        return msgspec.json.decode(line, type=cls)


class Choosing(Listener):
    """One run's."""

    by_connection = True

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        where = choice.where
        self.by_exchange = choice.problems or (where is not None and where.of_exchanges)
        self.looks_at_all = choice.problems
        self._met: set[int] = set()
        """Connections under way that have an exchange which meets the conditions."""
        self._wrong: set[int] = set()
        """And those that have one with something wrong."""
        self._refused: set[int] = set()
        """Connections under way for which there was no room to know that."""
        self.left_out = 0
        """Of those that are over."""
        self._keys: set[bytes] = set()
        """Of connections that were meant, and were the last with their ends."""

    def begin(self, run: Run) -> None:
        """See `Listener`."""
        self._run = run
        self._account = run.ledger.output

    def exchange_over(self, conversation: Conversation, exchange: object, response: Head | None, packet: int) -> None:
        """See `Listener`."""
        assert isinstance(exchange, Exchange)
        where = self._choice.where
        if where is not None and where.of_exchanges and exchange_meant(where, conversation.number, exchange):
            self._add(self._met, conversation.number)
        if self._choice.problems and is_wrong(exchange):
            self._add(self._wrong, conversation.number)

    def _add(self, some: set[int], connection: int) -> None:
        if connection in some:
            return
        if self._account.reserve(_KEPT_BYTES):
            some.add(connection)
        else:
            self._refused.add(connection)

    def gone(self, connection: Connection, packet: int) -> None:
        """See `Listener`."""
        self._over(connection.key, connection.number, packet, meant=self._is_meant(connection))
        if connection.number in self._refused:
            self._refused.discard(connection.number)
            self.left_out += connection.number not in self._met and connection.number not in self._wrong
        for some in (self._met, self._wrong):
            if connection.number in some:
                some.discard(connection.number)
                self._account.release(_KEPT_BYTES)

    def half_open(self, key: bytes, syn: Syn, packet: int) -> None:
        """See `Listener`."""
        choice = self._choice
        meant = (
            not choice.problems
            and self._is_named(syn.number, endpoints(key)[0])
            and (choice.where is None or not choice.where.of_exchanges)
        )
        self._over(key, syn.number, packet, meant=meant)

    def close(self) -> None:
        """See `Listener`."""
        self._account.release(_KEPT_BYTES * (len(self._keys) + len(self._met) + len(self._wrong)))
        for some in (self._met, self._wrong, self._keys):
            some.clear()

    def _over(self, key: bytes, number: int, packet: int, *, meant: bool) -> None:
        if key in self._keys and not meant:
            self._keys.discard(key)
            self._account.release(_KEPT_BYTES)
        elif not meant:
            return
        elif key not in self._keys and self._account.reserve(_KEPT_BYTES):
            self._keys.add(key)
        a, b = endpoints(key)[0]
        ends = (_words(a), _words(b)) if meant else None
        self._run.entry(packet, number, CHOSEN, msgspec.json.encode(Chosen(key.hex(), number, meant, ends)), _RANK)

    def _is_meant(self, connection: Connection) -> bool:
        choice, number = self._choice, connection.number
        if not self._is_named(number, connection.endpoints):
            return False
        if choice.where is not None and choice.where.of_exchanges and number not in self._met:
            return False
        return not choice.problems or number in self._wrong or _lost(connection)

    def _is_named(self, number: int, ends: tuple[Endpoint, Endpoint]) -> bool:
        choice, name = self._choice, self._choice.name
        if choice.where is not None and choice.where.connection not in (None, number):
            return False
        return name is None or is_called(name, number, ends)


def is_wrong(exchange: Exchange) -> bool:
    """Whether something is wrong with an exchange: an error, no answer, a body that is not whole or broken JSON, or it waited for what the network had lost."""
    response = exchange.response_head
    failed = response is not None and response.status >= _CLIENT_ERROR
    return (
        failed
        or exchange.response is None
        or exchange.request is None
        or bool(exchange.troubles)
        or exchange.stalled > 0
        or bool(exchange.anomalies)
    )


def _lost(connection: Connection) -> bool:
    """Whether bytes of a connection are missing, given up, contradicted, or could not be read where they should have been."""
    for stream, reading in zip(connection.streams, connection.readings, strict=True):
        if stream.missing or stream.conflicting or stream.drop_reason is not None or stream.protocol_drop is not None or reading.beyond:
            return True
        if any(one.reason not in _NOT_WRONG for one in reading.unread or ()):
            return True
    return False


def _words(end: Endpoint) -> tuple[int, int, int]:
    return end.address >> 64, end.address & (1 << 64) - 1, end.port
