"""Every sample against what made it: nginx's log and the served files; and every way of reading it against every other."""

from __future__ import annotations

import gc
import hashlib
import json
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pcapflow import pipeline
from pcapflow.body_options import Looking
from pcapflow.conditions import Conditions
from pcapflow.findings.extract import VALUE, Extraction
from pcapflow.limits import Limits
from pcapflow.report.sinks.values import ValueLines
from tests.conftest import Run
from tests.reassembly.recorder import reassemble

SAMPLES = Path(__file__).parents[1] / "samples"
TRUTH: dict[str, Any] = json.loads((SAMPLES / "truth.json").read_text())
ALL = sorted(SAMPLES.glob("*.pcap"))
LOGGED = [*TRUTH["requests"], "vlan", "reordered"]
_SAME_AS = {"vlan": "json-api", "reordered": "gzip-chunked"}


def logged(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = TRUTH["requests"][_SAME_AS.get(name, name)]
    return found


def test_there_are_samples() -> None:
    assert len(ALL) >= 9
    assert sum(p.stat().st_size for p in ALL) < 5_000_000


@pytest.mark.parametrize("name", LOGGED)
def test_exchanges_are_those_that_the_server_logged(run: Run, name: str) -> None:
    found = Counter(
        (r["request"]["method"], r["request"]["target"].split("?")[0], r["response"]["status"])
        for r in run(SAMPLES / f"{name}.pcap").of("http")
    )
    assert found == Counter((e["method"], e["uri"], e["status"]) for e in logged(name))


@pytest.mark.parametrize("name", LOGGED)
def test_body_sizes_are_those_that_the_server_logged_and_served(run: Run, name: str) -> None:
    served = TRUTH["served"]
    ours, theirs = Counter(), Counter()
    for record in run(SAMPLES / f"{name}.pcap").of("http"):
        body = record["response"]["body"]
        assert body["status"] == "complete"
        file = served.get(record["request"]["target"].rsplit("/", 1)[-1])
        if body["framing"] == "length":
            ours[record["request"]["target"].split("?")[0], body["bytes"]] += 1
        if file and body["decoded_bytes"] is not None and record["response"]["status"] == 200:
            assert body["decoded_bytes"] == file["bytes"]
    for entry in logged(name):
        if not entry["uri"].startswith(("/gzip", "/chunked")) and entry["method"] != "HEAD" and entry["status"] not in (204, 304):
            theirs[entry["uri"], entry["body_bytes"]] += 1
    assert ours == theirs


def response_bodies(stream: bytes) -> list[bytes]:
    """Bodies of a stream of responses, by the plainest reading that works on these samples."""
    found = []
    at = 0
    while at < len(stream):
        end = stream.index(b"\r\n\r\n", at) + 4
        head = stream[at:end].lower()
        at = end
        if b"transfer-encoding: chunked" in head:
            body = b""
            while True:
                line = stream.index(b"\r\n", at)
                size = int(stream[at:line], 16)
                body += stream[line + 2 : line + 2 + size]
                at = line + 4 + size
                if size == 0:
                    break
        elif b"content-length: " in head and b" 304 " not in head[:20]:
            size = int(head.split(b"content-length: ")[1].split(b"\r")[0])
            body, at = stream[at : at + size], at + size
        else:
            body = b""
        found.append(zlib.decompress(body, 47) if b"content-encoding: gzip" in head else body)
    return found


@pytest.mark.parametrize("name", ["json-api", "gzip-chunked", "opaque", "ipv6", "vlan", "reordered"])
def test_reassembled_bodies_are_the_served_files(name: str) -> None:
    served = {f["sha256"]: file for file, f in TRUTH["served"].items()}
    recorder, _ = reassemble(SAMPLES / f"{name}.pcap")
    hashes = Counter()
    for told in recorder.told:
        assert None not in told.heard[1].data
        hashes.update(served.get(hashlib.sha256(body).hexdigest(), "") for body in response_bodies(told.heard[1].text))
    del hashes[""]
    assert hashes == Counter(e["uri"].rsplit("/", 1)[-1] for e in logged(name) if e["uri"].rsplit("/", 1)[-1] in TRUTH["served"])


def test_the_lossy_sample_says_what_the_capture_lost(run: Run) -> None:
    ran = run(SAMPLES / "lossy.pcap")
    tcp = ran.summary.tcp
    assert tcp.missing_bytes > 100_000
    assert sum(tcp.gaps_by_cause.values()) == tcp.gaps == len(ran.of("gap"))
    assert sum(g["bytes"] for g in ran.of("gap")) == tcp.missing_bytes


def test_the_midstream_sample_is_picked_up_at_the_next_messages(run: Run) -> None:
    ran = run(SAMPLES / "midstream.pcap")
    assert "midstream" in {c["start"] for c in ran.of("connection")}
    assert ran.summary.http.responses >= 2


def test_the_vlan_sample_names_its_vlans(run: Run) -> None:
    assert {tuple(c["vlan"]) for c in run(SAMPLES / "vlan.pcap").of("connection")} <= {(42,), (7, 42)}


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.name)
def test_no_way_of_cutting_the_input_changes_the_report(run: Run, path: Path) -> None:
    whole = run(path).comparable()
    assert run(path, walk_all=True).comparable() == whole
    for limits in (replace(Limits(), block_size=4096), replace(Limits(), block_size=30_000), replace(Limits(), block_packets=7)):
        assert run(path, limits).comparable() == whole


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.name)
def test_a_run_is_the_same_every_time(run: Run, path: Path) -> None:
    first, second = run(path), run(path)
    assert first.lines == second.lines
    assert first.summary.memory.components == second.summary.memory.components


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.name)
def test_records_decode_to_their_types_and_lose_nothing(run: Run, path: Path) -> None:
    import msgspec

    from pcapflow import records

    decoder = msgspec.json.Decoder(records.Record)
    for line in run(path).lines:
        assert json.loads(msgspec.json.encode(decoder.decode(line))) == json.loads(line)


