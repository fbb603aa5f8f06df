"""The files in a directory that a user gave in the place of captures.

Contract: names are in order, and what they take is asked for before they are kept. Raises `CaptureError`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from sys import getsizeof

from pcapflow.capture.interrupt import Interrupt
from pcapflow.capture.reader import Keep
from pcapflow.capture.remote import objects_in
from pcapflow.errors import CaptureError
from pcapflow.files import is_folder, is_temporary, is_url

_PATHS, _SHORT_PATH = 4, 160


def is_set(path: str) -> bool:
    """Whether a path stands for the captures under it: a directory, or a URL that ends with a slash."""
    return path.endswith("/") if is_url(path) else is_folder(path)


def files_in(folder: str, keep: Keep, interrupt: Interrupt) -> list[str]:
    """The files in a directory, by name. keep: asked whether there is room for so many bytes that are kept of one."""
    if is_url(folder):
        return objects_in(folder, keep, path_cost, interrupt)
    found: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file() and not is_temporary(entry.name):
                    path = os.path.join(folder, entry.name)  # noqa: PTH118 - as the folder was given
                    if not keep(path_cost(path)):
                        raise CaptureError(
                            folder,
                            f"holds too many files: the names of {len(found) + 1} take more than the memory limit leaves; give a larger --memory-limit",
                            unreadable=True,
                        )
                    found.append(path)
    except OSError as e:
        raise CaptureError(folder, f"cannot be read: {e.strerror}", unreadable=True) from None
    return sorted(found)


def path_cost(path: str) -> int:
    """What the copies of a long path take: here, in what says where a packet is, in the report, and in its text. INPUT_BYTES have a short one."""
    return _PATHS * max(0, getsizeof(path) + len(json.dumps(path)) - _SHORT_PATH)


def skipped_files(files: Sequence[str]) -> str:
    """What to say of files in a directory that are no captures; nothing for none."""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0]}{more}: not a capture, skipped" if files else ""
