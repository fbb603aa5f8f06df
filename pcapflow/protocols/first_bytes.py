"""Whether more of a stream's first bytes may tell what they did not.

Contract: `FirstLine.may_tell` is asked before the bytes are looked at again. Invariant: a line that comes byte by byte is looked at a few times, not once a byte.
"""

from __future__ import annotations

MOST_BYTES = 64 << 10
"""A first line that is longer than this is none."""
SHORT = 256
_BLANK = b" \t\r\n"


class FirstLine:
    """Whether a stream whose first bytes told nothing may tell something with more of them: so that a line that comes byte by byte is not looked at
    again for each. A long one goes on as it began until it is no longer blank, it ends, or it is too long.
    """

    __slots__ = ("_blank",)

    def __init__(self) -> None:
        self._blank: bool | None = None
        """Whether what is there is blank, or opens a container and is blank from there on; None where nobody looked."""

    def copy(self) -> FirstLine:
        """Another one that knows the same."""
        other = FirstLine()
        other._blank = self._blank
        return other

    def may_tell(self, stash: bytes | bytearray, more: bytes) -> bool:
        """stash: what told nothing; more: what follows it."""
        if len(stash) < SHORT or len(stash) + len(more) >= MOST_BYTES:
            return True
        if self._blank is None:
            self._blank = stash.strip(_BLANK) in (b"", b"{", b"[")
        telling = bool(more.strip(_BLANK)) if self._blank else b"\n" in more or b"\r" in more
        if telling:
            self._blank = None
        return telling
