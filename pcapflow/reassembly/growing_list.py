"""Keys gone through while others come or go. Knows nobody."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Any

_FEW = 1024


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


def first_keys(order: OrderedDict[bytes, Any]) -> Iterator[bytes]:
    """The keys of an ordered dictionary that only loses some meanwhile. Going over all of a large one takes milliseconds, so that is left until it is needed."""
    few = list(islice(order, _FEW))
    yield from few
    if len(few) == _FEW:
        seen = set(few)
        yield from [key for key in order if key not in seen]
