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
DEEPEST = 32
"""Levels of what a plug-in says."""
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

    try:
        points = sorted(guarded(lambda: entry_points(group=group)), key=lambda point: (point.name, point.value))
    except PluginError as e:
        return (Point(group, "?", None, f"the entry points of the packages cannot be read: {e}"),)
    found = []
    names = set(taken)
    for point in points:
        package = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "?"
        plugin = None
        try:
            plugin, problem = guarded(lambda: _loaded(point, base, names))  # noqa: B023 - called at once
        except PluginError as e:
            problem = str(e)
        name = point.name if plugin is None or problem else plugin.name
        names.add(name)
        found.append(Point(name, package, None if problem else plugin, problem))
    return tuple(found)


def _loaded(point: Any, base: Any, taken: set[str]) -> tuple[Any, str]:
    """What an entry point names, and why it is not used; empty for nothing."""
    loaded = point.load()
    plugin = loaded() if isinstance(loaded, type) else loaded
    if not isinstance(plugin, base):
        return None, f"it is no pcapflow.plugins.{base.__name__}"
    if type(plugin.name) is not str or not _NAME.fullmatch(plugin.name):
        return None, f"its name is {plugin.name!r:.60}: small letters, digits, - and _, 32 at the most"
    types = getattr(plugin, "media_types", ())
    if type(types) is not tuple or not all(type(one) is str for one in types):
        return None, "its media_types are no tuple of strings"
    return plugin, f"{plugin.name} is another's name" if plugin.name in taken else ""


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
    """A plug-in raised, or said what it cannot."""


def guarded(call: Callable[[], _R]) -> _R:
    """What a plug-in says; `PluginError` with what and where, for whatever it raises but Ctrl-C: an exit, a want of memory of its own making."""
    try:
        return call()
    except (KeyboardInterrupt, PluginError):
        raise
    except BaseException as e:
        raise PluginError(told(e)) from None


def told(e: BaseException) -> str:
    """An exception, and the line of the plug-in that raised it; nothing that JSON cannot say."""
    at = e.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f" ({at.tb_frame.f_code.co_filename.rpartition('/')[2]}:{at.tb_lineno})" if at is not None else ""
    try:
        text = str(e)
    except BaseException:
        text = "it cannot say what"
    return (f"{type(e).__name__}: {text}"[:_DETAIL] + where).encode("utf-8", "replace").decode()


def of_type(value: Any, kind: type[_R]) -> _R:
    """An answer of a plug-in, which has to be of a type and not of another."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"a {type(value).__name__} where a {kind.__name__} is asked for")
    return value


def encoded(fields: Any) -> bytes | None:
    """What a record says, as JSON; None for no record. Raises for what is no mapping, is no JSON, or is nested deeper than readers of reports go."""
    if fields is None:
        return None
    import msgspec

    data = msgspec.json.encode(dict(fields))
    if _depth(msgspec.json.decode(data)) > DEEPEST:  # which also shows that it is JSON: a value may be encoded already
        raise ValueError(f"fields are nested deeper than {DEEPEST}")
    return data


def _depth(value: Any) -> int:
    """How deep a value is nested; levels are looked at one by one, so that none is too deep to look at."""
    depth, level = 0, [value]
    while level := [inner for one in level for inner in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())]:
        depth += 1
    return depth
