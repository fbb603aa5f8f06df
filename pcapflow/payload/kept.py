"""Bytes of a body that are kept until it is whole.

Contract: `add` keeps some more, or says that there is no room; `let_go` gives them, and the memory back. What comes in one piece is not copied. Invariant: at most `most` bytes are kept, reserved in the account, and only while neither that nor the whole is more than half used, so
that no parser is refused for them.
"""

from __future__ import annotations

from pcapflow.budget import Account

_OWN_BYTES = 128


class Kept:
    """Of one body."""

    __slots__ = ("_account", "_data", "_held", "_most")

    def __init__(self, account: Account, most: int) -> None:
        self._account = account
        self._most = most
        self._data: bytes | bytearray = b""
        self._held = 0

    def add(self, data: bytes) -> bool:
        """Some more; False, with nothing changed, where there is no room."""
        size = len(self._data) + len(data)
        # a bytearray that grows takes an eighth more than it needs
        more = size + (size >> 3) + _OWN_BYTES - self._held
        if size > self._most or not (self._account.is_half_free(more) and self._account.reserve(more)):
            return False
        self._held += more
        if not self._data:
            self._data = data
            return True
        if type(self._data) is bytes:
            self._data = bytearray(self._data)
        self._data += data
        return True

    def let_go(self) -> bytes | bytearray:
        """What was kept; it is not any more."""
        data, self._data = self._data, b""
        self._account.release(self._held)
        self._held = 0
        return data
