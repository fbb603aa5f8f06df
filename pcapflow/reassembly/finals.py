"""The last numbers of connections that are over, to tell what is sent again from what is new.

A sender that missed the last acknowledgement sends its last segments again, 14, 28, 57 s later, when the connection's record has long been written.
Contract: `keep` remembers a closed connection as it leaves the table, `repeats` says whether a row is nothing but such a repetition, `forget` is
told that its ports are used again. Invariant: at most `max_finals` are kept, for `final_timeout` of capture time since the last row, in the order of
that; FINAL_BYTES are reserved for each in the `connections` account, and the oldest leave for whoever needs the room.
"""

from __future__ import annotations

from typing import NamedTuple

from pcapflow.decode.segments import ACK, FIN, RST, SYN
from pcapflow.reassembly.beliefs import WINDOW
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.pieces import Rows
from pcapflow.reassembly.seqspace import unwrap, wrap

FINAL_BYTES = 400
"""Reserved for each: key, numbers and its place in the table, as tests/reassembly/test_connection_memory.py measures it."""
_SHARE = 64
"""Those that leave at one time where room is needed."""


class Final(NamedTuple):
    """The wire number behind the last byte or FIN of each direction, -1 where nothing was seen of it; the clock of the last row."""

    numbers: tuple[int, int]
    clock: int


class Finals:
    """The table."""

    __slots__ = ("_ctx", "_table")

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._table: dict[bytes, Final] = {}

    def __len__(self) -> int:
        return len(self._table)

    def keep(self, connection: Connection) -> None:
        """A closed connection leaves the table of connections."""
        ctx, table = self._ctx, self._table
        if len(table) >= ctx.limits.max_finals and not self.evict():
            return
        account = ctx.ledger.connections
        if not account.has_room(FINAL_BYTES) or not account.reserve(FINAL_BYTES):
            return
        a, b = connection.streams
        table[connection.key] = Final((wrap(a.top, a.base) if a.base >= 0 else -1, wrap(b.top, b.base) if b.base >= 0 else -1), connection.last_clock)

    def evict(self) -> bool:
        """Some of the oldest leave; False where there is none."""
        gone = list(self._table)[:1] if len(self._table) <= _SHARE else [key for key, _ in zip(self._table, range(_SHARE), strict=False)]
        for key in gone:
            del self._table[key]
        self._ctx.ledger.connections.release(len(gone) * FINAL_BYTES)
        return bool(gone)

    def forget(self, key: bytes) -> None:
        """The ports are used again."""
        if self._table.pop(key, None) is not None:
            self._ctx.ledger.connections.release(FINAL_BYTES)

    def repeated(self, key: bytes, rows: Rows, begin: int, end: int) -> int:
        """How many of rows[begin:end] are nothing but repetitions of a connection that is gone. They are told to the observer."""
        table = self._table
        final = table.get(key)
        at = begin
        if final is None:
            return 0
        timeout = self._ctx.limits.final_timeout
        while at < end and rows.clock[at] - final.clock < timeout and _repeats(final, rows, at):
            final = final._replace(clock=rows.clock[at])
            at += 1
        if at > begin:
            del table[key]
            table[key] = final  # to the end
            self._ctx.observer.repeated(at - begin, sum(rows.n[begin:at]))
        return at - begin

    def sweep(self, now: int) -> None:
        """Those whose time is over at the end of the block are gone."""
        timeout = self._ctx.limits.final_timeout
        gone = 0
        while self._table:
            key = next(iter(self._table))
            if now - self._table[key].clock < timeout:
                break
            del self._table[key]
            gone += 1
        self._ctx.ledger.connections.release(gone * FINAL_BYTES)

    def finish(self) -> None:
        """The capture ended."""
        self._ctx.ledger.connections.release(len(self._table) * FINAL_BYTES)
        self._table.clear()


def _repeats(final: Final, rows: Rows, i: int) -> bool:
    """Whether a row says nothing that its connection had not said: no SYN, and no number beyond the last ones."""
    flags, d = rows.flags[i], rows.direction[i]
    if flags & SYN:
        return False
    own, other = final.numbers[d], final.numbers[1 - d]
    if flags & RST:
        return True
    if own < 0 and other < 0:
        return False
    end = wrap(rows.n[i] + rows.snapped[i] + (flags & FIN), rows.seq[i])
    if own >= 0 and not -WINDOW <= unwrap(end, own, 0) <= 0:
        return False
    return other < 0 or not flags & ACK or -WINDOW <= unwrap(rows.ack[i], other, 0) <= 0
