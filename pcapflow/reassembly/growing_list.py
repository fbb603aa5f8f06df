"""A list that grows while it is gone through. Knows nobody."""

from __future__ import annotations

from collections.abc import Iterator


class Growing(Iterator[bytes]):
    """Each key of a list once; asked again after the last one, those that were added since."""

    def __init__(self, keys: list[bytes]) -> None:
        self._keys = keys
        self._at = 0

    def __next__(self) -> bytes:
        if self._at >= len(self._keys):
            raise StopIteration
        self._at += 1
        return self._keys[self._at - 1]
