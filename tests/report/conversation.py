"""One exchange as a capture; a capture's records, and what a run gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pcapflow import pipeline
from pcapflow.limits import Limits
from pcapflow.report.sinks.base import Sink
from tests.conftest import ALL_RECORDS
from tests.craft import Talk


def capture(request: bytes, response: bytes) -> bytes:
    """A connection with a handshake, one request, one response, and an end."""
    return Talk().open().send(0, request).send(1, response).close().bytes()


def run(path: Path, *sinks: Sink, limits: Limits | None = None, **more: Any) -> tuple[list[dict[str, Any]], pipeline.Result]:
    """Its records, all of its memory given back."""
    lines: list[bytes] = []
    result = pipeline.run([str(path)], limits, write=lines.extend, kinds=ALL_RECORDS, sinks=sinks, **more)
    assert result.unbalanced == []
    assert all(component.at_end_bytes == 0 for component in result.summary.memory.components.values())
    return [json.loads(line) for line in lines], result
