"""The Python interface: the command line's run, its options as keywords, rows for data frames, from any thread."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import pandas as pd
import polars as pl
import pytest

import pcapflow
from pcapflow import keywords
from pcapflow.cli.analyze import analyze as command
from pcapflow.endpoint_names import endpoint_of
from tests.craft import Talk, request, response
from tests.launcher import launch_text

SAMPLES = sorted((Path(__file__).parents[1] / "samples").glob("*.pcap"))
SHOP = SAMPLES[0].parent / "shop.pcap"
LOSSY = SAMPLES[0].parent / "lossy.pcap"
OF_THE_FORM = {
    "cluster", "help_all", "json", "memory", "ndjson", "no_records", "output", "quiet", "records", "section", "separate", "shards", "spill", "top",
}  # fmt: skip
"""What says how the report is shown, and where tasks run: Python has functions for that."""
VALUES: dict[str, Any] = {
    "filter": "port 8090",
    "from_": "2026-11-26",
    "to": 4e9,
    "packets": 500,
    "tunnels": "off",
    "vlan_key": "on",
    "verify_checksums": True,
    "headers": ["host", "date"],
    "show_secrets": True,
    "sniff_json": True,
    "hash_bodies": True,
    "shapes": True,
    "duplicate_keys": True,
    "where": {"status": "5xx", "min-duration": "1ms"},
    "memory_limit": "48MiB",
    "ring_size": 1 << 20,
    "ring_ranges": 100,
    "max_connections": 5000,
    "gap_timeout": 2.5,
    "idle_timeout": timedelta(minutes=5),
    "block_size": "1MiB",
    "overload": "drop",
    "overlap": "windows",
    "json_parser": "ijson",
}
"""One for each keyword that changes what is read or recorded."""


def same(report: msgspec.Struct) -> dict[str, Any]:
    """What is the same in every run."""
    found: dict[str, Any] = json.loads(msgspec.json.encode(report))
    return {name: value for name, value in found.items() if name not in ("run", "memory")}


def on_the_command_line(keyword: str, value: Any) -> list[str]:
    flag = f"--{keyword.rstrip('_').replace('_', '-')}"
    if value is True:
        return [flag]
    if isinstance(value, dict):
        value = ",".join(f"{key}={one}" for key, one in value.items())
    if isinstance(value, list):
        value = ",".join(value)
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return [flag, f"{value:g}s" if keyword.endswith("timeout") else str(value)]


def test_every_option_of_the_command_line_has_a_keyword() -> None:
    options = {
        max(param.opts, key=len)[2:].replace("-", "_")
        for param in command.params
        if isinstance(param, click.Option) and not param.hidden and param.name != "help"
    }
    expected = {"from_" if name == "from" else name for name in options - OF_THE_FORM}
    assert set(keywords.OutputOptions.__annotations__) - {"limits"} == expected


def test_the_words_that_a_keyword_takes_are_those_of_its_option() -> None:
    import typing

    hints = typing.get_type_hints(keywords.OutputOptions)
    for param in command.params:
        if isinstance(param.type, click.Choice):
            name = max(param.opts, key=len)[2:].replace("-", "_")
            assert set(get_args(hints[name])) == set(param.type.choices), name


@pytest.mark.parametrize("keyword", VALUES)
def test_a_keyword_does_what_its_option_does(keyword: str) -> None:
    value = VALUES[keyword]
    done = launch_text("analyze", "-q", "--ndjson", "--workers", "1", *on_the_command_line(keyword, value), SHOP)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    records = [json.loads(msgspec.json.encode(record)) for record in pcapflow.iter_records(SHOP, **{keyword: value})]
    assert records[:-1] == lines[:-1]
    for summary in (records[-1], lines[-1]):
        del summary["run"], summary["memory"]
    assert records[-1] == lines[-1]


def test_all_keywords_together_are_the_options_together() -> None:
    options = [word for keyword, value in VALUES.items() for word in on_the_command_line(keyword, value)]
    done = launch_text("analyze", "-q", "--json", "--no-records", "--workers", "1", *options, "--har", "/dev/null", SHOP)
    expected = {name: value for name, value in json.loads(done.stdout).items() if name not in ("run", "memory")}
    assert same(pcapflow.analyze(SHOP, **VALUES)) == {"record": "summary", **expected}


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"memory_limit": "lots"}, pcapflow.UsageError, "memory_limit: 'lots' is not a size"),
        ({"overlap": "newest"}, pcapflow.UsageError, "overlap: 'newest' is not one of"),
        ({"sniff_json": 1}, pcapflow.UsageError, "sniff_json: 1 is neither True nor False"),
        ({"where": "colour=red"}, pcapflow.UsageError, "where: "),
        ({"filter": "port x"}, pcapflow.UsageError, "filter"),
        ({"gap_timeout": -1}, pcapflow.UsageError, "gap_timeout: "),
        ({"from_": datetime(2026, 1, 1)}, pcapflow.UsageError, "from_: datetime.datetime(2026, 1, 1, 0, 0) has no time zone"),  # noqa: DTZ001 - that it has none
        ({"limits": pcapflow.Limits(), "ring_size": 5000}, pcapflow.UsageError, "ring_size: limits has it already"),
        ({"memory_limt": "1MiB"}, TypeError, "unexpected keyword argument 'memory_limt'; did you mean memory_limit?"),
        ({"har": "/nowhere/x.har"}, pcapflow.OutputError, "/nowhere/x.har"),
        ({"html": SHOP}, pcapflow.UsageError, "shop.pcap"),
    ],
)
def test_a_value_that_is_none_is_refused_with_the_keyword_s_name(given: dict[str, Any], error: type[Exception], said: str) -> None:
    before = SHOP.read_bytes()
    with pytest.raises(error) as raised:
        pcapflow.analyze(SHOP, **given)
    assert said in str(raised.value)
    assert SHOP.read_bytes() == before


def test_points_in_time_are_seconds_or_have_a_zone() -> None:
    begin = datetime(2026, 11, 26, 11, 9, 45, tzinfo=UTC)
    one, two = (pcapflow.analyze(SHOP, from_=moment) for moment in (begin, begin.timestamp()))
    assert same(one) == same(two)
    assert 0 < one.tcp.segments < pcapflow.analyze(SHOP).tcp.segments


@pytest.mark.parametrize("name", ["iter_records", "exchanges", "connections"])
def test_only_analyze_writes_files(name: str, tmp_path: Path) -> None:
    function: Callable[..., Any] = getattr(pcapflow, name)
    with pytest.raises(TypeError, match="unexpected keyword argument 'har'"):
        list(function(SHOP, har=tmp_path / "x.har"))


def test_analyze_writes_what_the_command_writes(tmp_path: Path) -> None:
    pcapflow.analyze(
        SHOP, har=tmp_path / "a.har", html=tmp_path / "a.html", parquet=tmp_path / "a", sqlite=tmp_path / "a.db", har_body_max=10
    )
    out = (str(tmp_path / name) for name in ("b.har", "b.html", "b"))
    flags = [word for pair in zip(("--har", "--html", "--parquet"), out, strict=True) for word in pair]
    launch_text("analyze", "-q", "--workers", "1", "--har-body-max", "10", *flags, SHOP)
    assert (tmp_path / "a.har").read_bytes() == (tmp_path / "b.har").read_bytes()
    assert pl.read_parquet(tmp_path / "a" / "http.parquet").equals(pl.read_parquet(tmp_path / "b" / "http.parquet"))
    assert (tmp_path / "a.html").stat().st_size > 10_000
    assert (tmp_path / "a.db").stat().st_size > 10_000


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / "x.har").write_text("before")
    with pytest.raises(pcapflow.CaptureError):
        pcapflow.analyze(Path(__file__), har=tmp_path / "x.har")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.har", "before")]


# --- records


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_each_record_names_its_type_as_json_does(path: Path) -> None:
    for record in pcapflow.iter_records(path, kinds=["http", "connection", "json", "gap", "drop", "conflict"]):
        assert json.loads(msgspec.json.encode(record))["record"] == record.record


def test_where_leaves_the_exchanges_that_are_meant() -> None:
    assert {record.record for record in pcapflow.iter_records(SHOP, where="status=5xx")} == {"http", "summary"}
    assert [row.status for row in pcapflow.exchanges(SHOP, where={"status": "5xx"})] == [503, 503, 503]
    with pytest.raises(pcapflow.UsageError, match="where: "):
        list(pcapflow.iter_records(SHOP, where="status=5xx", kinds=["gap"]))
    with pytest.raises(pcapflow.UsageError, match="where: "):
        pcapflow.connections(SHOP, where="status=5xx")


# --- rows


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_rows_are_the_records(path: Path) -> None:
    records = [json.loads(msgspec.json.encode(record)) for record in pcapflow.iter_records(path)]
    rows = pcapflow.exchanges(path)
    want = [record for record in records if record["record"] == "http"]
    assert len(rows) == len(want)
    for row, record in zip(rows, want, strict=True):
        asked, answered = record["request"], record["response"]
        assert (row.connection, row.exchange, row.ts, row.duration) == tuple(
            record[n] for n in ("connection", "exchange", "ts", "duration")
        )
        assert (row.server_ip, row.server_port) == (record["server"]["ip"], record["server"]["port"])
        assert row.status == (answered["status"] if answered else None)
        assert row.method == (asked["method"] if asked else None)
        assert row.response_bytes == (answered["body"]["bytes"] if answered else None)
        if asked and not asked["operations"]:
            assert row.endpoint == endpoint_of(asked["method"], asked["host"], asked["target"])
        if row.duration is not None and row.upload is not None and row.wait is not None and row.transfer is not None and row.wait > 0:
            assert row.upload + row.wait + row.transfer == pytest.approx(row.duration, abs=3e-6)
    lines = [record for record in records if record["record"] == "connection"]
    for one, record in zip(pcapflow.connections(path), lines, strict=True):
        sides = record["streams"]
        assert (one.connection, one.protocol, one.end) == (record["connection"], record["protocol"], record["end"])
        assert (one.client_bytes, one.server_bytes) == tuple(sides[side]["captured_bytes"] for side in ("client", "server"))
        assert one.client_missing_bytes + one.server_missing_bytes == sum(sides[side]["missing_bytes"] for side in sides)


@pytest.mark.parametrize("path", [path for path in SAMPLES if path.name != "redis.pcap"], ids=lambda p: p.name)
@pytest.mark.parametrize("rows", [pcapflow.exchanges, pcapflow.connections])
def test_polars_and_pandas_take_rows_in_one_line(path: Path, rows: Callable[[Path], list[Any]]) -> None:
    found = rows(path)
    for frame in (pl.DataFrame(found), pd.DataFrame(found)):
        assert list(frame.columns) == list(found[0]._fields)
        assert len(frame) == len(found)
    assert pl.DataFrame(found).rows() == [tuple(row) for row in found]


def test_a_column_has_its_type_where_its_first_rows_are_none(tmp_path: Path) -> None:
    """polars looks at 100 rows of dicts; here 150 come before one has an answer."""
    talks = [Talk(sport=10_000 + n).open().send(0, request(f"/{n}")).acknowledge(1).close() for n in range(150)]
    talks.append(Talk(sport=20_000).open().send(0, request("/x")).send(1, response(b"{]")).close())
    path = tmp_path / "x.pcap"
    frames = []
    for talk in talks:
        frames += [(us + 1_000_000 * talks.index(talk), frame) for us, frame in talk.frames]
    from tests.craft import pcap

    path.write_bytes(pcap(frames))
    rows = pcapflow.exchanges(path)
    assert [row.status for row in rows] == [None] * 150 + [200]
    frame = pl.DataFrame(rows)
    assert (frame.schema["status"], frame.schema["error"], frame.schema["duration"]) == (pl.Int64, pl.String, pl.Float64)
    assert pl.DataFrame(rows[:150]).schema == frame.schema
    assert frame["error"][-1] is not None


# --- the report in a notebook, warnings, threads


def test_a_report_shows_itself_in_a_notebook(tmp_path: Path) -> None:
    html = pcapflow.analyze(SHOP)._repr_html_()
    assert html.startswith("<pre ")
    assert "Slowest endpoints, by p95" in html
    path = tmp_path / "x.pcap"
    Talk().open().send(0, request("/<script>alert(1)</script>")).send(1, response(b"{}", status="500 <b>")).close().save(path)
    assert "<script>" not in pcapflow.analyze(path)._repr_html_()
    assert "&lt;script&gt;" in pcapflow.analyze(path)._repr_html_()


def test_what_the_command_line_says_as_a_warning_is_one(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(SHOP.read_bytes()[:-5])
    with pytest.warns(pcapflow.CaptureWarning, match="its last record is cut short") as seen:
        pcapflow.analyze(path)
    assert seen[0].filename == __file__
    with pytest.warns(pcapflow.CaptureWarning, match="cut short"):
        list(pcapflow.iter_records(path))
    with pytest.warns(pcapflow.CaptureWarning, match="cut short"):
        pcapflow.connections(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pcapflow.analyze(SHOP)


def test_several_threads_find_what_one_finds() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(5000)
    try:
        alone = {path: (same(pcapflow.analyze(path)), pcapflow.exchanges(path)) for path in SAMPLES}
        with ThreadPoolExecutor(8) as pool:
            for _ in range(3):
                together = list(pool.map(lambda path: (same(pcapflow.analyze(path)), pcapflow.exchanges(path)), SAMPLES))
                assert dict(zip(SAMPLES, together, strict=True)) == alone
        assert sys.get_int_max_str_digits() == 5000
    finally:
        sys.set_int_max_str_digits(before)


def test_ctrl_c_ends_the_program_that_called_it(tmp_path: Path) -> None:
    code = """
import os, signal, threading, pcapflow
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    pcapflow.analyze("-")
except KeyboardInterrupt:
    print("interrupted")
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.read() == "interrupted\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_workers_change_nothing() -> None:
    assert same(pcapflow.analyze(SHOP, workers=2)) == same(pcapflow.analyze(SHOP))
    assert pcapflow.exchanges(LOSSY, workers=2) == pcapflow.exchanges(LOSSY)
