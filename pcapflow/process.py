"""Resident memory of this process, as Linux tells it. Vocabulary: knows nobody."""

from __future__ import annotations

import re
from pathlib import Path

_FIELD = re.compile(r"^(Vm(?:HWM|RSS)):\s+(\d+) kB$", re.MULTILINE)


def resident_bytes() -> tuple[int, int]:
    """Peak and present resident memory in bytes; zeros where the system has no /proc. The peak is VmHWM: ru_maxrss
    survives fork and exec, so it would show the parent's.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0, 0
    values = dict(_FIELD.findall(status))
    return int(values.get("VmHWM", 0)) * 1024, int(values.get("VmRSS", 0)) * 1024
