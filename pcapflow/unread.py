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
    UnreadReason.ENCRYPTED: "The bytes are encrypted; pcapflow does not decrypt.",
    UnreadReason.UNKNOWN_PROTOCOL: "The bytes belong to an unknown protocol.",
    UnreadReason.NOT_SUPPORTED: "The protocol is recognized but not supported, or its plug-in failed.",
    UnreadReason.BEFORE_PROTOCOL: "The bytes precede those that identified the protocol, and do not start a message.",
    UnreadReason.BEHIND_LOSS: "The bytes belong to messages with missing bytes; parsing resumes at the next message.",
    UnreadReason.MALFORMED: "The bytes violate the protocol, or follow bytes that do, up to the next message.",
    UnreadReason.LIMIT_REACHED: "A limit was reached or memory ran short; see the drop record.",
}

UNREAD_BYTES = 256
"""Reserved for each reason that a stream has (tests/protocols/test_reading.py measures it)."""


class Unread(msgspec.Struct, gc=False):
    """Delivered bytes of a stream that were not read, for one reason."""

    reason: Annotated[
        str, says("Why the bytes were not read ([reasons](report.md#read-and-unread)).", *(reason.value for reason in UnreadReason))
    ]
    name: Annotated[str | None, says("Name of the protocol, if the reason is `not_supported`.")]
    bytes: Annotated[int, counts("Number of bytes.")]
    stream_offset: Annotated[int | None, says_or_null("Stream offset of the first such byte; null if there was no memory to record it.")]
    packet: Annotated[int | None, says_or_null("The packet that delivered that byte.")]


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
