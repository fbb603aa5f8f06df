"""Paths that a user gave, asked about without a surprise; and how a file that was written beside its place takes it: whole, or not at all.

`pathlib` raises where a folder above cannot be read, or a name is too long; whoever opens the file says that better.
"""

from __future__ import annotations

import os
from pathlib import Path

from pcapflow.errors import OutputError


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder; False where nobody can tell."""
    return os.path.isdir(path)  # noqa: PTH112 - see above


def is_file(path: str | Path) -> bool:
    """Whether there is a file; False where nobody can tell."""
    return os.path.isfile(path)  # noqa: PTH113 - see above


def is_there(path: str | Path) -> bool:
    """Whether there is anything; False where nobody can tell."""
    return os.path.exists(path)  # noqa: PTH110 - see above


def put_in_place(beside: Path, place: Path) -> None:
    """The file takes its place, with the rights of the one before, or of a new file. Raises `OutputError`."""
    umask = os.umask(0)
    os.umask(umask)
    try:
        beside.chmod(place.stat().st_mode & 0o777 if place.exists() else 0o666 & ~umask)
        beside.replace(place)
    except OSError as e:
        raise OutputError(f"{place}: cannot be written: {e.strerror}") from None
