"""Memory of this process as Linux sees it: what it takes, what its container allows, and a hard limit on it.

Vocabulary: knows nobody. Where the system has no /proc, no control groups or no such limit, the answer is that there is none.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from pcapflow.errors import UsageError

OVERHEAD_BYTES = 24 << 20
"""The most that a run takes beside its accounts once everything is loaded: objects of one block, caches, what the allocators keep."""
FIXED_BYTES = 40 * (1 << 20) + OVERHEAD_BYTES
"""The same with Python, numpy and the libraries (docs/memory.md)."""

_FIELD = re.compile(r"^(Vm(?:HWM|RSS|Data|Size)):\s+(\d+) kB$", re.MULTILINE)


def resident_bytes() -> tuple[int, int]:
    """Peak and present resident memory in bytes; zeros where the system has no /proc. The peak is VmHWM: ru_maxrss
    survives fork and exec, so it would show the parent's.
    """
    status = _status()
    return status.get("VmHWM", 0), status.get("VmRSS", 0)


def keep_freed_memory() -> None:
    """glibc gives memory at the end of its heap back to the system beyond twice the largest piece that was freed (mallopt(3), M_MMAP_THRESHOLD), and then each block's columns
    would be asked of it again, page by page: a fifth of a run's time. So a large piece is freed first, of which no page was touched.
    """
    bytearray(_KEPT_BYTES)


_KEPT_BYTES = 4 << 20
"""Twice as much stays at the most; a block's columns and bodies take less."""


def _status() -> dict[str, int]:
    """What /proc says of this process's memory, in bytes."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    return {name: int(kilobytes) * 1024 for name, kilobytes in _FIELD.findall(text)}


def address_limit() -> int | None:
    """Bytes of addresses that this process may have, and each that it starts (`ulimit -v`); None for no limit."""
    try:
        import resource
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def can_load_libraries() -> bool:
    """Whether a limit on this process's address space leaves enough for numpy, whose libraries end the process where it does not."""
    limit = address_limit()
    return limit is None or limit - _status().get("VmSize", 0) > _LIBRARIES_BYTES


_LIBRARIES_BYTES = 76 << 20
"""Addresses that numpy's code and buffers take."""


def container_limit(root: Path = Path("/")) -> int | None:
    """The least memory limit, in bytes, of the control group of this process and those above it; None where there is none.
    Both versions of control groups (cgroup-v2.rst of the kernel, `memory.max`; version 1, `memory.limit_in_bytes`).
    """
    found = [_number(folder / name) for folder, name in control_groups(root, "memory", "memory.max", "memory.limit_in_bytes")]
    return min((limit for limit in found if limit is not None), default=None)


def control_groups(root: Path, controller: str, name: str, older: str) -> list[tuple[Path, str]]:
    """Folders of the control groups of this process and of those above it, each with the file that has a controller's bound: of the second version, and of the first (`older`)."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found: list[tuple[Path, str]] = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        base, file = (root / "sys/fs/cgroup" / controller, older) if controllers else (root / "sys/fs/cgroup", name)
        parts = [part for part in path.split("/") if part and part != ".."]
        found += [(base.joinpath(*parts[:depth]), file) for depth in range(len(parts) + 1)]
    return found


_UNLIMITED = 1 << 60
"""Version 1 says "no limit" with a number near 2**63."""


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() and int(text) < _UNLIMITED else None


_HEADROOM = 12 << 20


class HardLimit:
    """A context within which this process cannot take more than size bytes of memory: an allocation beyond raises MemoryError.

    RLIMIT_DATA, which since Linux 4.7 counts all private writable memory; RLIMIT_AS would count the code of libraries too. What the
    libraries reserved before and never touch (buffers, stacks of threads) is set aside: size is what is taken now and what may
    come. `lift` ends it early: what is left to do, the report, must not fail for the same reason.
    """

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._before: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        if self._size is None:
            return self
        status = _status()
        taken, reserved = status.get("VmRSS", 0), status.get("VmData", 0)
        if self._size <= taken:
            raise UsageError(
                f"a process limit of {self._size} bytes is less than the {taken} that the program takes before it reads anything"
            )
        try:
            import resource

            before = resource.getrlimit(resource.RLIMIT_DATA)
            hard = before[1]
            size = reserved + self._size - taken
            resource.setrlimit(resource.RLIMIT_DATA, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))
        except (ImportError, OSError, ValueError) as e:
            raise UsageError(f"a process limit of {self._size} bytes cannot be set: {e}") from None
        self._before = before
        return self

    def check(self) -> None:
        """Raises MemoryError where less is left than the work on one block may take. Libraries in C do not all survive an allocation that
        fails (numpy was seen to crash), so the limit is to be met here, between blocks; the system's is for a defect within one.
        """
        if self._size is not None and self._size - resident_bytes()[1] < _HEADROOM:
            raise MemoryError

    def lift(self) -> None:
        """The limit is as it was before."""
        if self._before is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, self._before)
            self._before = None

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.lift()


@contextmanager
def loading() -> Iterator[None]:
    """Modules are loaded, and stay: Python searches neither while they are nor, in a process that is the command's own (`start`), among them later."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count():
            gc.freeze()
        if was_on:
            gc.enable()


@contextmanager
def memory_at_hand() -> Iterator[None]:
    """What a block frees is there for the next one. Objects here are freed by their count: connections leave no circles behind (tests hold it). Python's
    search for circles would go over every live connection again and again and find nothing.
    """
    keep_freed_memory()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
