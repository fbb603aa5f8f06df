"""The beginning of a line or head whose end has not come.

Contract: `keep` takes all of it each time, `clear` lets it go. Invariant: what is kept is reserved in the `http` account.
"""

from __future__ import annotations

from pcapflow.budget import Account
from pcapflow.streams.events import Where

KEPT_BYTES = 256
"""Reserved beside the bytes that are kept: their place, and the objects (tests/reassembly/test_connection_memory.py measures it)."""


class Stash:
    """One direction's. The account is given with each call: there are two of these for each connection."""

    __slots__ = ("_reserved", "data", "last", "searched", "where")

    def __init__(self) -> None:
        self._reserved = 0
        self.data = b""
        self.where: Where | None = None
        """The place of its first byte."""
        self.last: Where | None = None
        """The place of the first of its bytes that the latest segment brought; None where that is not known."""
        self.searched = 0
        """How many of its bytes were looked at for a head's end, which does not lie within them."""

    def keep(self, account: Account, data: bytes, where: Where | None = None, last: Where | None = None) -> bool:
        """Keep it until more comes; False, with nothing changed, where there is no room. where: its first byte's place, None for one kept before; last: see there."""
        more = KEPT_BYTES + len(data) - self._reserved
        if more > 0:
            if not account.reserve(more):
                return False
            self._reserved += more
        self.data = data
        if where is not None:
            self.where = where
        self.last = last
        return True

    def clear(self, account: Account) -> None:
        """Nothing is kept."""
        self.data = b""
        self.searched = 0
        self.where = None
        self.last = None
        if self._reserved:
            account.release(self._reserved)
            self._reserved = 0
