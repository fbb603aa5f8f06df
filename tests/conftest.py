"""Shared by all tests: running a capture that is made of bytes."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import HealthCheck, settings

from pcapflow import pipeline
from pcapflow.entries import Kinds
from pcapflow.limits import Limits
from pcapflow.report.schema import schema
from pcapflow.summary import Summary

# hundreds of processes are started: each compiles the package again where its bytecode may not be kept
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

CASES = int(os.environ.get("PCAPFLOW_CASES", "1"))
"""How many times as many cases hypothesis tries; `python -m tests.benchmarks.cases` sets it."""
SAME_CASES = "PCAPFLOW_SAME_CASES" in os.environ
"""Whether hypothesis tries the same cases each time: one commit then has one result. `.ci/run` asks for that; who works on something gets others each time."""
settings.register_profile(
    "default",
    max_examples=100 * CASES,
    deadline=None,
    derandomize=SAME_CASES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("default")


def pytest_collection_finish() -> None:
    """What thousands of tests are made of stays: no collection looks at it again."""
    gc.collect()
    gc.freeze()


@dataclass
class Ran:
    """One run: its lines, and both as Python values."""

    result: pipeline.Result
    lines: list[bytes]

    @property
    def summary(self) -> Summary:
        return self.result.summary

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [r for r in map(json.loads, self.lines) if r["record"] == kind]

    def comparable(self) -> tuple[list[bytes], Any]:
        """Everything that must not depend on block sizes."""
        summary = msgspec.to_builtins(self.summary)
        for volatile in ("run", "memory", "limits", "captures"):
            del summary[volatile]
        return self.lines, summary


def unplaced(value: Any, *names: str) -> Any:
    """The same without what says in which of several captures a packet lies, and without other names."""
    if isinstance(value, bytes):
        value = json.loads(value)
    if isinstance(value, dict):
        return {key: unplaced(inner, *names) for key, inner in value.items() if key not in ("file", "frame", *names)}
    return [unplaced(one, *names) for one in value] if isinstance(value, list | tuple) else value


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that takes no field which it does not name; the shipped one does, since adding a field is free."""
    definitions = {name: {**d, "additionalProperties": False} if "properties" in d else d for name, d in schema["$defs"].items()}
    return {**schema, "$defs": definitions}


_STRICT = strict(schema())
IS_RECORD = jsonschema_rs.validator_for({"$schema": _STRICT["$schema"], "$ref": "#/$defs/Record", "$defs": _STRICT["$defs"]})
"""Whether a record is what the schema says. (jsonschema itself, which tests/report/test_schema.py uses, takes 25 times as long.)"""

Run = Callable[..., Ran]
ALL_RECORDS = frozenset(("connection", "http", "json", "gap", "conflict", "drop", "plugin"))


def check(ran: Ran) -> Ran:
    """What holds after every run."""
    assert ran.result.unbalanced == []
    for line in (*ran.lines, msgspec.json.encode(ran.summary)):
        IS_RECORD.validate(json.loads(line))
    summary = ran.summary
    decode = summary.decode
    assert decode.tcp + decode.udp + decode.other + decode.malformed + decode.unsupported_link == decode.packets
    for name, component in summary.memory.components.items():
        assert component.at_end_bytes == 0, name
        assert component.peak_bytes <= component.limit_bytes, name
    assert summary.memory.peak_bytes <= summary.memory.limit_bytes
    return ran


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Analyse a capture given as bytes or as a path."""

    def go(capture: bytes | str | Path, limits: Limits | None = None, kinds: Kinds = ALL_RECORDS, **options: Any) -> Ran:
        if isinstance(capture, bytes):
            path = tmp_path / "capture.pcap"
            path.write_bytes(capture)
        else:
            path = Path(capture)
        lines: list[bytes] = []
        result = pipeline.run([str(path)], limits, pipeline.Options(**options), write=lines.extend, kinds=kinds)
        return check(Ran(result, lines))

    return go
