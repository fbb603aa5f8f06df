"""pcapflow: what was said on the TCP connections of a packet capture, what could not be recovered, and why.

The command line's work, for Python (docs/python.md):

    import pcapflow
    report = pcapflow.analyze("trace.pcap", where="status=5xx", html="page.html")
    report.tcp.missing_bytes

`analyze` returns the typed summary; `iter_records` yields every record as it completes; `exchanges` and `connections` are rows for a data frame. `shards`, `analyze_shard` and `merge` are the same run in tasks
that any executor takes. All take the command line's options as keywords.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pcapflow.api import Report, analyze, analyze_shard, connections, exchanges, iter_records, merge, shards
    from pcapflow.errors import (
        AccountError,
        CaptureError,
        CaptureWarning,
        DatabaseError,
        OutputError,
        PcapflowError,
        ReportError,
        UsageError,
        WorkerError,
    )
    from pcapflow.limits import Limits
    from pcapflow.rows import ConnectionRow, ExchangeRow

__all__ = [
    "AccountError",
    "CaptureError",
    "CaptureWarning",
    "ConnectionRow",
    "DatabaseError",
    "ExchangeRow",
    "Limits",
    "OutputError",
    "PcapflowError",
    "Report",
    "ReportError",
    "UsageError",
    "WorkerError",
    "__version__",
    "analyze",
    "analyze_shard",
    "connections",
    "exchanges",
    "iter_records",
    "merge",
    "shards",
]

_HOMES = {
    **dict.fromkeys(("Report", "analyze", "analyze_shard", "connections", "exchanges", "iter_records", "merge", "shards"), "pcapflow.api"),
    **dict.fromkeys(
        (
            "AccountError",
            "CaptureError",
            "CaptureWarning",
            "DatabaseError",
            "OutputError",
            "PcapflowError",
            "ReportError",
            "UsageError",
            "WorkerError",
        ),
        "pcapflow.errors",
    ),
    **dict.fromkeys(("ConnectionRow", "ExchangeRow"), "pcapflow.rows"),
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
