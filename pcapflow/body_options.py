"""What a run looks for in message bodies, beside the JSON in those that say so. Vocabulary: knows nobody."""

from __future__ import annotations

from dataclasses import dataclass

EXTRAS = {"br": "brotli"}
"""Content codings that an optional library undoes, which an extra of the coding's name installs."""


@dataclass(frozen=True, slots=True)
class Looking:
    """Each of these costs time."""

    sniff: bool = False
    """JSON in bodies that say something else or nothing."""
    hashes: bool = False
    """The SHA-256 of every body."""
    duplicate_keys: bool = False
    """How many keys their object had already."""

    @property
    def at_all(self) -> bool:
        """Whether bodies are looked at that do not say they are JSON."""
        return self.sniff or self.hashes


NOTHING_MORE = Looking()
MOST_CODINGS = 4
"""Codings of one body that are undone; none in the wild has more than two."""
