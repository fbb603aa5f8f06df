"""What is read of a stream, and what is not and why: delivered = read + unread by reason.

Contract: whoever reads a conversation counts in its `Reading` what it reads, and tells the host of the rest (`Host.unread`). Invariant: each delivered byte is counted
once, under one of both; bytes of a message that is given up in its head or framing are unread, those of a body whose contents are given up are read.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from pcapflow.budget import Account
from pcapflow.fields import counts, says, says_or_null


class UnreadReason(StrEnum):
    """Why delivered bytes are not read."""

    ENCRYPTED = "encrypted"
    UNKNOWN_PROTOCOL = "unknown_protocol"
    NOT_SUPPORTED = "not_supported"
    BEFORE_PROTOCOL = "before_protocol"
    BEHIND_LOSS = "behind_loss"
    MALFORMED = "malformed"
    LIMIT_REACHED = "limit_reached"

    @property
    def sentence(self) -> str:
        """What it means, for users."""
        return _SENTENCES[self]


_SENTENCES = {
    UnreadReason.ENCRYPTED: "They are encrypted, and there is no key.",
    UnreadReason.UNKNOWN_PROTOCOL: "They are of no protocol that is known.",
    UnreadReason.NOT_SUPPORTED: "Their protocol is known by its name and not read, or its plug-in failed.",
    UnreadReason.BEFORE_PROTOCOL: "They came before the bytes that showed the protocol, and begin no message.",
    UnreadReason.BEHIND_LOSS: "Bytes are missing before or behind them: nothing shows what they are, up to the next message.",
    UnreadReason.MALFORMED: "They are not what the protocol has at their place, or follow such bytes, up to the next message.",
    UnreadReason.LIMIT_REACHED: "A limit was reached, or memory was short: see the drop record.",
}

UNREAD_BYTES = 256
"""Reserved for each reason that a stream has (tests/protocols/test_reading.py measures it)."""


class Unread(msgspec.Struct, gc=False):
    """Bytes of a stream that were delivered and are not read, for one reason."""

    reason: Annotated[str, says("Why ([reasons](report.md#read-and-unread)).", *(reason.value for reason in UnreadReason))]
    name: Annotated[str | None, says("The protocol's name, where the reason is `not_supported`.")]
    bytes: Annotated[int, counts("How many.")]
    stream_offset: Annotated[int | None, says_or_null("Stream offset of the first of them; null where there was no memory to keep it.")]
    packet: Annotated[int | None, says_or_null("The packet that delivered it.")]


class Reading(msgspec.Struct, gc=False):
    """What became of one stream's bytes."""

    read: int = 0
    """Bytes that were."""
    beyond: int = 0
    """Bytes that were not, for whose reason there was no memory; `unread` is a list then."""
    unread: list[Unread] | None = None
    """The others, one for each reason and name; UNREAD_BYTES are reserved for each."""

    def total(self) -> int:
        """Bytes of which somebody said what became of them."""
        return self.read + self.beyond + sum(one.bytes for one in self.unread or ())

    def add(self, more: Unread, account: Account) -> None:
        """Count bytes that are not read."""
        for one in self.unread or ():
            if one.reason == more.reason and one.name == more.name:
                one.bytes += more.bytes
                return
        if not account.reserve(UNREAD_BYTES):
            self.beyond += more.bytes
            self.unread = self.unread or []
        elif self.unread is None:
            self.unread = [more]
        else:
            self.unread.append(more)

    def release(self, account: Account) -> None:
        """The report has it: nothing is kept any more."""
        if self.unread is not None:
            account.release(UNREAD_BYTES * len(self.unread))

    def entries(self) -> list[Unread]:
        """For the report: in the order of the reasons, then of names."""
        found = list(self.unread or ())
        if self.beyond:
            limit = next((one for one in found if one.reason == UnreadReason.LIMIT_REACHED), None)
            if limit is None:
                found.append(Unread(UnreadReason.LIMIT_REACHED.value, None, self.beyond, None, None))
            else:
                found[found.index(limit)] = msgspec.structs.replace(limit, bytes=limit.bytes + self.beyond)
        return sorted(found, key=_rank)


_RANKS = {reason.value: rank for rank, reason in enumerate(UnreadReason)}


def _rank(one: Unread) -> tuple[int, str]:
    return _RANKS[one.reason], one.name or ""