def test_the_python_interface_says_the_same_as_the_pipeline(run: Run) -> None:
    import msgspec

    import pcapflow

    path = SAMPLES / "json-api.pcap"
    ran = run(path, kinds=None)
    summary = pcapflow.analyze(path)
    assert summary.tcp == ran.summary.tcp
    records = list(pcapflow.iter_records(path))
    assert [json.loads(msgspec.json.encode(r)) for r in records[:-1]] == [json.loads(line) for line in ran.lines]
    assert records[-1].record == "summary"


def test_a_reader_of_records_may_stop_early() -> None:
    import pcapflow

    for record in pcapflow.iter_records(SAMPLES / "keepalive.pcap"):
        assert record
        break


def test_connections_leave_no_circles_behind(run: Run) -> None:
    run(SAMPLES / "keepalive.pcap")
    gc.collect()
    run(SAMPLES / "keepalive.pcap")
    assert gc.collect() < 100  # those of the run itself; a connection would add dozens


def test_bodies_of_which_all_is_looked_for_leave_no_circles_behind() -> None:
    looking = Looking(sniff=True, hashes=True, duplicate_keys=True, shapes=True, values=("[].id", "name"))

    def looked_at() -> None:
        pipeline.run([str(SAMPLES / "keepalive.pcap")], options=pipeline.Options(looking=looking), write=lambda _: None)

    looked_at()
    gc.collect()
    looked_at()
    assert gc.collect() < 100  # those of the run itself; a connection would add dozens


@pytest.mark.parametrize("prefix", ["item", "", "a"])
def test_bodies_whose_values_are_given_leave_no_circles_behind(prefix: str) -> None:
    def extracted() -> None:
        pipeline.run(
            [str(SAMPLES / "keepalive.pcap")],
            sinks=[ValueLines(VALUE, lambda _: None, lambda _: None)],
            listeners=[Extraction(prefix, Conditions(), with_source=True)],
        )

    extracted()
    gc.collect()
    extracted()
    assert gc.collect() < 100  # those of the run itself; a connection would add dozens
