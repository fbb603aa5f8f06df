"""Which plug-ins are installed: entry points of other packages.

Contract: `installed` gives what the packages in the interpreter's path name under a group, loaded, by name; one that cannot be loaded has its problem instead. Invariant: nothing is imported
where no package has an entry point of pcapflow's: `importlib.metadata` alone takes a sixth of a start.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeVar

_POINTS = (".dist-info", ".egg-info")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_DETAIL = 200
_R = TypeVar("_R")
PROTOCOLS, PAYLOADS = "pcapflow.protocols", "pcapflow.payloads"


class Point(NamedTuple):
    """One entry point."""

    name: str
    """The plug-in's own; the entry point's where it could not be loaded."""
    package: str
    """Who brings it, with its version."""
    plugin: Any
    problem: str
    """Why it is not used; empty for none."""


@cache
def installed(group: str, base: Any, taken: frozenset[str] = frozenset()) -> tuple[Point, ...]:
    """What is installed under a group, in the order of names; base: what each has to be one of; taken: names that are pcapflow's own."""
    if not _any():
        return ()
    from importlib.metadata import entry_points

    found = []
    names = set(taken)
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        package = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "?"
        try:
            loaded = point.load()
            plugin = loaded() if isinstance(loaded, type) else loaded
            problem = _problem(plugin, base, names)
        except Exception as e:
            plugin, problem = None, f"{type(e).__name__}: {e}"
        name = point.name if problem else plugin.name
        names.add(name)
        found.append(Point(name, package, None if problem else plugin, problem))
    return tuple(found)


def _problem(plugin: Any, base: Any, taken: set[str]) -> str:
    if not isinstance(plugin, base):
        return f"it is no pcapflow.plugins.{base.__name__}"
    if not isinstance(plugin.name, str) or not _NAME.fullmatch(plugin.name):
        return f"its name is {plugin.name!r:.60}: small letters, digits, - and _, 32 at the most"
    return f"{plugin.name} is another's name" if plugin.name in taken else ""


@cache
def _any() -> bool:
    """Whether some package may have one: the text of its entry points names pcapflow."""
    for folder in sys.path:
        try:
            with os.scandir(folder or ".") as entries:
                names = [entry.path for entry in entries if entry.name.endswith(_POINTS)]
        except NotADirectoryError:
            if "python" not in folder.rpartition(os.sep)[2]:
                return True  # an archive of packages
            continue
        except OSError:
            continue
        for name in names:
            try:
                with open(os.path.join(name, "entry_points.txt"), "rb") as file:  # noqa: PTH123, PTH118 - a path each would take as long as the rest
                    if b"[pcapflow." in file.read():
                        return True
            except OSError:
                continue
    return False


class PluginError(Exception):
    """A plug-in raised."""


def guarded(call: Callable[[], _R]) -> _R:
    """What a plug-in says; `PluginError` with what and where, for whatever it raises but a process without memory."""
    try:
        return call()
    except MemoryError:
        raise
    except Exception as e:
        raise PluginError(told(e)) from None


def told(e: Exception) -> str:
    """An exception, and the line of the plug-in that raised it."""
    at = e.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f" ({at.tb_frame.f_code.co_filename.rpartition('/')[2]}:{at.tb_lineno})" if at is not None else ""
    return f"{type(e).__name__}: {e}"[:_DETAIL] + where
