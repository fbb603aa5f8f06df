"""How a file that was written beside its place takes it: whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from pcapflow.errors import OutputError


def put_in_place(beside: Path, place: Path) -> None:
    """The file takes its place, with the rights of the one before, or of a new file. Raises `OutputError`."""
    umask = os.umask(0)
    os.umask(umask)
    try:
        beside.chmod(place.stat().st_mode & 0o777 if place.exists() else 0o666 & ~umask)
        beside.replace(place)
    except OSError as e:
        raise OutputError(f"{place}: cannot be written: {e.strerror}") from None
