"""The last numbers of connections that are over, to tell what is sent again from what is new.

A sender that missed the last acknowledgement sends its last segments again, 14, 28, 57 s later, when the connection's record has long been written.
Contract: `keep` remembers a closed connection as it leaves the table, `repeats` says whether a row is nothing but such a repetition, `forget` is
told that its ports are used again. Invariant: at most `max_finals` are kept, for `final_timeout` of capture time since the last row, in the order of
that; FINAL_BYTES are reserved for each in the `connections` account, and the oldest leave for whoever needs the room.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from pcapflow.decode.segments import ACK, FIN, RST, SYN
from pcapflow.reassembly.beliefs import WINDOW
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.pending_run import Rows
from pcapflow.reassembly.seqspace import unwrap, wrap

FINAL_BYTES = 400
"""Reserved for each: key, numbers and its place in the table, as tests/reassembly/test_connection_memory.py measures it."""
_SHARE = 64
"""For how many room is taken and given back at one time."""


Final = tuple[int, int, int]
"""The wire number behind the last byte or FIN of each direction, -1 where nothing was seen of it; the clock of the last row."""


class Finals:
    """The table."""

    __slots__ = ("_ctx", "_forgotten", "_paid", "_repeated", "_table")

    def __init__(self, ctx: Context, repeated: Callable[[int, int], None]) -> None:
        """repeated: hears of segments that came again, and their bytes."""
        self._ctx = ctx
        self._repeated = repeated
        self._table: dict[bytes, Final] = {}
        self._forgotten = False
        """Whether some were before their time."""
        self._paid = 0
        """For how many there is room."""

    def __len__(self) -> int:
        return len(self._table)

    def keep(self, connection: Connection) -> None:
        """A closed connection leaves the table of connections."""
        table = self._table
        if len(table) >= self._paid and not self._grow():
            return
        table[connection.key] = (*connection.ends_at(), connection.last_clock)

    def _grow(self) -> bool:
        """Room for some more: reserved, or that of the oldest."""
        account = self._ctx.ledger.connections
        if (
            self._paid + _SHARE <= self._ctx.limits.max_finals
            and account.has_room(_SHARE * FINAL_BYTES)
            and account.reserve(_SHARE * FINAL_BYTES)
        ):
            self._paid += _SHARE
            return True
        for key in list(islice(self._table, _SHARE)):
            del self._table[key]
        self._forgotten = True
        return len(self._table) < self._paid

    def evict(self) -> bool:
        """Some of the oldest leave, and their room is given back; False where there is none."""
        if not self._paid:
            return False
        for key in list(islice(self._table, max(0, len(self._table) - self._paid + _SHARE))):
            del self._table[key]
            self._forgotten = True
        self._pay(self._paid - _SHARE)
        return True

    def _pay(self, n: int) -> None:
        self._ctx.ledger.connections.release((self._paid - n) * FINAL_BYTES)
        self._paid = n

    def forget(self, key: bytes) -> None:
        """The ports are used again."""
        self._table.pop(key, None)

    def repeated(self, key: bytes, rows: Rows, begin: int, end: int) -> int:
        """How many of rows[begin:end] are nothing but repetitions of a connection that is gone. They are told to the observer."""
        table = self._table
        final = table.get(key)
        at = begin
        if final is None:
            # it may have been one of those that were forgotten, which is for the order of the blocks to say
            self._ctx.ledger.pressure |= self._forgotten and not rows.flags[begin] & SYN
            return 0
        timeout = self._ctx.limits.final_timeout
        while at < end and rows.clock[at] - final[2] < timeout and _repeats(final, rows, at):
            final = (final[0], final[1], rows.clock[at])
            at += 1
        if at > begin:
            del table[key]
            table[key] = final  # to the end
            self._repeated(at - begin, sum(rows.n[begin:at]))
        return at - begin

    def sweep(self, now: int) -> None:
        """Those whose time is over at the end of the block are gone."""
        timeout = self._ctx.limits.final_timeout
        while self._table:
            key = next(iter(self._table))
            if now - self._table[key][2] < timeout:
                break
            del self._table[key]
        self._pay(min(self._paid, -(-len(self._table) // _SHARE) * _SHARE))

    def finish(self) -> None:
        """The capture ended."""
        self._table.clear()
        self._pay(0)


def _repeats(final: Final, rows: Rows, i: int) -> bool:
    """Whether a row says nothing that its connection had not said: no SYN, and no number beyond the last ones."""
    flags, d = rows.flags[i], rows.direction[i]
    if flags & SYN:
        return False
    own, other = final[d], final[1 - d]
    if flags & RST:
        return True
    if own < 0 and other < 0:
        return False
    end = wrap(rows.n[i] + rows.snapped[i] + (flags & FIN), rows.seq[i])
    if own >= 0 and not -WINDOW <= unwrap(end, own, 0) <= 0:
        return False
    return other < 0 or not flags & ACK or -WINDOW <= unwrap(rows.ack[i], other, 0) <= 0
