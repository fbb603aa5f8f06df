"""A text of JSON that is kept until it is whole, and then read at once.

Contract: `open_parser` gives what reads one text as its bytes arrive; whichever it is, the same is found, to the byte. Where nobody wants the events of the text, it is kept up to
`json_whole_max_bytes`, and validated and counted when it ends (`json_counts`). ijson reads it from its first byte on (`json_parser`) where it grows beyond that, where memory is
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
from pcapflow.payload.kept import Kept
from pcapflow.payload.tap import Tap


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


class KeptText(Kept):
    """One text."""

    __slots__ = ("_limits", "_parser")

    def __init__(self, limits: Limits, account: Account) -> None:
        super().__init__(account, limits.json_whole_max_bytes)
        self._limits = limits
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
        elif not self.add(data):
            self._hand_over().feed(data)

    def _hand_over(self) -> JsonParser:
        """Give what is kept to ijson."""
        kept = self.let_go()
        parser = self._parser = JsonParser(self._limits, self._account)
        if kept:
            parser.feed(bytes(kept))
        return parser

    def finish(self, *, whole: bool, gapped: bool) -> JsonBody:
        if self._parser is None:
            found = counts(self._data, self._limits) if whole else None
            if found is not None:
                self.let_go()
                return found
            self._hand_over()
        assert self._parser is not None
        return self._parser.finish(whole=whole, gapped=gapped)
