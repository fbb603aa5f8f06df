"""pcapflow: what was said on the TCP connections of a packet capture, what could not be recovered, and why.

The command line's work, for Python:

    import pcapflow
    report = pcapflow.analyze("trace.pcap")
    report.tcp.missing_bytes

`analyze` returns the typed summary; `iter_records` yields every record as it completes. `shards`, `analyze_shard` and `merge` are the same run in tasks
that any executor takes. All take the same `Limits`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pcapflow.api import analyze, analyze_shard, iter_records, merge, shards
    from pcapflow.errors import AccountError, CaptureError, PcapflowError, WorkerError
    from pcapflow.limits import Limits

__all__ = [
    "AccountError",
    "CaptureError",
    "Limits",
    "PcapflowError",
    "WorkerError",
    "__version__",
    "analyze",
    "analyze_shard",
    "iter_records",
    "merge",
    "shards",
]

_HOMES = {
    "analyze": "pcapflow.api",
    "analyze_shard": "pcapflow.api",
    "iter_records": "pcapflow.api",
    "merge": "pcapflow.api",
    "shards": "pcapflow.api",
    "AccountError": "pcapflow.errors",
    "CaptureError": "pcapflow.errors",
    "PcapflowError": "pcapflow.errors",
    "WorkerError": "pcapflow.errors",
    "Limits": "pcapflow.limits",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for when it is asked for: `pcapflow --help` needs no numpy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pcapflow' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """What there is to ask for, imported or not."""
    return sorted(__all__)
