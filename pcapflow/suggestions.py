"""What a misspelt word may have meant. Vocabulary: knows nobody."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean gaps?`, for a word that is none of the known; nothing where none is near."""
    import difflib  # noqa: PLC0415 - few words are misspelt

    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
