"""What other packages write to teach pcapflow a protocol or a kind of body (docs/extending.md).

Provisional: names may change until TLS, HTTP/2 and WebSocket are read through the same interfaces.

Contract: a package names a subclass of `Protocol` under the entry point `pcapflow.protocols`, or of `Payload` under `pcapflow.payloads`. What a plug-in raises ends
what it reads of that conversation, or body, under the reason `plugin_failed`; never the run. Invariant: bytes that wait for the end of a message are kept for the
plug-in, in the ledger, up to `plugin_message_max_bytes`; whatever else it keeps is its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Body", "Conversation", "Message", "Payload", "Protocol"]


class Message(NamedTuple):
    """What stands at a place."""

    size: int
    """Bytes of the message; 0 where it is not whole."""
    fields: Mapping[str, object] | None = None
    """What the record says of it (JSON values); None for no record."""
    needs: int = 0
    """Of one that is not whole, how many more bytes it needs at least, as far as is known: it is not asked about again before."""


class Conversation:
    """One connection in a protocol."""

    def message(self, side: str, data: bytes, at: int) -> Message | None:
        """The message of `client` or `server` that begins at `at` of data; None for bytes that are none: the next segment that may begin one is looked for."""
        raise NotImplementedError

    def gap(self, side: str) -> None:
        """Bytes of a side are missing, or were none of the protocol: messages of it may be lost."""

    def end(self, side: str) -> None:
        """A side ended: no message of it comes any more."""


class Protocol:
    """A protocol that is known by its first bytes."""

    name = ""
    """Small letters, digits, `-` and `_`; its records are `plugin.NAME`."""

    def probe(self, first: bytes) -> str | None:
        """Whose first bytes these are: `client` or `server`; empty for those of no such connection, None where more are needed. It decides within 256 bytes."""
        raise NotImplementedError

    def resumes(self, side: str, first: bytes) -> bool:
        """Whether a message of a side begins with these bytes, which begin a segment somewhere behind a loss."""
        return False

    def open(self) -> Conversation:
        """What reads a new conversation."""
        raise NotImplementedError


class Body:
    """One body of a kind."""

    def feed(self, data: bytes) -> None:
        """The next bytes, content codings undone."""
        raise NotImplementedError

    def finish(self, *, whole: bool) -> Mapping[str, object] | None:
        """The body is over: what the record says of it (JSON values); None for no record. whole: all of its bytes came; else those up to the first that is missing."""
        raise NotImplementedError


class Payload:
    """A kind of body that is known by its media type."""

    name = ""
    """See `Protocol.name`."""
    media_types: tuple[str, ...] = ()
    """Those of its bodies, in small letters; `*` stands for any characters: `text/csv`, `application/*+xml`."""

    def open(self) -> Body:
        """What reads a new body."""
        raise NotImplementedError
