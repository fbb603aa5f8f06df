"""`slice`: the packets of chosen connections, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.capture.containers import FORMATS
from tests.captures import capture_of
from tests.conftest import unplaced
from tests.craft import SYN, Talk, ethernet, ip4, merge, pcap, request, response, tcp_header
from tests.launcher import launch

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap"))
_PLACES = ("connection", "packet", "requested_by_connection", "requested_by")


def pcapflow(*arguments: object, status: int = 0) -> tuple[bytes, str]:
    done = launch(*arguments)
    assert done.returncode == status, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done.stdout, done.stderr.decode()


def records(path: Path, *options: object) -> list[dict[str, Any]]:
    done = launch("analyze", "-q", "--ndjson", path, *options)
    return [json.loads(line) for line in done.stdout.splitlines()[:-1]]


def without_places(found: list[dict[str, Any]]) -> list[str]:
    """In any order: where packets of other connections are gone, what one packet completed may come from another."""
    return sorted(json.dumps(_bare(record), sort_keys=True) for record in found)


def _bare(record: dict[str, Any]) -> Any:
    """When a loss is told depends on the clock, which the packets of all connections carry on."""
    later = ("ts", "held_bytes") if record["record"] == "gap" else ()
    return unplaced(record, *_PLACES, *later)


def numbers(path: Path) -> list[int]:
    return [record["connection"] for record in records(path) if record["record"] == "connection"]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", ["s.pcap", "s.pcapng.gz"])
def test_analysis_of_a_slice_of_a_sample_gives_the_same_records_for_its_connections(sample: Path, name: str, tmp_path: Path) -> None:
    found = records(sample)
    there = [record["connection"] for record in found if record["record"] == "connection"]
    chosen = there[:: max(1, len(there) // 3)][:4]
    for number in chosen:
        out = tmp_path / f"{number}-{name}"
        pcapflow("slice", "-q", sample, "--connection", number, "-o", out)
        assert without_places(records(out)) == without_places([r for r in found if r.get("connection") == number])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_slice_of_all_connections_with_an_exchange_has_all_their_records(sample: Path, tmp_path: Path) -> None:
    found = records(sample)
    meant = {r["connection"] for r in found if r["record"] == "http" and (r["response"] or {}).get("status") == 200}
    pcapflow("slice", "-q", sample, "--where", "status=200", "-o", tmp_path / "s.pcapng")
    assert without_places(records(tmp_path / "s.pcapng")) == without_places([r for r in found if r["connection"] in meant])


def told(path: Path) -> list[list[str]]:
    fields = ("frame.time_epoch", "frame.len", "frame.cap_len", "ip.src", "tcp.srcport", "tcp.seq_raw", "tcp.flags", "tcp.checksum")
    done = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", *(part for name in fields for part in ("-e", name))],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("ending", ["pcap", "pcapng", "pcap.gz", "pcapng.zst", "pcap.xz", "pcap.bz2"])
def test_packets_keep_link_layer_times_and_order(ending: str, tmp_path: Path) -> None:
    sample = next(path for path in SAMPLES if path.stem == "json-api")
    out = tmp_path / f"s.{ending}"
    pcapflow("slice", "-q", sample, "--where", "host=10.77.0.1:8080", "-o", out)
    whole, first = numbers(sample), numbers(out)
    assert len(first) == len(whole)
    inside = pcapflow("analyze", "-q", "--json", "--no-records", out)[0]
    of_sample = pcapflow("analyze", "-q", "--json", "--no-records", sample)[0]
    assert json.loads(inside)["captures"][0]["link_types"] == json.loads(of_sample)["captures"][0]["link_types"]
    assert json.loads(inside)["captures"][0]["first_ts"] == json.loads(of_sample)["captures"][0]["first_ts"]
    for number in numbers(out):
        assert number


def test_tshark_reads_the_same_packets_out_of_a_slice(tmp_path: Path) -> None:
    pytest.importorskip("shutil")
    import shutil

    if shutil.which("tshark") is None:
        pytest.skip("no tshark here")
    sample = next(path for path in SAMPLES if path.stem == "lossy")
    pcapflow("slice", "-q", sample, "--problems", "-o", tmp_path / "s.pcap")
    pcapflow("slice", "-q", sample, "--problems", "-o", tmp_path / "s.pcapng")
    some, whole = told(tmp_path / "s.pcap"), told(sample)
    assert some == told(tmp_path / "s.pcapng")
    assert 0 < len(some) < len(whole)
    there: Iterator[list[str]] = iter(whole)
    assert all(row in there for row in some)  # in order


def three() -> tuple[Talk, Talk, Talk]:
    ok = Talk(sport=40001).open().send(0, request("/ok")).send(1, response(b"{}")).close()
    bad = Talk(sport=40002).open().send(0, request("/bad")).send(1, response(b"{}", status="500 No")).close()
    lost = Talk(sport=40003).open().send(0, request("/lost")).send(1, response(b"[1, 2]"), keep=False).acknowledge(0).close()
    for i, talk in enumerate((ok, bad, lost)):
        talk.frames = [(us + i, frame) for us, frame in talk.frames]
    return ok, bad, lost


@pytest.mark.parametrize(
    ("options", "ports"),
    [
        (("--problems",), {40002, 40003}),
        (("--where", "status=5xx"), {40002}),
        (("--where", "path=/ok"), {40001}),
        (("--where", "path=/*", "--problems"), {40002, 40003}),
        (("--packet", "2"), {40002}),
        (("--connection", "10.0.0.1:40003-10.0.0.2:80"), {40003}),
        (("--where", "connection=1"), {40001}),
        (("--where", "min-duration=1h"), set()),
    ],
)
def test_connections_are_chosen_by(options: tuple[str, ...], ports: set[int], tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(merge(*three()))
    _, errors = pcapflow("slice", tmp_path / "x.pcap", *options, "-o", tmp_path / "s.pcap")
    assert {r["client"]["port"] for r in records(tmp_path / "s.pcap") if r["record"] == "connection"} == ports
    assert f"{len(ports)} connection{'' if len(ports) == 1 else 's'}" in errors
    again = [
        pcapflow("slice", "-q", tmp_path / "x.pcap", *options, "-o", "-", *more)[0]
        for more in ((), ("--block-size", "2KiB"), ("--workers", "2"))
    ]
    assert again == [(tmp_path / "s.pcap").read_bytes()] * 3


def test_ports_that_are_used_again_are_told_apart_by_time(tmp_path: Path) -> None:
    first = Talk(sport=40001).open().send(0, request("/first")).send(1, response(b"1")).close()
    second = Talk(sport=40001, isn=(90_000, 80_000))
    second.us = first.us + 1_000_000
    second.open().send(0, request("/second")).send(1, response(b"2")).close()
    (tmp_path / "x.pcap").write_bytes(merge(first, second))
    for path in ("/first", "/second"):
        pcapflow("slice", "-q", tmp_path / "x.pcap", "--where", f"path={path}", "-o", tmp_path / "s.pcap")
        assert [r["request"]["target"] for r in records(tmp_path / "s.pcap") if r["record"] == "http"] == [path]
        assert len(numbers(tmp_path / "s.pcap")) == 1


def test_standard_input_is_sliced_by_ends_in_one_pass_and_else_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(merge(*three()))
    command = [sys.executable, "-m", "pcapflow", "slice", "-q", "-", "-o", "-"]
    with (tmp_path / "x.pcap").open("rb") as file:
        done = subprocess.run([*command, "--connection", "10.0.0.1:40002-10.0.0.2:80"], stdin=file, capture_output=True, check=True)
    (tmp_path / "s.pcap").write_bytes(done.stdout)
    assert [r["request"]["target"] for r in records(tmp_path / "s.pcap") if r["record"] == "http"] == ["/bad"]
    with (tmp_path / "x.pcap").open("rb") as file:
        done = subprocess.run([*command, "--problems"], stdin=file, capture_output=True, check=False)
    assert done.returncode == 2
    assert (
        b"reads the capture several times, but '-' can be read only once; save it to a file, or name the connection by its ends"
        in done.stderr
    )
    assert done.stdout == b""


def test_what_is_wrong_with_a_command_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(merge(*three()))
    for options, words in (
        ((), "select connections"),
        (("--connection", "2", "--packet", "2"), "exclude each other"),
        (("--connection", "9999"), "there is no packet 9999: the capture has "),
        (("--connection", "20"), "no connection starts with packet 20; --packet 20 selects"),
        (("--packet", "9999"), "there is no packet 9999"),
        (("--where", "colour=red"), "'colour=red' has an unknown key"),
    ):
        assert words in pcapflow("slice", tmp_path / "x.pcap", *options, "-o", tmp_path / "s.pcap", status=2)[1]
        assert not (tmp_path / "s.pcap").exists()
    assert "lz4 is read, not written" in pcapflow("slice", tmp_path / "x.pcap", "--problems", "-o", tmp_path / "s.pcap.lz4", status=2)[1]
    assert "is an input" in pcapflow("slice", tmp_path / "x.pcap", "--problems", "-o", tmp_path / "x.pcap", status=2)[1]
    assert "cannot be written" in pcapflow("slice", tmp_path / "x.pcap", "--problems", "-o", tmp_path / "no" / "s.pcap", status=73)[1]


def test_fragments_of_a_chosen_connection_come_all(tmp_path: Path) -> None:
    talk = Talk(sport=40001).open().send(0, request("/fragmented"))
    answer = response(b'"' + b"x" * 3000 + b'"')
    segment = tcp_header(80, 40001, talk.seq[1], talk.seq[0], 0x18) + answer
    parts = []
    for at in range(0, len(segment), 1000):
        more = 0x2000 if at + 1000 < len(segment) else 0
        piece = segment[at : at + 1000]
        header = (
            bytes([0x45, 0])
            + (20 + len(piece)).to_bytes(2, "big")
            + b"\x77\x77"
            + (more | at // 8).to_bytes(2, "big")
            + b"\x40\x06\0\0"
            + ip4("10.0.0.2")
            + ip4("10.0.0.1")
        )
        parts.append(ethernet(header + piece))
    frames = [*talk.frames, *((talk.us + 10 + i, part) for i, part in enumerate(parts))]
    other = Talk(sport=40009)
    other.us = talk.us + 11
    other.packet(0, SYN)
    (tmp_path / "x.pcap").write_bytes(pcap(sorted(frames + other.frames)))
    for size in ("1MiB", "2KiB"):
        pcapflow("slice", "-q", tmp_path / "x.pcap", "--where", "path=/fragmented", "-o", tmp_path / "s.pcap", "--block-size", size)
        (exchange,) = [r for r in records(tmp_path / "s.pcap") if r["record"] == "http"]
        assert exchange["response"]["body"]["bytes"] == 3002
        assert len(numbers(tmp_path / "s.pcap")) == 1


@pytest.mark.parametrize("seed", range(12))
def test_slices_of_traffic_of_all_kinds_hold_the_same_streams(seed: int, tmp_path: Path) -> None:
    """Of each connection that has bytes: the slice of it delivers as many, whatever stands around it."""
    path = tmp_path / "x.pcap"
    path.write_bytes(capture_of(seed))
    found = [r for r in records(path) if r["record"] == "connection" and r["streams"]["client"]["captured_bytes"]]
    for record in found[:3]:
        launch("slice", "-q", path, "--connection", record["connection"], "-o", tmp_path / "s.pcapng")
        there = [r for r in records(tmp_path / "s.pcapng") if r["record"] == "connection"]
        total = sum(r["streams"][side]["captured_bytes"] for r in there for side in ("client", "server"))
        assert total >= sum(record["streams"][side]["captured_bytes"] for side in ("client", "server"))


@pytest.mark.parametrize("kind", FORMATS)
def test_any_format_is_sliced(kind: str, tmp_path: Path) -> None:
    talk = Talk(sport=40001).open().send(0, request("/x")).send(1, response(b"{}")).close()
    (tmp_path / "x").write_bytes(FORMATS[kind](talk.frames))
    pcapflow("slice", "-q", tmp_path / "x", "--where", "path=/x", "-o", tmp_path / "s.pcap")
    assert [r["request"]["target"] for r in records(tmp_path / "s.pcap") if r["record"] == "http"] == ["/x"]


def test_a_slice_of_no_connection_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(merge(*three()))
    _, errors = pcapflow("slice", tmp_path / "x.pcap", "--where", "status=418", "-o", tmp_path / "y.pcap", "--scrub")
    assert errors.splitlines()[1:] == ["pcapflow: warning: no connection was selected: the slice has no packets"]


@pytest.mark.parametrize("name", [("--connection", "1"), ("--packet", "2")])
def test_a_connection_that_meets_no_other_condition_is_an_empty_slice(tmp_path: Path, name: tuple[str, str]) -> None:
    path = Talk().open().send(0, request("/a")).send(1, response(b"{}")).close().save(tmp_path / "x.pcap")
    errors = pcapflow("slice", path, *name, "--where", "status=404", "-o", tmp_path / "out.pcap")[1]
    assert "0 of 8 packets, 0 connections" in errors
    assert "no connection was selected" in errors
