"""Which header fields a run records. Vocabulary: knows nobody, and compiles nothing, since the command line imports it."""

from __future__ import annotations


class Headers:
    """Which fields of messages are recorded. A plain class: the command line imports it, and is to answer at once."""

    __slots__ = ("names", "secrets", "some", "values")

    def __init__(self, choice: str = "none", *, secrets: bool = False) -> None:
        """choice: `none`, `names` (without their values), `all`, or names with commas between them; secrets: shown as they are."""
        self.some = choice != "none"
        self.values = choice != "names"
        self.names = None if choice in ("none", "names", "all") else frozenset(name.strip().lower() for name in choice.split(","))
        self.secrets = secrets


NO_HEADERS = Headers()
