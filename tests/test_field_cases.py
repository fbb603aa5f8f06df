"""What people stumbled over in the field: a small capture of each kind, with the right answer.

The kinds have their tests beside the code that they are about; these are the cases as they were met, whole runs with the terminal's words.
"""

from __future__ import annotations

import gzip
import json
import struct
from dataclasses import replace

import pytest

from pcapflow.limits import Limits
from pcapflow.report.terminal import render
from pcapflow.summary import Summary
from tests.conftest import Run
from tests.craft import ACK, FIN, PSH, Talk, filler, pcap, request, response

BODY = b'{"items":[' + b",".join(b'{"id":%d}' % i for i in range(900)) + b"]}"


def section(summary: Summary, title: str) -> list[str]:
    """The lines of the terminal under a heading."""
    lines = render(summary, width=100, color=False).splitlines()
    if title not in lines:
        return []
    begin = lines.index(title) + 1
    return lines[begin : lines.index("", begin) if "" in lines[begin:] else None]


@pytest.mark.parametrize("packets", [8192, 1, 3])
def test_any_interface_on_a_bridge_shows_each_packet_twice_and_nothing_is_retransmitted(run: Run, packets: int) -> None:
    talk = Talk().open().send(0, request()).send(1, response(BODY)).acknowledge(0).close()

    def cooked(frame: bytes, interface: int, kind: int) -> bytes:
        return struct.pack(">HHIHBB8s", 0x0800, 0, interface, 1, kind, 6, bytes(8)) + frame[14:]

    frames = [(us + i, cooked(frame, 3 + 2 * i, 3 + i)) for us, frame in talk.frames for i in (0, 1)]
    ran = run(pcap(frames, link=276), replace(Limits(), block_packets=packets))
    assert (ran.summary.decode.duplicated, ran.summary.tcp.payload_bytes.retransmitted) == (len(talk.frames), 0)
    assert ran.of("http")[0]["response"]["body"]["json"]["status"] == "complete"
    (line,) = ran.summary.advice
    assert "on another interface" in line
    assert "tcpdump -i any" in line


def test_retransmissions_seen_at_the_receiver_fill_holes_and_nothing_is_lost(run: Run) -> None:
    talk = Talk().open().send(0, request())
    data = response(BODY)
    at = talk.seq[1]
    for n in (0, 2, 3, 1):  # the second segment was lost on the way, and comes again
        talk.packet(1, ACK | PSH, data[n * 1448 : (n + 1) * 1448], seq=at + n * 1448)
    talk.seq[1] += 4 * 1448
    talk.send(1, data[4 * 1448 :]).close()
    summary = run(talk.bytes()).summary
    assert (summary.tcp.holes_filled, summary.tcp.payload_bytes.retransmitted) == (1, 0)
    assert section(summary, "Lost") == ["  nothing"]
    assert any("holes filled" in line for line in section(summary, "Retransmitted or after a hole"))


def test_retransmissions_seen_at_the_sender_come_twice_and_nothing_is_lost(run: Run) -> None:
    talk = Talk().open().send(0, request())
    data = response(BODY)
    talk.send(1, data)
    for n in (1, 3):
        talk.packet(1, ACK | PSH, data[n * 1448 : (n + 1) * 1448], seq=5001 + n * 1448)
    summary = run(talk.close().bytes()).summary
    assert (summary.tcp.payload_bytes.retransmitted, summary.decode.duplicated) == (2 * 1448, 0)
    assert section(summary, "Lost") == ["  nothing"]
    assert any("retransmitted" in line and "2.9 kB" in line for line in section(summary, "Retransmitted or after a hole"))


@pytest.mark.parametrize("sliced", [False, True], ids=["by the snap length", "by a slicer"])
def test_packets_that_were_cut_are_no_loss_of_the_capture(run: Run, sliced: bool) -> None:
    """A slicer cuts the record's length on the wire too: the IP header tells."""
    talk = Talk().open().send(0, request()).send(1, response(BODY)).acknowledge(0).close()
    frames = [(us, frame[:128], min(128, len(frame)) if sliced else len(frame)) for us, frame in talk.frames]
    ran = run(pcap([*frames, *filler(80, talk.us + 10)]))
    tcp = ran.summary.tcp
    assert set(tcp.gaps_by_cause) == {"snapped"}
    assert (tcp.missing_bytes, tcp.acknowledged_missing_bytes) == (tcp.snapped_missing_bytes, 0)
    assert ran.summary.advice[0].startswith(
        f"{100 * ran.summary.decode.snapped / (len(frames) + 80):.1f}% of the packets were truncated by the snap length"
    )
    assert not any("buffer" in line or "disk" in line for line in ran.summary.advice)
    assert {g["cause"] for g in ran.of("gap")} == {"snapped"}


