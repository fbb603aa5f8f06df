"""HTTP/1 through the whole pipeline: framing, pairs and gaps, whatever the segmentation."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcapflow.contents import JsonBody
from pcapflow.drops import DropReason
from pcapflow.limits import Limits
from tests.conftest import CASES, Run
from tests.craft import ACK, FIN, RST, SYN, Talk, chunked, filler, pcap, request, response

OK = b'{"ok":true}'


def talk(client: bytes, server: bytes, *, size: int = 1448, close: bool = True) -> Talk:
    t = Talk().open().send(0, client, size=size).acknowledge(1).send(1, server, size=size).acknowledge(0)
    return t.close() if close else t


def exchanges(ran: Any) -> list[dict[str, Any]]:
    """The records of exchanges without what depends on packets."""
    found = ran.of("http")
    for record in found:
        del record["ts"], record["duration"], record["wait"]
        for message in filter(None, (record["request"], record["response"])):
            del message["packet"], message["ts"], message["end_ts"]
    return found


CONVERSATION = talk(
    request("/a")
    + request("/b", method="POST", body=b'{"x": [1, 2]}', fields="Content-Type: application/json\r\n")
    + request("/c", method="HEAD")
    + request("/d")
    + request("/e")
    + request("/f"),
    response(OK)
    + b"HTTP/1.1 100 Continue\r\n\r\n"
    + chunked(b'{"y": [' + b"1," * 50 + b"2]}", [3, 50, 1])
    + b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"
    + b"HTTP/1.1 304 Not Modified\r\n\r\n"
    + response(gzip.compress(b'[{"z": null}]', mtime=0), fields="Content-Encoding: gzip\r\n")
    + b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n[1,2,3]",
)


def resized(size: int) -> Talk:
    client = b"".join(f[54:] for us, f in CONVERSATION.frames if f[34:36] == (40000).to_bytes(2, "big"))
    server = b"".join(f[54:] for us, f in CONVERSATION.frames if f[34:36] == (80).to_bytes(2, "big"))
    return talk(client, server, size=size)


def test_a_conversation_is_framed_and_paired(run: Run) -> None:
    found = exchanges(run(CONVERSATION.bytes()))
    assert [(r["exchange"], r["request"]["method"], r["request"]["target"], r["response"]["status"]) for r in found] == [
        (0, "GET", "/a", 200),
        (1, "POST", "/b", 200),
        (2, "HEAD", "/c", 200),
        (3, "GET", "/d", 304),
        (4, "GET", "/e", 200),
        (5, "GET", "/f", 200),
    ]
    bodies = [r["response"]["body"] for r in found]
    assert [b["framing"] for b in bodies] == ["length", "chunked", "none", "none", "length", "close"]
    assert [b["bytes"] for b in bodies] == [11, 110, 0, 0, len(gzip.compress(b'[{"z": null}]')), 7]
    assert [b["decoded_bytes"] for b in bodies] == [11, 110, None, None, 13, 7]
    assert [b["json"]["events"] if b["json"] else None for b in bodies] == [4, 56, None, None, 6, 5]
    assert found[1]["request"]["body"]["json"]["events"] == 7
    assert {b["status"] for b in bodies} == {"complete"}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 100])
def test_segment_sizes_change_nothing(run: Run, size: int) -> None:
    assert exchanges(run(resized(size).bytes())) == exchanges(run(CONVERSATION.bytes()))


@pytest.mark.parametrize("size", [1, 40])
@pytest.mark.parametrize("packets", [1, 2, 3, 7])
def test_block_sizes_change_nothing(run: Run, size: int, packets: int) -> None:
    capture = resized(size).bytes()
    assert run(capture, replace(Limits(), block_packets=packets)).comparable() == run(capture).comparable()


def test_nested_json_and_its_own_record_say_the_same(run: Run) -> None:
    ran = run(CONVERSATION.bytes())
    own = [{k: r[k] for k in JsonBody.__struct_fields__} for r in ran.of("json")]
    nested = [m["body"]["json"] for r in ran.of("http") for m in (r["request"], r["response"]) if m["body"]["json"]]
    assert sorted(own, key=str) == sorted(nested, key=str)
    assert {r["source"] for r in ran.of("json")} == {"http-request", "http-response"}


bodies = st.binary(max_size=60)


@st.composite
def server_streams(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Responses to GET requests, and what they are."""
    out, truth = [], []
    for body in draw(st.lists(bodies, min_size=1, max_size=6)):
        kind = draw(st.sampled_from(["length", "chunked", "interim"]))
        if kind == "interim":
            out.append(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        if kind == "chunked":
            out.append(chunked(body, draw(st.lists(st.integers(1, 20), max_size=4)), kind="text/plain"))
        else:
            out.append(response(body, kind="text/plain"))
        truth.append((200, body))
    return b"".join(out), truth


class ByHttptools:
    def __init__(self) -> None:
        self.found: list[tuple[int, int]] = []
        self.size = 0

    def on_message_begin(self) -> None:
        self.size = 0

    def on_body(self, body: bytes) -> None:
        self.size += len(body)

    def on_message_complete(self) -> None:
        if self.parser.get_status_code() >= 200:
            self.found.append((self.parser.get_status_code(), self.size))


def by_h11(data: bytes, count: int) -> list[tuple[int, int]]:
    found = []
    connection = h11.Connection(h11.CLIENT)
    connection.receive_data(data)
    for _ in range(count):
        connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        connection.send(h11.EndOfMessage())
        size, status = 0, 0
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                size += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
        found.append((status, size))
        connection.start_next_cycle()
    return found


@settings(max_examples=60 * CASES)
@given(server_streams(), st.integers(1, 80))
def test_framing_agrees_with_h11_and_httptools(run: Run, stream: tuple[bytes, list[tuple[int, bytes]]], size: int) -> None:
    data, truth = stream
    count = len(truth)
    ours = [
        (r["response"]["status"], r["response"]["body"]["bytes"]) for r in run(talk(request() * count, data, size=size).bytes()).of("http")
    ]
    assert ours == [(status, len(body)) for status, body in truth]
    assert by_h11(data, count) == ours
    theirs = ByHttptools()
    theirs.parser = httptools.HttpResponseParser(theirs)  # type: ignore[attr-defined]
    theirs.parser.feed_data(data)  # type: ignore[attr-defined]
    assert theirs.found == ours


def test_a_response_without_a_request_is_an_orphan(run: Run) -> None:
    (record,) = run(Talk().open().send(1, response(OK)).close().bytes()).of("http")
    assert record["request"] is None
    assert record["duration"] is None
    assert record["response"]["status"] == 200


def test_a_request_without_a_response_is_reported_when_none_can_come(run: Run) -> None:
    (record,) = run(Talk().open().send(0, request("/lonely")).close().bytes()).of("http")
    assert record["response"] is None
    assert record["request"]["target"] == "/lonely"


def test_indexes_count_requests_and_orphans_in_the_order_in_which_they_began(run: Run) -> None:
    t = Talk().open().send(1, response(b"1")).send(0, request("/a")).send(1, response(b"2")).send(1, response(b"3")).send(0, request("/b"))
    for packets in (8192, 1):
        found = run(t.send(1, b"").bytes(), replace(Limits(), block_packets=packets)).of("http")
        assert sorted((r["exchange"], (r["request"] or {}).get("target")) for r in found) == [(0, None), (1, "/a"), (2, None), (3, "/b")]


@pytest.mark.parametrize("packets", [8192, 1, 3])
def test_a_full_pipeline_reports_the_oldest_request_without_a_response(run: Run, packets: int) -> None:
    limits = replace(Limits(), http_pipeline_max=3, block_packets=packets)
    t = Talk().open()
    for i in range(6):
        t.send(0, request(f"/{i}"))
    for i in range(6):
        t.send(1, response(b"x" * i, kind="text/plain"))
    found = run(t.close().bytes(), limits).of("http")
    asked = {r["request"]["target"]: r["response"] and r["response"]["body"]["bytes"] for r in found if r["request"]}
    assert asked == {"/0": None, "/1": None, "/2": None, "/3": 3, "/4": 4, "/5": 5}
    assert [r["response"]["body"]["bytes"] for r in found if not r["request"]] == [0, 1, 2]


def test_a_full_pipeline_that_is_answered_in_time_loses_nothing(run: Run) -> None:
    limits = replace(Limits(), http_pipeline_max=3)
    t = Talk().open()
    for i in range(20):
        t.send(0, request(f"/{i}")).send(1, response(OK))
    found = run(t.close().bytes(), limits).of("http")
    assert all(r["response"] for r in found)
    assert len(found) == 20


@pytest.mark.parametrize("packets", [8192, 1])
def test_connect_makes_the_rest_the_next_protocol_once_it_is_granted(run: Run, packets: int) -> None:
    t = Talk().open().send(0, b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n").send(1, b"HTTP/1.1 200 Fine\r\n\r\n")
    t.send(0, request("/inside")).send(1, response(OK)).close()
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    assert [(r["exchange"], r["request"]["method"], r["response"]["status"]) for r in ran.of("http")] == [
        (0, "CONNECT", 200),
        (1, "GET", 200),
    ]


@pytest.mark.parametrize("packets", [8192, 1])
def test_connect_makes_the_rest_opaque_where_nobody_knows_it(run: Run, packets: int) -> None:
    t = (
        Talk()
        .open()
        .send(0, b"CONNECT a:22 HTTP/1.1\r\nHost: a\r\n\r\n")
        .send(1, b"HTTP/1.1 200 Fine\r\n\r\nSSH-2.0-x\r\n")
        .send(0, b"SSH-2.0-y\r\n")
        .close()
    )
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    assert [r["request"]["method"] for r in ran.of("http")] == ["CONNECT"]
    assert ran.of("connection")[0]["protocol"] == "http"


@pytest.mark.parametrize("packets", [8192, 1])
def test_connect_that_is_refused_changes_nothing(run: Run, packets: int) -> None:
    t = Talk().open().send(0, b"CONNECT a:443 HTTP/1.1\r\n\r\n").send(1, response(b"no", status="403 Forbidden"))
    t.send(0, request("/outside")).send(1, response(OK)).close()
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    assert [r["request"]["target"] for r in ran.of("http")] == ["a:443", "/outside"]


def test_an_upgrade_to_websocket_is_named(run: Run) -> None:
    t = Talk().open().send(0, request("/ws", fields="Connection: Upgrade\r\nUpgrade: websocket\r\n"))
    t.send(1, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x02hi").send(
        0, b"\x81\x02hi"
    ).close()
    ran = run(t.bytes())
    assert ran.of("connection")[0]["protocol"] == "websocket"
    assert ran.of("drop") == []


@pytest.mark.parametrize(
    ("first", "protocol"),
    [
        (b"\x16\x03\x01\x00\x05hello", "tls"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"),
        (b"SSH-2.0-OpenSSH\r\n", "opaque"),
        (b"EHLO example.org\r\n", "opaque"),
        (request(), "http"),
    ],
)
@pytest.mark.parametrize("size", [1, 1448])
def test_protocols_are_told_by_content(run: Run, first: bytes, protocol: str, size: int) -> None:
    assert run(Talk().open().send(0, first, size=size).close().bytes()).of("connection")[0]["protocol"] == protocol


def test_a_connection_without_payload_is_empty(run: Run) -> None:
    assert run(Talk().open().close().bytes()).of("connection")[0]["protocol"] == "empty"


@pytest.mark.parametrize(
    ("fields", "anomalies"),
    [
        ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", ["length_and_chunked"]),
        ("Content-Length: 2\r\nContent-Length: 2\r\n", ["repeated_length"]),
        ("Content-Length: 2\r\nContent-Length: 3\r\n", ["conflicting_lengths"]),
        ("Content-Length: +2\r\n", ["malformed_length"]),
        ("Transfer-Encoding: chunked, identity\r\n", ["unknown_transfer_encoding"]),
        ("X: a\r\n folded\r\n", ["obsolete_folding"]),
        ("X : a\r\n", ["space_before_colon"]),
        ("nonsense\r\n", ["line_without_colon"]),
        ("X: a\n", ["bare_lf"]),
    ],
)
def test_what_is_suspicious_in_a_head_is_named(run: Run, fields: str, anomalies: list[str]) -> None:
    data = f"GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode()
    (record, *_) = run(Talk().open().send(0, data).close().bytes()).of("http")
    assert record["anomalies"] == anomalies


@pytest.mark.parametrize(("ending", "status"), [(FIN | ACK, "complete"), (RST | ACK, "truncated"), (0, "truncated")])
def test_a_body_until_close_is_complete_only_by_fin(run: Run, ending: int, status: str) -> None:
    t = Talk().open().send(0, request()).send(1, b"HTTP/1.1 200 OK\r\n\r\nsome bytes")
    if ending:
        t.packet(1, ending)
    (record,) = run(t.bytes()).of("http")
    assert record["response"]["body"]["status"] == status
    assert record["response"]["body"]["bytes"] == 10


def test_a_length_that_is_not_reached_is_truncated(run: Run) -> None:
    t = Talk().open().send(0, request()).send(1, response(b'{"a": [1, 2, 3]}')[:-4]).close()
    (record,) = run(t.bytes()).of("http")
    assert record["response"]["body"]["status"] == "truncated"
    assert record["response"]["body"]["json"]["status"] == "truncated"
    assert record["response"]["body"]["json"]["error"]["path"] == "a[]"


def lossy(client: bytes, server: bytes, lost: range, *, size: int = 20) -> bytes:
    """The server's segments whose index is in lost are not captured, but acknowledged."""
    t = Talk().open().send(0, client).acknowledge(1)
    for i, at in enumerate(range(0, len(server), size)):
        t.send(1, server[at : at + size], keep=i not in lost)
    t.acknowledge(0)
    return pcap([*t.frames, *filler(100, t.us + 2000)])


def test_a_gap_inside_a_length_body_is_counted_over(run: Run) -> None:
    server = response(b"x" * 200, kind="text/plain") + response(OK)
    found = run(lossy(request() * 2, server, range(6, 8))).of("http")
    assert [r["response"]["body"]["status"] for r in found] == ["gapped", "complete"]
    assert found[0]["response"]["body"]["missing_bytes"] == 40
    assert found[0]["response"]["body"]["bytes"] == 160
    assert [r["resynchronised"] for r in found] == [False, False]


def test_json_with_a_gap_is_gapped(run: Run) -> None:
    server = response(b"[" + b"1," * 100 + b"1]")
    (record,) = [r for r in run(lossy(request(), server, range(6, 7))).of("http")]
    assert record["response"]["body"]["json"]["status"] == "gapped"


def test_a_lost_head_is_searched_at_segment_boundaries_and_said(run: Run) -> None:
    one = response(b"y" * 100, kind="text/plain")
    server = one + b" " * (-len(one) % 20)
    # heads begin at segment boundaries: every response is padded into whole segments by its own body
    body = b"z" * (20 * 8 - len(response(b"z" * 100, kind="text/plain")) % 20 + 100 - 100)
    server = b"".join(_padded(i) for i in range(4))
    found = run(lossy(request("/0") + request("/1") + request("/2") + request("/3"), server, range(9, 11))).of("http")
    assert body and one
    assert any(r["resynchronised"] for r in found)
    assert len([r for r in found if r["response"] and r["response"]["body"]["status"] == "complete"]) >= 2


def _padded(i: int) -> bytes:
    """A response of exactly 180 bytes, nine segments of twenty."""
    head = len(response(b"", kind="text/plain", fields=f"X: {i}\r\n")) + 2
    data = response(b"p" * (180 - head), kind="text/plain", fields=f"X: {i}\r\n")
    assert len(data) == 180, len(data)
    return data


@pytest.mark.parametrize("first", range(0, 36, 3))
@pytest.mark.parametrize("packets", [8192, 1])
def test_a_gap_anywhere_leaves_one_record_for_each_request(run: Run, first: int, packets: int) -> None:
    server = b"".join(_padded(i) for i in range(4))
    client = b"".join(request(f"/{i}") for i in range(4))
    ran = run(lossy(client, server, range(first, first + 2)), replace(Limits(), block_packets=packets))
    asked = [r["request"]["target"] for r in ran.of("http") if r["request"]]
    assert sorted(asked) == ["/0", "/1", "/2", "/3"]
    assert sorted(r["exchange"] for r in ran.of("http")) == list(range(len(ran.of("http"))))


def test_a_lost_answer_does_not_shift_the_later_pairs(run: Run) -> None:
    t = Talk().open()
    for i in range(5):
        t.send(0, request(f"/{i}")).acknowledge(1).send(1, response(b"%d" % i, kind="text/plain"), keep=i != 2).acknowledge(0)
    ran = run(pcap([*t.frames, *filler(100, t.us + 2000)]))
    found = {r["request"]["target"]: r["response"] for r in ran.of("http")}
    assert found["/2"] is None
    assert all(found[f"/{i}"]["status"] == 200 for i in (0, 1, 3, 4))


@pytest.mark.parametrize("packets", [8192, 1, 5])
def test_a_lost_request_does_not_shift_the_pairs_behind_it(run: Run, packets: int) -> None:
    """Requests behind the hole come after their answers; the answers wait for them."""
    t = Talk().open()
    for i in range(4):
        t.send(0, request(f"/{i}"), keep=i != 1).acknowledge(1).send(1, response(b"x" * i, kind="text/plain")).acknowledge(0)
    frames = [*t.frames, *filler(100, t.us + 2000)]
    t.idle(200_000).send(0, request("/4")).acknowledge(1).send(1, response(b"xxxx", kind="text/plain"))
    found = run(pcap([*frames, *t.frames[len(frames) - 100 :]]), replace(Limits(), block_packets=packets)).of("http")
    pairs = {r["request"]["target"]: r["response"]["body"]["bytes"] for r in found if r["request"] and r["response"]}
    assert pairs["/0"] == 0
    assert pairs["/4"] == 4
    assert len(found) == 5
    assert sorted(r["exchange"] for r in found) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("packets", [8192, 1])
def test_an_answer_that_was_captured_before_its_request_waits_for_it(run: Run, packets: int) -> None:
    t = Talk().open()
    for i in range(5):
        t.send(0, request(f"/{i}")).send(1, response(b"x" * i, kind="text/plain"))
    frames = list(t.frames)
    frames[5], frames[6] = (frames[5][0], frames[6][1]), (frames[6][0], frames[5][1])
    found = run(pcap(frames), replace(Limits(), block_packets=packets)).of("http")
    assert [
        (r["exchange"], r["request"]["target"], r["response"]["body"]["bytes"]) for r in sorted(found, key=lambda r: r["exchange"])
    ] == [(i, f"/{i}", i) for i in range(5)]


def test_a_capture_of_one_side_reports_every_request(run: Run) -> None:
    t = Talk()
    for i in range(600):
        t.send(0, request(f"/{i}"))
    found = run(t.bytes()).of("http")
    assert [r["request"]["target"] for r in sorted(found, key=lambda r: r["exchange"])] == [f"/{i}" for i in range(600)]


DROPS = [
    (DropReason.HTTP_HEAD_TOO_LARGE, request(fields="X: " + "y" * 3000 + "\r\n"), replace(Limits(), http_head_max_bytes=1000)),
    (DropReason.HTTP_TOO_MANY_HEADERS, request(fields="X: y\r\n" * 50), replace(Limits(), http_head_max_lines=40)),
    (DropReason.HTTP_HEADER_LINE_TOO_LONG, request(fields="X: " + "y" * 3000 + "\r\n"), replace(Limits(), http_head_line_max_bytes=1000)),
    (DropReason.HTTP_MALFORMED_HEAD, request() + b"not a request at all\r\n\r\n", Limits()),
    (
        DropReason.HTTP_CHUNK_LINE_TOO_LONG,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"e" * 3000 + b"\r\nhello\r\n0\r\n\r\n",
        replace(Limits(), http_chunk_line_max_bytes=1000),
    ),
    (DropReason.HTTP_MALFORMED_CHUNK, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Limits()),
    (DropReason.HTTP_MALFORMED_CHUNK, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n", Limits()),
]


@pytest.mark.parametrize(("reason", "data", "limits"), DROPS)
@pytest.mark.parametrize("size", [1, 60, 1448])
def test_a_message_that_passes_a_limit_is_dropped_and_the_next_one_is_found(
    run: Run, reason: DropReason, data: bytes, limits: Limits, size: int
) -> None:
    t = Talk().open().send(0, data, size=size).send(0, request("/after"))
    capture = t.close().bytes()
    ran = run(capture, limits)
    (drop,) = ran.of("drop")
    assert (drop["reason"], drop["layer"]) == (reason, "http")
    assert ran.of("http")[-1]["request"]["target"] == "/after"
    assert ran.of("http")[-1]["resynchronised"]
    assert ran.of("connection")[0]["streams"]["client"]["status"] == "dropped"
    assert ran.summary.drops.by_reason[reason.value].count == 1
    assert run(capture, replace(limits, block_packets=1)).comparable() == ran.comparable()


def test_a_head_that_finds_no_memory_is_dropped(run: Run) -> None:
    t = Talk().open().send(0, request(fields="X: " + "y" * 3000 + "\r\n"), size=500)
    ran = run(t.close().bytes(), replace(Limits(), http_total=1500, block_packets=1))
    assert [d["reason"] for d in ran.of("drop")] == [DropReason.HTTP_MEMORY]


@pytest.mark.parametrize(
    ("reason", "server", "limits"),
    [
        (DropReason.JSON_SCALAR_TOO_LARGE, response(b'"' + b"x" * 70_000 + b'"'), replace(Limits(), json_scalar_max_bytes=30_000)),
        (DropReason.JSON_TOO_DEEP, response(b"[" * 600 + b"]" * 600), Limits()),
        (DropReason.JSON_TOO_MANY_EVENTS, response(b"[" + b"1," * 20_000 + b"1]"), replace(Limits(), json_document_max_events=9_000)),
        (DropReason.JSON_NUMBER_UNSUPPORTED, response(b"[" + b"1" * 6000 + b"]"), Limits()),
        (DropReason.JSON_MEMORY, response(b"[" + b"1," * 9000 + b"1]"), replace(Limits(), json_total=9000, block_packets=2)),
        (DropReason.CONTENT_UNSUPPORTED, response(b"??", fields="Content-Encoding: compress\r\n"), Limits()),
        (DropReason.CONTENT_MALFORMED, response(b"??", fields="Content-Encoding: gzip\r\n"), Limits()),
        (DropReason.CONTENT_RATIO, response(gzip.compress(b" " * (8 << 20), mtime=0), fields="Content-Encoding: gzip\r\n"), Limits()),
        (
            DropReason.CONTENT_TOO_LARGE,
            response(gzip.compress(b" " * 100_000, mtime=0), fields="Content-Encoding: gzip\r\n"),
            replace(Limits(), content_max_bytes=50_000),
        ),
        (
            DropReason.CONTENT_MEMORY,
            response(gzip.compress(b"[]"), fields="Content-Encoding: gzip\r\n"),
            replace(Limits(), content_total=100),
        ),
    ],
)
def test_a_body_that_passes_a_limit_is_dropped_and_the_stream_goes_on(run: Run, reason: DropReason, server: bytes, limits: Limits) -> None:
    capture = talk(request("/bad") + request("/good"), server + response(OK)).bytes()
    ran = run(capture, limits)
    (drop,) = ran.of("drop")
    assert drop["reason"] == reason
    assert drop["layer"] == reason.layer
    bad, good = ran.of("http")
    assert bad["response"]["body"]["status"] == "dropped"
    assert bad["response"]["body"]["drop_reason"] == reason
    assert good["response"]["body"]["json"]["status"] == "complete"
    assert ran.summary.http.bodies.dropped == 1


def test_a_stream_that_reassembly_gave_up_is_a_drop_in_the_report(run: Run) -> None:
    t = Talk().open().send(0, b"#", keep=False).send(0, b"x" * 60_000)
    ran = run(t.bytes(), replace(Limits(), rings_total=16 * 1024), drop_streams=True)
    (drop,) = ran.of("drop")
    assert (drop["reason"], drop["layer"]) == (DropReason.HOLE_MEMORY, "reassembly")
    assert ran.summary.drops.bytes == ran.summary.tcp.payload_bytes.dropped == 60_000
    assert ran.summary.memory.pressure


def test_a_connection_that_finds_no_room_is_a_drop_in_the_report(run: Run) -> None:
    ran = run(talk(request(), response(OK)).bytes(), replace(Limits(), connections_total=100))
    assert ran.summary.drops.by_reason[DropReason.CONNECTION_MEMORY].count == 1
    assert ran.of("drop")[0]["reason"] == DropReason.CONNECTION_MEMORY
    assert ran.summary.tcp.payload_bytes.dropped == ran.summary.tcp.payload_bytes.captured > 0


def test_every_drop_reason_is_caused_by_a_test_here_or_there() -> None:
    """The names in this file and in the other tests' parametrisation cover the enumeration."""
    from pathlib import Path

    source = "".join(p.read_text() for p in Path(__file__).parents[1].rglob("test_*.py"))
    assert [r for r in DropReason if f"DropReason.{r.name}" not in source] == []


def test_a_bomb_of_maps_is_bounded_in_the_report(run: Run) -> None:
    ran = run(Talk().open().send(0, b"".join(request("/", method=f"M{i:03}") for i in range(100))).close().bytes())
    counts = ran.summary.http.by_method
    assert len(counts) == Limits().map_keys + 1
    assert counts["..."] == 100 - Limits().map_keys


def test_bodies_whose_bytes_nobody_wants_are_not_looked_at(run: Run) -> None:
    ran = run(talk(request(), response(b"{" * 100_000, kind="application/octet-stream")).bytes())
    body = ran.of("http")[0]["response"]["body"]
    assert (body["status"], body["decoded_bytes"], body["json"]) == ("complete", None, None)
    assert json.loads(ran.lines[0])["record"] == "http"


@pytest.mark.parametrize("packets", [8192, 1])
@pytest.mark.parametrize("gap", [False, True])
def test_a_body_that_is_cut_while_an_upgrade_waits_is_reported(run: Run, packets: int, gap: bool) -> None:
    fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
    t = Talk().open().send(0, request("/u", method="POST", fields=fields) + b'{"a":1')
    if gap:
        t.send(0, b"#" * 10, keep=False)
    t.send(1, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n").close()
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    (record,) = ran.of("http")
    assert record["request"]["body"]["status"] == ("gapped" if gap else "truncated")
    assert len(ran.of("json")) == 1


def same_in_all_blocks(run: Run, t: Talk) -> Any:
    whole = run(t.bytes())
    for packets in (1, 2, 3):
        assert run(t.bytes(), replace(Limits(), block_packets=packets)).comparable() == whole.comparable()
    return whole


def test_a_long_first_line_is_found_wherever_blocks_end(run: Run) -> None:
    ran = same_in_all_blocks(run, Talk().open().send(0, request("/" + "a" * 17_000)).send(1, response(OK)).close())
    assert len(ran.of("http")[0]["request"]["target"]) == 17_001


def test_a_gap_before_the_verdict_fixes_the_roles_at_its_packet(run: Run) -> None:
    t = Talk(sport=80, dport=40000)
    t.packet(1, ACK, b"junk")
    t.send(1, b"lost" * 10, keep=False)
    t.packet(1, ACK, b"more")
    t.packet(0, ACK)
    t.frames += filler(80, t.us + 1000)
    t.idle(200_000)
    t.packet(0, ACK, request("/x"))
    t.packet(1, ACK, response(b"y"))
    same_in_all_blocks(run, t)


def test_a_search_in_the_middle_of_a_stream_begins_where_it_was_clear_that_it_must(run: Run) -> None:
    t = Talk()
    t.packet(0, ACK, b"POST /x abc")
    t.packet(0, ACK, request("/x"))
    t.packet(1, ACK, response(b"yy"))
    same_in_all_blocks(run, t)
    t = Talk()
    t.packet(1, ACK, b"HTTP/1.1 200 OK\rCon")
    t.packet(1, ACK, b"tent-Type: x\nContent-Length: 0\r\n\r\n")
    same_in_all_blocks(run, t)
    t = Talk()
    t.packet(1, ACK, b"\r\n")
    t.packet(0, ACK, request("/x"))
    t.packet(1, ACK, response(b"yy"))
    same_in_all_blocks(run, t)


def test_an_answer_from_before_the_capture_is_nobodys(run: Run) -> None:
    t = Talk(isn=(1000, 5000))
    t.packet(1, ACK, response(b"x"), ack=1000)
    t.packet(0, ACK, request("/2"))
    t.packet(1, ACK, response(b"yy"))
    ran = same_in_all_blocks(run, t)
    assert {(r["request"] or {}).get("target"): r["response"]["body"]["bytes"] for r in ran.of("http")} == {None: 1, "/2": 2}


def test_an_answer_without_a_body_lasts_to_its_heads_last_byte(run: Run) -> None:
    t = Talk().open().send(0, request())
    t.packet(1, ACK, b"HTTP/1.1 204")
    t.idle(5_000_000)
    t.packet(1, ACK, b" No\r\n\r\n")
    (record,) = same_in_all_blocks(run, t.close()).of("http")
    assert 5 < record["duration"] < 5.1


def test_an_exchange_whose_answer_came_early_is_complete_with_its_request(run: Run) -> None:
    upload = request("/up", method="POST", body=b'{"a": [1, 2, 3]}', fields="Content-Type: application/json\r\n")
    t = Talk().open().send(0, upload[:-5]).send(1, response(b"", status="413 No")).send(0, upload[-5:])
    ran = same_in_all_blocks(run, t)
    assert [json.loads(line)["record"] for line in ran.lines[:2]] == ["json", "http"]


def test_a_refusal_is_dated_by_the_byte_that_made_it_certain(run: Run) -> None:
    t = Talk().open().send(0, request())
    t.packet(1, ACK, b"HTTP/1.1 20")
    t.send(0, b"BAD LINE\r\n\r\n")
    t.packet(1, ACK, b"x OK\r\n\r\n")
    assert [d["stream"] for d in same_in_all_blocks(run, t.close()).of("drop")] == ["client", "server"]


@settings(max_examples=60 * CASES)
@given(st.lists(st.sampled_from(["ask", "answer", "junk", "lost-ask", "lost-answer", "ack", "wait", "post"]), max_size=24), st.booleans())
def test_whatever_is_lost_blocks_change_nothing_and_each_message_has_one_record(run: Run, plan: list[str], midstream: bool) -> None:
    t = Talk() if midstream else Talk().open()
    for i, step in enumerate(plan):
        if step in ("ask", "lost-ask"):
            t.send(0, request(f"/{i}"), keep=step == "ask")
        elif step == "post":
            t.send(0, request(f"/{i}", method="POST", body=b"[1, 2]", fields="Content-Type: application/json\r\n"), size=30)
        elif step in ("answer", "lost-answer"):
            t.send(1, response(OK * (i % 3)), size=60, keep=step == "answer")
        elif step == "junk":
            t.send(i % 2, b"\r\nno message\r\n\r\n")
        elif step == "ack":
            t.acknowledge(0).acknowledge(1)
        else:
            t.frames += filler(70, t.us + 1000)
            t.idle(90_000)
    ran = same_in_all_blocks(run, t)
    summary = ran.summary.http
    assert sum(1 for r in ran.of("http") if r["request"]) == summary.requests
    assert sum(1 for r in ran.of("http") if r["response"]) == summary.responses
    assert sorted({r["exchange"] for r in ran.of("http") if r["connection"] == 1}) == list(
        range(len([r for r in ran.of("http") if r["connection"] == 1]))
    )


@pytest.mark.parametrize("length", ["5, 6", "-5", "5x", "9" * 19])
def test_an_answer_whose_length_is_not_certain_is_read_until_close(run: Run, length: str) -> None:
    t = Talk().open().send(0, request("/bad") + request("/good")).acknowledge(1)
    t.send(1, f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello".encode()).send(1, response(OK)).acknowledge(0).close()
    ran = run(t.bytes())
    bad, unanswered = ran.of("http")
    body = bad["response"]["body"]
    assert (body["framing"], body["bytes"], body["status"]) == ("close", 5 + len(response(OK)), "complete")
    assert set(bad["anomalies"]) & {"malformed_length", "conflicting_lengths"}
    assert unanswered["response"] is None
    assert ran.of("drop") == []


@pytest.mark.parametrize("packets", [1, 3, 100])
@pytest.mark.parametrize("sent", [True, False])
def test_a_body_that_a_final_answer_made_unnecessary_is_known_by_the_request_in_its_place(run: Run, sent: bool, packets: int) -> None:
    t = Talk().open().send(0, request("/a", method="PUT", fields="Content-Length: 5\r\nExpect: 100-continue\r\n")).acknowledge(1)
    t.send(1, response(b"", status="417 Expectation Failed")).acknowledge(0)
    t.send(0, b"hello" if sent else b"").send(0, request("/b")).acknowledge(1).send(1, response(OK)).acknowledge(0).close()
    first, second = run(t.bytes(), replace(Limits(), block_packets=packets)).of("http")
    assert (first["request"]["body"]["bytes"], first["request"]["body"]["status"]) == ((5, "complete") if sent else (0, "truncated"))
    assert first["anomalies"] == (["answered_early"] if sent else ["body_not_sent"])
    assert (second["request"]["target"], second["response"]["status"], second["resynchronised"]) == ("/b", 200, not sent)


@pytest.mark.parametrize("packets", [1, 3, 100])
def test_an_expected_body_comes_after_100_continue(run: Run, packets: int) -> None:
    t = Talk().open().send(0, request("/a", method="PUT", fields="Content-Length: 5\r\nExpect: 100-continue\r\n")).acknowledge(1)
    t.send(1, b"HTTP/1.1 100 Continue\r\n\r\n").send(0, b"GET /").send(1, response(OK)).acknowledge(0).close()
    (only,) = run(t.bytes(), replace(Limits(), block_packets=packets)).of("http")
    assert (only["request"]["body"]["bytes"], only["request"]["body"]["status"], only["anomalies"]) == (5, "complete", [])


@pytest.mark.parametrize("packets", [1, 2, 100])
def test_a_head_whose_end_was_not_captured_is_reported_from_its_whole_lines(run: Run, packets: int) -> None:
    t = Talk().open().send(0, b"POST /a HTTP/1.1\r\nHost: example\r\nContent-Le").send(0, b"ngth: 3\r\n\r\nabc", keep=False).acknowledge(1)
    t.send(1, b"HTTP/1.1 200 OK\r\nServer: x\r\nX-Y").acknowledge(0)
    ran = run(t.bytes(), replace(Limits(), block_packets=packets))
    (only,) = ran.of("http")
    assert (only["request"]["method"], only["request"]["host"], only["request"]["body"]["status"]) == ("POST", "example", "truncated")
    assert (only["response"]["status"], only["response"]["body"]["status"]) == (200, "truncated")
    assert only["anomalies"] == ["head_cut"]
    assert ran.summary.http.bodies.truncated == 2
    assert sorted((one.kind, one.sender) for one in ran.summary.problems) == [("cut_head", "client"), ("cut_head", "server")]


def test_an_answer_to_a_head_request_that_was_not_captured_has_no_body(run: Run) -> None:
    t = Talk().open().send(1, response(b"x" * 689)[:-689]).send(1, response(OK)).acknowledge(0)
    first, second = run(t.bytes()).of("http")
    assert (first["response"]["body"]["bytes"], first["anomalies"]) == (0, ["body_not_sent"])
    assert second["response"]["body"]["bytes"] == len(OK)


def test_an_answer_from_before_the_capture_does_not_take_the_next_ones_place(run: Run) -> None:
    """The client had acknowledged megabytes of the first answer when it asked again; only the second answer was captured."""
    t = Talk(isn=(1000, 5000))
    t.packet(0, ACK, request("/first"), ack=5000)
    t.packet(0, ACK, request("/second"), ack=5000 + 4_000_000)
    t.seq[1] = 5000 + 4_000_000
    t.send(1, response(OK)).acknowledge(0)
    by_target = {r["request"]["target"]: r["response"] for r in run(t.bytes()).of("http")}
    assert by_target["/first"] is None
    assert by_target["/second"]["status"] == 200


def test_a_status_line_that_nothing_follows_is_reported(run: Run) -> None:
    t = (
        Talk()
        .open()
        .send(0, request("/a"))
        .acknowledge(1)
        .send(1, b"HTTP/1.0 200 OK")
        .send(1, b"\r\nServer: x\r\n\r\n", keep=False)
        .acknowledge(0)
    )
    t.frames += filler(80, t.us)
    (only,) = run(pcap(t.frames)).of("http")
    assert (only["response"]["status"], only["anomalies"]) == (200, ["head_cut"])


def test_the_first_of_two_syn_acks_counts(run: Run) -> None:
    t = Talk()
    t.packet(0, SYN)
    t.packet(1, SYN | ACK)
    t.packet(1, SYN | ACK, seq=99_000_000)
    t.packet(0, ACK)
    ran = run(t.send(0, request("/a")).send(1, response(OK)).close().bytes())
    assert [r["response"]["status"] for r in ran.of("http")] == [200]
    assert ran.summary.tcp.payload_bytes.out_of_window == 0


def test_ranges_in_several_parts_are_a_body_as_any_other(run: Run) -> None:
    body = b"--x\r\nContent-Range: bytes 0-1/9\r\n\r\nab\r\n--x\r\nContent-Range: bytes 5-6/9\r\n\r\nHTTP/1.1 200 OK\r\n\r\n--x--\r\n"
    t = talk(
        request("/a") + request("http://example/b?c=1") + request("*", method="OPTIONS"),
        response(body, status="206 Partial Content", kind="multipart/byteranges; boundary=x") + response(OK) + response(OK),
    )
    found = run(t.bytes()).of("http")
    assert [(r["request"]["target"], r["response"]["status"], r["response"]["body"]["bytes"]) for r in found] == [
        ("/a", 206, len(body)),
        ("http://example/b?c=1", 200, len(OK)),
        ("*", 200, len(OK)),
    ]


def test_an_answer_that_is_given_up_before_its_body_began_does_not_end_twice(run: Run) -> None:
    t = (
        Talk().open().send(1, b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")
    )  # its request is not in the capture, and its body may never have been sent
    t.acknowledge(0).send(1, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    ran = run(t.close().bytes(), replace(Limits(), http_total=600, block_packets=4))
    assert DropReason.HTTP_MEMORY in ran.summary.drops.by_reason


def test_bytes_that_answer_no_simple_request_are_no_simple_answer(run: Run) -> None:
    """The request of HTTP/0.9 was reported without an answer, as too many waited behind it: what comes then answers others."""
    t = Talk().open().send(0, b"GET /old\r\n" + b"".join(request(f"/{n}") for n in range(300)))
    t.send(1, b"plain text\r\n").send(1, response(b'{"a":1}') * 5)
    ran = run(t.close().bytes())
    assert "0" not in ran.summary.http.by_status
    assert DropReason.HTTP_MALFORMED_HEAD in ran.summary.drops.by_reason
