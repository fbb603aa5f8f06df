"""What a run looks for in message bodies, beside the JSON in those that say so. Vocabulary: knows nobody."""

from __future__ import annotations

EXTRAS = {"br": "brotli"}
"""Content codings that an optional library undoes, which an extra of the coding's name installs."""


_HASH_BYTES, _TAP_BYTES, _VALUES_BYTES = 400, 600, 2000


class Looking:
    """Each of these costs time. A plain class: the command line imports it, and is to answer at once."""

    __slots__ = ("counts_alone", "duplicate_keys", "hashes", "shapes", "sniff", "values")

    def __init__(
        self, *, sniff: bool = False, hashes: bool = False, duplicate_keys: bool = False, shapes: bool = False, values: tuple[str, ...] = ()
    ) -> None:
        """sniff: JSON in bodies that say something else or nothing; hashes: the SHA-256 of every body; duplicate_keys: how many keys their object had
        already; shapes: which paths there are, and of which types; values: paths whose values are recorded.
        """
        self.counts_alone = False
        """Of JSON that is found: nobody lists it, so nobody asks where it broke."""
        self.sniff = sniff
        self.hashes = hashes
        self.duplicate_keys = duplicate_keys
        self.shapes = shapes
        self.values = values

    def sniffing(self, *, counts_alone: bool = False) -> Looking:
        """The same, and JSON in what does not say that it is; counts_alone: see there."""
        looking = Looking(sniff=True, hashes=False, duplicate_keys=self.duplicate_keys, shapes=self.shapes, values=self.values)
        looking.counts_alone = counts_alone
        return looking

    @property
    def nothing(self) -> bool:
        """Whether no more is looked for."""
        return not (self.sniff or self.hashes or self.duplicate_keys or self.shapes or self.values)

    @property
    def bytes(self) -> int:
        """What these take of each body, before anything is found (tests/payload/test_reader_memory.py measures it)."""
        of_each = (
            (self.hashes, _HASH_BYTES),
            (self.duplicate_keys, _TAP_BYTES),
            (self.shapes, _TAP_BYTES),
            (self.values, _VALUES_BYTES * len(self.values)),
        )
        return sum(n for asked, n in of_each if asked)

    @property
    def at_all(self) -> bool:
        """Whether bodies are looked at that do not say they are JSON."""
        return self.sniff or self.hashes


NOTHING_MORE = Looking()
MOST_CODINGS = 4
"""Codings of one body that are undone; none in the wild has more than two."""
