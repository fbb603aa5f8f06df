"""Whose rule says which copy of a byte is delivered, where segments that wait behind a hole overlap with different bytes.

Vocabulary: knows nobody. The rules are in `reassembly/overlap.py`, their page is docs/overlaps.md.
"""

from __future__ import annotations

from enum import StrEnum


class Policy(StrEnum):
    """Families of systems. `first` is also Windows Vista and later, `bsd` also macOS and AIX, `solaris` also HP-UX 11."""

    FIRST = "first"
    LAST = "last"
    BSD = "bsd"
    LINUX = "linux"
    WINDOWS = "windows"
    SOLARIS = "solaris"

    @property
    def sentence(self) -> str:
        """The rule for two segments."""
        return _RULES[self]


_RULES = {
    Policy.FIRST: "The segment that came first keeps the bytes.",
    Policy.LAST: "The segment that came last takes them.",
    Policy.BSD: "The first keeps them, except where the later one begins before it.",
    Policy.LINUX: "The first keeps them, except where the later one begins before it, or begins with it and ends after it.",
    Policy.WINDOWS: "As bsd (Windows before Vista).",
    Policy.SOLARIS: "The later one takes them, except where the first ends after it, or begins before it and ends with it.",
}


class VlanKey(StrEnum):
    """`--vlan-key`: whether VLAN ids keep connections apart."""

    AUTO = "auto"
    """Where their numbers differ."""
    ON = "on"
    OFF = "off"
