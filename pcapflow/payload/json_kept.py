"""A text of JSON that is kept until it is whole, and then read at once.

Contract: `open_parser` gives what reads one text as its bytes arrive; whichever it is, the same is found, to the byte. Where nobody wants the events of the text, it is kept up to
`json_whole_max_bytes`, and validated and counted when it ends (`json_counts`). ijson reads it from its first byte on (`json_body`) where it grows beyond that, where memory is
short, where bytes of it are missing, and where it is not valid: ijson tells what broke.

Invariant: what is kept is reserved in the `json` account, and only while neither that account nor the whole is more than half used, so that no parser is refused for it.
"""

from __future__ import annotations

from typing import Protocol

from pcapflow.budget import Account
from pcapflow.contents import JsonBody, JsonError
from pcapflow.drops import Drop
from pcapflow.limits import Limits
from pcapflow.payload.json_counts import counts
from pcapflow.payload.json_parser import JsonParser
from pcapflow.payload.tap import Tap

_KEPT_BYTES = 128
"""Of a text that is kept, beside its bytes."""


class Parser(Protocol):
    """What reads one text."""

    @property
    def error(self) -> JsonError | None:
        """Where it broke, as far as that is known."""
        ...

    @property
    def drop(self) -> Drop | None:
        """Why it was given up, as far as that is known."""
        ...

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        ...

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody:
        """No more bytes come. whole: all of them came; gapped: some are missing. Gives all memory back."""
        ...


def open_parser(limits: Limits, account: Account, tap: Tap | None = None) -> Parser:
    """What reads a text, for whoever wants its events too."""
    return KeptText(limits, account) if tap is None else JsonParser(limits, account, tap)


class KeptText:
    """One text."""

    __slots__ = ("_account", "_held", "_kept", "_limits", "_parser")

    def __init__(self, limits: Limits, account: Account) -> None:
        self._limits = limits
        self._account = account
        self._kept: bytes | bytearray = b""
        self._held = 0
        self._parser: JsonParser | None = None
        """Reads it, where it is not kept."""

    @property
    def error(self) -> JsonError | None:
        return self._parser.error if self._parser is not None else None

    @property
    def drop(self) -> Drop | None:
        return self._parser.drop if self._parser is not None else None

    def feed(self, data: bytes) -> None:
        if self._parser is not None:
            self._parser.feed(data)
        elif not self._keep(data):
            self._hand_over().feed(data)

    def _keep(self, data: bytes) -> bool:
        """Keep some more; whether there is room."""
        size = len(self._kept) + len(data)
        if size > self._limits.json_whole_max_bytes:
            return False
        # a bytearray that grows takes an eighth more than it needs
        more = size + (size >> 3) + _KEPT_BYTES - self._held
        if not (self._account.is_half_free(more) and self._account.reserve(more)):
            return False
        self._held += more
        if not self._kept:
            self._kept = data
            return True
        if type(self._kept) is bytes:
            self._kept = bytearray(self._kept)
        self._kept += data
        return True

    def _hand_over(self) -> JsonParser:
        """Give what is kept to ijson."""
        kept = self._let_go()
        parser = self._parser = JsonParser(self._limits, self._account)
        if kept:
            parser.feed(bytes(kept))
        return parser

    def _let_go(self) -> bytes | bytearray:
        """Give the memory back of what is kept."""
        kept, self._kept = self._kept, b""
        self._account.release(self._held)
        self._held = 0
        return kept

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody:
        if self._parser is None:
            found = counts(self._kept, self._limits) if whole else None
            if found is not None:
                self._let_go()
                return found
            self._hand_over()
        assert self._parser is not None
        return self._parser.finish(whole=whole, gapped=gapped)