def test_a_cut_and_a_lost_packet_are_two_gaps_with_two_causes(run: Run) -> None:
    talk = Talk().open().send(0, b"a" * 100).send(0, b"b" * 100, keep=False).send(0, b"c" * 100).acknowledge(1)
    frames = [(us, frame[:74] if frame.endswith(b"aaaa") else frame, len(frame)) for us, frame in talk.frames]
    ran = run(pcap([*frames, *filler(80, talk.us + 10)]))
    assert [(g["cause"], g["stream_offset"], g["bytes"]) for g in ran.of("gap")] == [("snapped", 20, 80), ("acknowledged", 100, 100)]


def test_six_gigabytes_wrap_twice(run: Run) -> None:
    talk = Talk().open().send(0, request())
    sent = 0
    for _ in range(60):
        talk.send(1, b"x" * 1000).acknowledge(0)
        sent += 1000
        talk.seq[1] = (talk.seq[1] + 100_000_000) % (1 << 32)  # what the capture does not have
        talk.packet(0, ACK)
    ran = run(pcap([*talk.frames, *filler(80, talk.us + 10)]))
    (connection, *_) = ran.of("connection")
    server = connection["streams"]["server"]
    assert (server["delivered_bytes"], server["missing_bytes"]) == (sent, 60 * 100_000_000)
    assert ran.summary.tcp.early_acknowledgements == 0
    assert ran.summary.tcp.gaps_by_cause == {"acknowledged": 60}


def test_acknowledgements_before_their_data_are_as_if_nothing_were_odd(run: Run) -> None:
    talk = Talk().open()
    for _ in range(3):
        talk.send(0, request()).send(1, response(b"{}" * 2000))
        talk.acknowledge(0)
        talk.frames[-2:] = [(a[0], b[1]) for a, b in zip(talk.frames[-2:], talk.frames[:-3:-1], strict=True)]
    ran = run(talk.close().bytes())
    assert (ran.summary.tcp.gaps, ran.summary.http.bodies.complete, ran.summary.tcp.early_acknowledgements) == (0, 3, 3)


def test_a_keep_alive_probe_that_comes_first_is_as_if_nothing_were_odd(run: Run) -> None:
    talk = Talk()
    talk.packet(0, ACK, b"\0", seq=talk.seq[0] - 1)
    talk.packet(1, ACK)
    for _ in range(3):
        talk.send(0, request()).send(1, response(b"{}"))
    ran = run(talk.close().bytes())
    assert (ran.summary.http.requests, ran.summary.http.responses) == (3, 3)
    assert all(r["request"] and r["response"] for r in ran.of("http"))


def test_a_fin_that_waits_behind_a_hole_has_its_own_time(run: Run) -> None:
    talk = Talk().open().send(0, request())
    at = talk.seq[1]
    whole = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"
    talk.us = 1_000_000
    talk.packet(1, FIN | ACK, whole[20:], seq=at + 20)
    talk.us = 9_000_000
    talk.packet(1, ACK, whole[:20], seq=at)
    (exchange,) = run(talk.bytes()).of("http")
    assert exchange["response"]["body"]["status"] == "complete"
    assert exchange["duration"] == pytest.approx(9.0, abs=0.01)  # its head came last


# --- read, or unread and why


