"""The values at some paths of a body, for whoever compares them.

Contract: a `Tap`; `found` has, path by path, the first VALUES values that came, as the text that was sent; of one longer than VALUE_BYTES the beginning and a hash, of one longer than _LONGEST
that it is. Invariant: what is kept is bounded by these, and reserved in the `json` account; where that refuses, a value is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from sys import getsizeof

from pcapflow.budget import Account
from pcapflow.contents import JsonValues
from pcapflow.drops import Drop
from pcapflow.limits import Limits
from pcapflow.payload.extract import Values
from pcapflow.payload.path import Event
from pcapflow.payload.wanted import wanted

VALUES = 16
"""Of one path and body: what is compared is a version, a code, a flag."""
VALUE_BYTES = 200
"""Of a longer one the beginning and its SHA-256 are kept."""
_LONGEST = 64 << 10
_KEPT_BYTES = 16
"""Reserved for each that is kept, beside the text."""

Keep = Callable[[bytes], None]
_wanted = cache(wanted)


class BodyValues:
    """One body's."""

    __slots__ = ("_account", "_reserved", "_taps", "found")

    def __init__(self, paths: tuple[str, ...], limits: Limits, account: Account) -> None:
        """paths: as `wanted` takes them."""
        self._account = account
        self._reserved = 0
        self.found = [JsonValues(path, []) for path in paths]
        limits = replace(limits, extract_value_max_bytes=_LONGEST)
        self._taps = [
            Values(_wanted(one.path), limits, account, self._keeper(one.values), self._too_large(one.values)) for one in self.found
        ]

    def _keeper(self, values: list[str]) -> Keep:
        def keep(text: bytes) -> None:
            if len(values) == VALUES:
                return
            value = _short(text).decode("utf-8", "replace")
            n = _KEPT_BYTES + getsizeof(value)
            if self._account.reserve(n):
                self._reserved += n
                values.append(value)

        return keep

    def _too_large(self, values: list[str]) -> Callable[[Drop], None]:
        keep = self._keeper(values)
        return lambda _: keep(b"(more than %d bytes)" % _LONGEST)

    def begin(self) -> None:
        """A text begins."""
        for tap in self._taps:
            tap.begin()

    def take(self, data: bytes, events: list[Event], *, broken: bool = False) -> Drop | None:
        """The next events."""
        for tap in self._taps:
            tap.take(data, events, broken=broken)
        return None

    def close(self) -> None:
        """The body is over."""
        for tap in self._taps:
            tap.close()
        self._taps = []  # which know this: nobody looks for circles
        self._account.release(self._reserved)
        self._reserved = 0


def _short(text: bytes) -> bytes:
    if len(text) <= VALUE_BYTES:
        return text
    from hashlib import sha256  # noqa: PLC0415 - it brings OpenSSL, 5 MB

    return text[: VALUE_BYTES // 2] + b"... sha256:" + sha256(text).hexdigest()[:16].encode()
