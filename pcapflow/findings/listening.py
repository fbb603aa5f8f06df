"""Who wants more of a run than its report: the bytes of bodies, the events of their JSON, exchanges whole.

Contract: `pipeline.run` gives listeners to the run, which calls `begin` once, `body` and `tap` as a body begins, `exchange_over` when nothing
more comes of an exchange, and `close` last. What a listener finds it gives to `Run.entry`, which puts it in its place among the records. Invariant: a body is
decoded and parsed once, whoever listens; what is reported is the same with a listener as without, but for one that `chooses`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from pcapflow.budget import Ledger
from pcapflow.conditions import Conditions
from pcapflow.drops import Drop
from pcapflow.entries import Kinds
from pcapflow.findings.follow import Picking
from pcapflow.limits import Limits
from pcapflow.payload.body_listener import BodyListener
from pcapflow.payload.tap import Tap
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.message import Head, HeadRead
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.connection import Connection
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import Where
from pcapflow.unread import Unread


class Run(Protocol):
    """The run, as those who listen see it."""

    limits: Limits
    ledger: Ledger

    def entry(self, packet: int, connection: int, kind: str, line: bytes, rank: int, order: int = -1) -> None:
        """A line of that kind, which packet completed; see `RecordSorter.add`."""
        ...

    def given_up(self, origin: BodyOrigin, drop: Drop, held: int, rank: int = ...) -> None:
        """Something of a body was, of which so many bytes were held."""
        ...

    def found_by_plugin(self, connection: int, stream: str, name: str, exchange: int | None, fields: bytes, at: Where, packet: int) -> None:
        """What a plug-in found, which begins at that place and which that packet completed; fields: a JSON object."""
        ...


class Listener:
    """Wants nothing; listeners override what they need."""

    by_packet = False
    """See `Host.by_packet`."""
    by_exchange = False
    """See `Host.by_exchange`."""
    by_connection = False
    """It is told of connections that are over."""
    looks_at_all = False
    """See `Host.looks_at_all`."""
    keeps_heads = False
    """Heads keep their bytes."""
    tells_heads = False
    """See `Host.tells_heads`."""
    chooses = False
    """Bodies for which it has no `tap` are read for nobody."""

    def begin(self, run: Run) -> None:
        """The run begins."""

    def head(self, connection: int, side: int, read: HeadRead) -> None:
        """See `Host.head`."""

    def body(self, head: Head, origin: BodyOrigin) -> BodyListener | None:
        """Who takes the bytes of a body; None for nobody."""
        return None

    def tap(self, origin: BodyOrigin) -> Tap | None:
        """Who takes the events of its JSON; None for nobody."""
        return None

    def exchange_over(self, conversation: Conversation, exchange: object, response: Head | None, packet: int) -> None:
        """See `Host`."""

    def unread(self, conversation: Conversation, direction: int, unread: Unread) -> None:
        """See `Host.unread`; in the order of each stream."""

    def gone(self, connection: Connection, packet: int) -> None:
        """A connection is over, at that packet."""

    def half_open(self, key: bytes, syn: Syn, packet: int) -> None:
        """One of which only a SYN was seen is over, at that packet."""

    def close(self) -> None:
        """No exchange comes any more: give back what is reserved."""


class Who(msgspec.Struct, frozen=True):
    """Who wants what of a run, beside the summary."""

    kinds: tuple[Kinds, ...] = ()
    """Of records, what each takes who takes some."""
    listeners: Sequence[Listener] = ()
    where: Conditions | None = None
    """Which exchanges have a record; None for all."""
    follow: Picking | None = None
    """One connection alone is looked at, and its bytes are handed on."""


NOBODY_MORE = Who()
