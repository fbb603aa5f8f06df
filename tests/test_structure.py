"""The house: which way imports run, where regular expressions are compiled, and that every limit and drop is documented."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from pcapflow.drops import DropReason, GapCause
from pcapflow.limits import Limits

PACKAGE = Path(__file__).parents[1] / "pcapflow"
SOURCES = sorted(PACKAGE.rglob("*.py"))
VOCABULARY = {
    "entries",
    "bytes_behind_loss",
    "secret_bytes",
    "secret_code",
    "secret_kinds",
    "secret_lines",
    "secret_markup",
    "secret_members",
    "secret_pairs",
    "secret_settings",
    "secret_strings",
    "secret_words",
    "known_values",
    "ranges",
    "body_entries",
    "conditions",
    "whole_exchanges",
    "json_problems",
    "rows",
    "plugin_loading",
    "plugins",
    "options",
    "zstd",
    "json_backend",
    "errors",
    "limits",
    "stream_limits",
    "paths",
    "path_syntax",
    "memory_scale",
    "drops",
    "budget",
    "connection_names",
    "endpoint_names",
    "header_options",
    "redaction",
    "contents",
    "counting",
    "messages",
    "tables",
    "records",
    "process_memory",
    "processors",
    "terminal_text",
    "policy",
    "anomalies",
    "body_options",
    "fields",
    "summary",
    "sizes",
    "files",
    "suggestions",
    "unread",
}
STREAMS = {"streams.conversation", "streams.events"}
"""What stands between reassembly and the layers: neither knows the other."""
MAY_IMPORT = {
    "capture": VOCABULARY,
    "decode": VOCABULARY | {"capture.block"},
    "streams": VOCABULARY,
    "reassembly": VOCABULARY | {"capture.block", "decode.segments"} | STREAMS,
    "protocols": VOCABULARY | STREAMS,
    "payload": VOCABULARY,
    "findings": VOCABULARY
    | STREAMS
    | {
        "capture.packet_places",
        "decode.segments",
        "decode.unread",
        "payload.at_once",
        "payload.body",
        "payload.content",
        "payload.extract",
        "payload.pretty",
        "payload.nearest",
        "payload.json_formats",
        "payload.payload_types",
        "payload.joint_states",
        "payload.json_line_values",
        "payload.json_values",
        "payload.registry",
        "payload.tap",
        "payload.wanted",
        "payload.body_listener",
        "protocols.follower",
        "protocols.host",
        "protocols.known_exchanges",
        "protocols.http.cache",
        "protocols.http.plain_run",
        "protocols.http.exchange",
        "protocols.http.message",
        "protocols.http1.head",
        "protocols.registry",
        "protocols.prefix",
        "protocols.stack",
        "protocols.tls.handshake",
        "reassembly.beliefs",
        "reassembly.brief",
        "reassembly.causes",
        "reassembly.connection",
        "reassembly.half_open",
        "reassembly.half_stream",
        "reassembly.keys",
        "reassembly.path",
        "reassembly.seqspace",
        "reassembly.sizing",
    },
    "report": VOCABULARY,
    "workers": VOCABULARY
    | {
        "shard",
        "capture.block",
        "capture.interrupt",
        "capture.source",
        "capture.trace",
        "decode.columns",
        "decode.segments",
        "decode.shares",
    }
    | {"findings.listening"},
    "check": VOCABULARY
    | {"pipeline", "report.console", "report.documents", "report.schema", "capture.folders", "capture.trace", "capture.interrupt"}
    | {"workers.pool"},
    "cluster": VOCABULARY
    | {
        "pipeline",
        "shard",
        "capture.interrupt",
        "capture.folders",
        "capture.source",
        "capture.trace",
        "decode.shares",
        "report.documents",
        "report.sinks.parquet",
        "report.sinks.sqlite",
        "report.sinks.postgres",
        "report.sinks.postgres_server",
        "findings.listening",
        "findings.ordering",
        "report.sinks.base",
        "workers.division",
        "workers.frames",
        "workers.job",
        "workers.merge",
    },
    "slicing": VOCABULARY
    | {
        "pipeline",
        "capture.block",
        "capture.interrupt",
        "capture.trace",
        "decode.columns",
        "decode.dpkt_path",
        "decode.tunnels",
        "decode.fragments",
        "decode.segments",
        "decode.selection",
        "decode.shares",
        "findings.choosing",
        "findings.kept_masks",
        "findings.live_masks",
        "findings.masked_bodies",
        "findings.masked_streams",
        "findings.masking",
        "findings.scanning",
        "payload.json_formats",
        "payload.payload_types",
        "payload.joint_states",
        "payload.json_line_values",
        "payload.json_values",
        "report.sinks.base",
    },
    "cli": VOCABULARY
    | {
        "findings.choosing",
        "slicing.anonymize",
        "slicing.run",
        "slicing.scrub",
        "slicing.writing",
        "cluster.executing",
        "cluster.tasks",
        "cluster.report_a_capture",
        "workers.pool",
        "capture.interrupt",
        "check.baseline",
        "check.captures",
        "check.causes",
        "check.content",
        "check.content_mode",
        "check.left_out",
        "check.ignoring",
        "check.checking",
        "check.comparing",
        "check.config",
        "check.exporters",
        "check.reports",
        "check.tables",
        "check.verdicts",
        "check.workers",
        "pipeline",
        "report.documents",
        "report.schema",
        "report.sinks.base",
        "report.sinks.bodies",
        "findings.body_pieces",
        "report.sinks.har",
        "report.sinks.html",
        "report.sinks.parquet",
        "report.sinks.sqlite",
        "report.sinks.postgres",
        "report.sinks.postgres_server",
        "report.sinks.prometheus",
        "findings.extract",
        "report.sinks.values",
        "findings.follow",
        "findings.decoding",
        "report.terminal",
        "protocols.follower",
        "reassembly.connection",
        "payload.registry",
        "protocols.registry",
        "report.console",
        "cli",
    },
}
"""What a stage may import beside itself: the vocabulary, and the value types of the stage before it. `findings.collector` is where
what the stages find meets; `report` knows no stage; only `pipeline` knows all of them."""


def imports(path: Path) -> set[str]:
    """Modules of this package that a file imports, without the package's name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pcapflow":
            base = node.module.removeprefix("pcapflow").lstrip(".")
            for alias in node.names:
                name = f"{base}.{alias.name}".lstrip(".")
                is_module = (PACKAGE / (name.replace(".", "/") + ".py")).exists() or (PACKAGE / name.replace(".", "/")).is_dir()
                found.add(name if is_module else base)
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("pcapflow.") for a in node.names if a.name.startswith("pcapflow.")}
    return found - {""}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    names = imports(path)
    if parts[0] in MAY_IMPORT and len(parts) > 1:
        allowed = MAY_IMPORT[parts[0]]
        assert {n for n in names if n.split(".")[0] != parts[0] and n not in allowed} == set()
    elif parts[0] in VOCABULARY:
        assert names <= VOCABULARY
    else:
        assert parts[0] in ("__init__", "__main__", "start", "api", "keywords", "pipeline", "shard", "pytest_plugin")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_regular_expressions_are_compiled_once_at_module_level(path: Path) -> None:
    tree = ast.parse(path.read_text())
    inside = [n for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) for n in ast.walk(f)]
    for node in inside:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            assert node.func.value.id != "re", f"{path.name}:{node.lineno}: re.{node.func.attr} inside a function"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_opens_with_its_contract_and_stays_readable(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= 400


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_long_function_has_its_reason_above_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 60:
            assert lines[node.lineno - 2].lstrip().startswith("# One function: "), f"{path.name}: {node.name}"


def test_public_functions_have_docstrings() -> None:
    bare = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
                bare.append(f"{path.name}: {node.name}")
            if isinstance(node, ast.ClassDef) and any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
                methods = [method for method in node.body if isinstance(method, ast.FunctionDef) and not method.name.startswith("_")]
                bare += [f"{path.name}: {node.name}.{method.name}" for method in methods if not ast.get_docstring(method)]
            if isinstance(node, ast.Module):
                bare += [
                    f"{path.name}: {f.name}"
                    for f in node.body
                    if isinstance(f, ast.FunctionDef) and not f.name.startswith("_") and not ast.get_docstring(f)
                ]
    assert bare == []


def test_every_limit_has_its_unit_its_reason_and_what_happens_there() -> None:
    from dataclasses import fields

    for f in fields(Limits):
        assert f.metadata["unit"], f.name
        assert f.metadata["reason"], f.name
        assert f.metadata["reached"], f.name
        assert f.default > 0


def test_every_drop_and_every_cause_has_its_sentence() -> None:
    for member in (*DropReason, *GapCause):
        assert member.sentence.endswith(".")
    assert {r.layer for r in DropReason} == {"decode", "reassembly", "http", "content", "json", "multipart", "yaml", "plugin"}


def test_the_package_imports_nothing_heavy_before_it_is_used() -> None:
    import subprocess
    import sys

    code = "import sys, pcapflow.cli; print(sorted({'numpy', 'rich', 'ijson', 'dpkt', 'msgspec'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_all_modules_import() -> None:
    for path in SOURCES:
        if path.name != "__main__.py":
            importlib.import_module("pcapflow." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"))


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Modules that import one another, in groups (Tarjan 1972)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        numbers[name] = lowest[name] = len(numbers)
        stack.append(name)
        for other in sorted(graph.get(name, ())):
            if other not in numbers:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], numbers[other])
        if lowest[name] == numbers[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in numbers:
            visit(name)
    return found


def test_the_walk_of_one_body_names_what_is_there() -> None:
    rows = re.findall(r"^\| [0-9]+ \| `([^`]+)` \| (.+) \|$", (PACKAGE.parent / "docs" / "design.md").read_text(), re.MULTILINE)
    assert len(rows) > 10
    for file, said in rows:
        place = PACKAGE / file
        for word in re.findall(r"`([^`]+)`", f"`{file}` {said}"):
            if word.endswith(".py"):
                place = PACKAGE / word
                assert place.exists(), word
        everything = "".join(path.read_text() for path in SOURCES)
        for name in re.findall(r"`([A-Z][A-Za-z]+(?:\.[a-z_]+)?)`", said):
            owner, _, method = name.partition(".")
            assert f"class {owner}" in everything, name
            assert not method or f"def {method}(" in everything, name


def test_no_modules_import_one_another_not_even_for_types() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c"]]
    graph = {".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): imports(path) for path in SOURCES}
    assert cycles(graph) == []