def test_a_capture_of_tls_and_http_2_alone_says_what_is_not_read_and_what_would_help(run: Run) -> None:
    hello, change = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x14\x03\x03\x00\x01\x01"
    data = b"\x17\x03\x03\x00\x40" + bytes(64)
    frames = []
    for n in range(2):
        t = (
            Talk(sport=50_000 + n, dport=443)
            .open()
            .send(0, hello)
            .acknowledge(1)
            .send(1, change + data * 9)
            .acknowledge(0)
            .send(0, change + data)
        )
        frames += t.close().frames
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    frames += Talk(sport=50_010).open().send(0, preface + bytes(9)).acknowledge(1).send(1, bytes(9)).close().frames
    upgrade = request(fields="Connection: Upgrade\r\nUpgrade: h2c\r\n")
    t = Talk(sport=50_011).open().send(0, upgrade).acknowledge(1).send(1, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")
    frames += t.acknowledge(0).send(0, preface).acknowledge(1).send(1, bytes(18)).close().frames
    summary = run(pcap(frames)).summary
    unread = section(summary, "Delivered but not read")
    assert any("encrypted" in line for line in unread)
    assert any("http2 84 B" in line for line in unread)
    assert any(line.startswith("  read") and "100.00%" not in line for line in section(summary, "Recovered"))
    assert any(line.startswith("2 of 4 connections") and "are TLS: pcapflow does not decrypt" in line for line in summary.advice)
    assert any(line.startswith("2 of 4 connections") and "speak HTTP/2" in line for line in summary.advice)


@pytest.mark.parametrize("packets", [8192, 1, 3])
def test_requests_behind_proxy_headers_are_all_there_with_the_real_clients_address(run: Run, packets: int) -> None:
    header = b"PROXY TCP4 203.0.113.7 198.51.100.2 56324 443\r\n"
    frames = []
    for n, first in enumerate((header + request("/1"), header)):
        t = Talk(sport=40_000 + n).open().send(0, first)
        for target in ("/1", "/2", "/3")[1 - n :]:
            t.send(0, request(target)).acknowledge(1).send(1, response(b"{}")).acknowledge(0)
        if n == 0:
            t.send(1, response(b"{}"))
        frames += t.close().frames
    ran = run(pcap(frames), replace(Limits(), block_packets=packets))
    assert (ran.summary.http.requests, ran.summary.http.responses) == (6, 6)
    assert {r["proxied"]["client"]["ip"] for r in ran.of("connection")} == {"203.0.113.7"}


@pytest.mark.parametrize("packets", [8192, 1, 3])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_one_lost_packet_of_a_chunked_watch_costs_one_event(run: Run, kind: str, packets: int) -> None:
    t = Talk().open().send(0, request("/watch")).acknowledge(1)
    t.send(1, f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    for i in range(150):
        event = b'{"type":"ADDED","object":{"n":%d,"pad":"%s"}}\n' % (i, b"x" * 200)
        event = event if kind.endswith("json") else b"data: " + event + b"\n"
        t.send(1, b"%x\r\n%s\r\n" % (len(event), event), keep=i != 7)
    ran = run(t.send(1, b"0\r\n\r\n").acknowledge(0).close().bytes(), replace(Limits(), block_packets=packets))
    (record,) = ran.of("json")
    assert (record["documents"], record["status"], ran.summary.tcp.unread) == (149, "gapped", {})


def test_documents_parted_by_nul_bytes_are_read_compact_or_not(run: Run) -> None:
    frames = []
    for n, indent in enumerate((None, 2)):
        data = b"".join(json.dumps({"version": "1.1", "host": "a", "n": i}, indent=indent).encode() + b"\0" for i in range(50))
        frames += Talk(sport=40_000 + n, dport=12201).open().send(0, data, size=100).close().frames
    ran = run(pcap(frames))
    assert [(r["documents"], r["broken"], r["status"]) for r in ran.of("json")] == [(50, 0, "complete")] * 2


def test_a_gzip_member_that_no_field_announces_is_read(run: Run) -> None:
    packed = gzip.compress(b'{"a":[1,2]}')
    t = Talk().open().send(0, request("/x.json.gz")).acknowledge(1).send(1, response(packed), size=1).close()
    (exchange,) = run(t.bytes()).of("http")
    body = exchange["response"]["body"]
    assert (body["json"]["status"], body["json"]["documents"], body["content_encoding"], body["decoded_bytes"]) == ("complete", 1, None, 11)


def test_parts_of_a_text_that_was_asked_for_in_parts_are_not_invalid(run: Run) -> None:
    text = json.dumps(list(range(500))).encode()
    t = Talk().open()
    for begin in (0, 1000):
        t.send(0, request("/list", fields=f"Range: bytes={begin}-\r\n")).acknowledge(1)
        t.send(1, response(text[begin : begin + 1000], status="206 Partial Content")).acknowledge(0)
    summary = run(t.close().bytes()).summary
    assert (summary.json.partial, summary.json.invalid) == (2, 0)


def test_messages_of_json_in_grpc_envelopes_are_documents(run: Run) -> None:
    messages = [b'{"a":1}', b"[2,3]", b'{"c":"%s"}' % (b"x" * 900)]
    body = b"".join(b"\0" + len(one).to_bytes(4, "big") + one for one in messages)
    t = Talk().open().send(0, request()).acknowledge(1).send(1, response(body, kind="application/grpc+json"), size=70).close()
    (record,) = run(t.bytes()).of("json")
    assert (record["documents"], record["status"], record["broken"]) == (3, "complete", 0)


def test_an_elasticsearch_bulk_is_lines_by_the_rule_of_its_media_type(run: Run) -> None:
    body = b"".join(b'{"index":{}}\n{"n":%d}\n' % i for i in range(40))
    asked = b"POST /_bulk HTTP/1.1\r\nHost: es\r\nContent-Type: application/vnd.elasticsearch+x-ndjson;compatible-with=8\r\nContent-Length: %d\r\n\r\n"
    t = Talk().open().send(0, asked % len(body) + body).acknowledge(1).send(1, response(b"{}")).close()
    assert [r["documents"] for r in run(t.bytes()).of("json")] == [80, 1]
