"""By how much acknowledgements were captured before the data that they acknowledge: whether the clocks of two capture points differ.

Contract: `add` takes a delay, `merge` those of another shard, `seconds` says what they come to. Invariant: one entry a power of two; nothing depends on the order in which they come.
"""

from __future__ import annotations

_ALIKE = 3
"""Acknowledgements that were early by about as much, from which on a difference of clocks is believed."""


class Skews:
    """One run's."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[int, tuple[int, int]] = {}
        """How many, and the most (ns), by the power of two that is next above."""

    def add(self, delay: int) -> None:
        """One that was so early (ns)."""
        self._add(delay.bit_length(), 1, delay)

    def _add(self, power: int, n: int, delay: int) -> None:
        count, most = self._found.get(power, (0, 0))
        self._found[power] = count + n, max(most, delay)

    def merge(self, other: Skews) -> None:
        """Those of another shard too."""
        for power, (count, most) in other._found.items():
            self._add(power, count, most)

    def seconds(self) -> float | None:
        """By which the clocks differ: the most by which acknowledgements were early, of those that were by about as much, where they are several and more than
        the others together; None for not at all.
        """
        if not self._found:
            return None
        count, most = max(self._found.values())
        alike = count >= _ALIKE and 2 * count > sum(n for n, _ in self._found.values())
        return round(most / 1e9, 6) if alike else None
