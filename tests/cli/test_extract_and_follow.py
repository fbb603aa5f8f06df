"""`extract` and `follow` from the command line."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pcapflow import pipeline
from pcapflow.findings.follow import Finding
from pcapflow.limits import Limits
from tests.conftest import Run
from tests.craft import ACK, SYN, Talk, chunked, filler, merge, pcap, request, response
from tests.launcher import launch

SAMPLES = Path(__file__).parents[2] / "samples"


def pcapflow(*arguments: object, status: int = 0) -> tuple[bytes, str]:
    done = launch(*arguments)
    assert done.returncode == status, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done.stdout, done.stderr.decode()


def two_talks() -> bytes:
    """Two connections whose answers come at the same time, one in chunks, one in gzip, both larger than a slice."""
    first, second = Talk(sport=40001), Talk(sport=40002, isn=(7000, 9000))
    second.us = 5
    big = json.dumps({"items": [{"id": 2**63 + i, "who": "first"} for i in range(900)]}).encode()
    other = gzip.compress(json.dumps({"items": [{"id": -i, "who": "second"} for i in range(3000)]}).encode(), mtime=0)
    first.open().send(0, request("/v1/a?x=1")).send(1, chunked(big, [5000, 17, 3000] * 10)).close()
    second.open().send(0, request("/v2/b", method="POST", body=b'{"items": [{"id": 7}]}', fields="Content-Type: application/json\r\n"))
    second.send(1, response(other, status="404 Not Found", fields="Content-Encoding: gzip\r\n")).close()
    return merge(first, second)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "two.pcap"
    path.write_bytes(two_talks())
    return path


def test_values_come_in_the_order_of_their_packets_whatever_the_blocks(capture: Path) -> None:
    out, errors = pcapflow("extract", "items.item.id", capture, "--with-source")
    assert errors == ""
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == 3901
    assert [r["value"] for r in rows if r["url"] == "http://example/v1/a?x=1"] == [2**63 + i for i in range(900)]
    assert [r["value"] for r in rows if r["status"] == 404] == [-i for i in range(3000)]
    for size in ("2KiB", "20KiB"):
        assert pcapflow("extract", "items.item.id", capture, "--with-source", "--block-size", size)[0] == out


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("method=POST", 3001),
        ("method=post,source=request", 1),
        ("status=2xx", 900),
        ("status=404,source=request", 1),
        ("status=404", 3001),
        ("path=/v1/*", 900),
        ("path=/v1", 0),
        ("host=example", 3901),
        ("host=example:80", 0),
        ("source=raw", 0),
    ],
)
def test_where_selects_exchanges(capture: Path, where: str, count: int) -> None:
    out, _ = pcapflow("extract", "items.item", "--where", where, capture)
    assert out.count(b"\n") == count
    assert pcapflow("extract", "items.item", "--where", where, "--block-size", "3KiB", capture)[0] == out


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("items.id", "no value: 3 bodies were searched, none has items.id; items[].id has 3,901 values"),
        ("Who", "no value: 3 bodies were searched, none has Who; items[].who has 3,900 values"),
        (".nothing", "no value: 3 bodies were searched, none has .nothing"),
    ],
)
def test_an_empty_answer_says_what_was_searched_and_what_is_near(capture: Path, path: str, said: str) -> None:
    for options in ((), ("--block-size", "3KiB"), ("--workers", "2")):
        assert pcapflow("extract", "-q", path, capture, *options) == (b"", f"pcapflow: {said}\n")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("path=/v1/*", "1 body that matches --where path=/v1/* was searched, none has note"),
        ("host=example", "3 bodies that match --where host=example were searched, none has note"),
        ("status=404,side=request", "1 body that matches --where status=404,side=request was searched, none has note"),
        ("status=500", "no body that can be searched matches --where status=500"),
        ("status=500,side=request", "no body that can be searched matches --where status=500,side=request"),
    ],
)
def test_an_empty_answer_speaks_of_the_bodies_that_were_meant(capture: Path, where: str, said: str) -> None:
    for options in ((), ("--block-size", "3KiB"), ("--workers", "2")):
        assert pcapflow("extract", "-q", "--where", where, "note", capture, *options) == (b"", f"pcapflow: no value: {said}\n")


@pytest.mark.parametrize(("where", "warned"), [("", 2), ("status=200", 1), ("path=/b", 1), ("side=request", 0), ("connection=9", 0)])
def test_only_bodies_that_are_meant_are_warned_of(tmp_path: Path, where: str, warned: int) -> None:
    t = Talk().open()
    for path, status in (("/a", "200 OK"), ("/b", "500 Oops")):
        t.send(0, request(path)).send(1, response(b"[1,", status=status)).acknowledge(0)
    errors = pcapflow("extract", "-q", "--where", where, "x", t.close().save(tmp_path / "x.pcap"))[1]
    assert errors.count("invalid JSON") == warned


def test_an_empty_answer_where_nothing_is_json_says_so(tmp_path: Path) -> None:
    Talk().open().send(0, request("/x")).send(1, response(b"text", kind="text/plain")).close().save(tmp_path / "x.pcap")
    assert "no value: there is no JSON to search" in pcapflow("extract", "a", tmp_path / "x.pcap")[1]


@pytest.mark.parametrize(
    ("where", "near"),
    [("verb=GET", "method"), ("methd=GET", "method"), ("url=/x", "path"), ("duration=1s", "min-duration"), ("code=404", "status")],
)
def test_a_misspelt_condition_is_told_the_nearest(capture: Path, where: str, near: str) -> None:
    assert f"did you mean {near}?" in pcapflow("extract", "", "--where", where, capture, status=2)[1]


@pytest.mark.parametrize(
    "where",
    [
        "status=200,status=404",
        "connection=x",
        "exchange=-1",
        "min-duration=fast",
        "colour=red",
        "status",
        "status=20",
        "source=up",
        "method=",
    ],
)
def test_a_condition_that_is_none_is_a_usage_error(capture: Path, where: str) -> None:
    assert "--where" in pcapflow("extract", "", "--where", where, capture, status=2)[1]


def test_what_was_given_up_is_said_or_written(tmp_path: Path) -> None:
    t = (
        Talk()
        .open()
        .send(0, request("/a") + request("/b"))
        .send(1, response(b'["' + b"x" * 2_000_000 + b'", 1]') + response(b'{"a": [1, 2,'))
        .close()
    )
    path, drops = tmp_path / "t.pcap", tmp_path / "drops.ndjson"
    t.save(path)
    errors = pcapflow("extract", "item", path)[1]
    dropped, partial, cut = (line for line in errors.splitlines() if "warning: connection 1, " in line)
    assert "server: json_scalar_too_large at byte " in dropped
    assert (partial.partition("response: ")[2].split(" ")[0], cut.partition("response: ")[2].split(" ")[0]) == ("dropped", "invalid")
    errors = pcapflow("extract", "item", "--drops", drops, path)[1]
    assert errors.startswith("pcapflow: no value: 2 bodies were searched")
    assert errors.count("\n") == 1
    assert "no value" in errors
    assert [json.loads(line).get("reason") for line in drops.read_text().splitlines()] == ["json_scalar_too_large", None, None]


def test_a_large_value_is_a_drop_and_the_rest_comes(tmp_path: Path) -> None:
    t = Talk().open().send(0, request("/a")).send(1, response(json.dumps([1, ["y" * 900_000] * 10, 2]).encode()), size=60_000).close()
    out, errors = pcapflow("extract", "item", t.save(tmp_path / "t.pcap"))
    assert out == b"1\n2\n"
    assert errors.startswith("pcapflow: warning: connection 1, server: json_value_too_large at byte ")


def test_raw_lines_are_extracted_too(tmp_path: Path) -> None:
    t = Talk(dport=5170).open().send(0, b'{"id": 1}\n{"id": bad}\n{"id": 3}\n').close()
    assert pcapflow("extract", "id", t.save(tmp_path / "t.pcap"))[0] == b"1\n3\n"


def test_a_reader_that_leaves_ends_the_run_quietly(capture: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m pcapflow extract items.item.id {capture} | head -n 1", shell=True, capture_output=True, check=False
    )
    assert (done.stdout, done.stderr) == (b"7\n", b"")


# --- follow


@pytest.fixture
def holed(tmp_path: Path) -> str:
    t = Talk().open().send(0, request("/x")).acknowledge(1).send(1, b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n")
    t.send(1, b"a" * 1000).send(1, b"b" * 1000, keep=False).acknowledge(0).send(1, b"\x1b[2J" + b"c" * 996).close()
    t.frames += filler(80, t.us)
    path = tmp_path / "holed.pcap"
    path.write_bytes(pcap(t.frames))
    return str(path)


def test_a_gap_is_shown_and_nothing_is_invented_for_it(holed: str) -> None:
    text = pcapflow("follow", holed, "--connection", 1)[0].decode()
    assert "--- client, from byte 0, packet 4\nGET /x HTTP/1.1\n" in text
    assert "--- server, gap of 1,000 bytes from byte 1041 (acknowledged), known at packet " in text
    assert "\x1b" not in text
    assert "--- server, ends with FIN at byte 3041" in text
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"
    raw = pcapflow("follow", holed, "--connection", 1, "--stream", "server", "--raw")[0]
    assert raw == head + b"a" * 1000 + b"\x1b[2J" + b"c" * 996
    filled = pcapflow("follow", holed, "--connection", 1, "--stream", "server", "--raw", "--gap-fill", "00")[0]
    assert filled == head + b"a" * 1000 + bytes(1000) + b"\x1b[2J" + b"c" * 996


def test_hexadecimal_has_offsets_bytes_and_text(holed: str) -> None:
    lines = pcapflow("follow", holed, "--connection", 1, "--stream", "client", "--hex")[0].splitlines()
    assert lines[1] == b"00000000  47 45 54 20 2f 78 20 48 54 54 50 2f 31 2e 31 0d  GET /x HTTP/1.1."


def test_blocks_change_nothing_in_what_is_followed(holed: str) -> None:
    whole = pcapflow("follow", holed, "--connection", 1)[0]
    assert pcapflow("follow", holed, "--connection", 1, "--block-size", "1KiB")[0] == whole


def test_both_streams_of_a_sample_are_what_the_report_counts() -> None:
    (first,) = (
        json.loads(line)
        for line in pcapflow("analyze", "--ndjson", SAMPLES / "pipelined.pcap")[0].splitlines()[:10000]
        if b'"record":"connection"' in line and b'"connection":1,' in line
    )
    for name in ("client", "server"):
        raw = pcapflow("follow", SAMPLES / "pipelined.pcap", "--connection", 1, "--stream", name, "--raw")[0]
        assert len(raw) == first["streams"][name]["delivered_bytes"] > 0


@pytest.mark.parametrize("name", ["midstream", "reordered"])
def test_the_streams_have_the_names_that_the_report_gives_them(name: str) -> None:
    path = SAMPLES / f"{name}.pcap"
    records = [json.loads(line) for line in pcapflow("analyze", "--ndjson", path)[0].splitlines()]
    connection = max((r for r in records if r["record"] == "connection"), key=lambda r: r["streams"]["server"]["delivered_bytes"])
    for side, stream in connection["streams"].items():
        raw = pcapflow("follow", path, "--connection", connection["connection"], "--stream", side, "--raw")[0]
        assert len(raw) == stream["delivered_bytes"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--connection", "2"], "no connection starts with packet 2; --packet 2 selects"),
        (["--connection", "9999"], "there is no packet 9999: the capture has "),
        (["--connection", "9999", "--packets", "8"], "no connection starts with packet 9999"),
        (["--connection", "1", "--gap-fill", "00"], "--gap-fill requires --raw"),
        (["--connection", "1", "--raw", "--gap-fill", "0"], "not a byte"),
        (["--connection", "1", "--raw", "--hex"], "exclude"),
        ([], "--connection"),
        (["--connection", "1", "--packet", "4"], "exclude each other"),
        (["--packet", "9", "--packets", "8"], "is beyond --packets 8"),
    ],
)
def test_what_cannot_be_followed_is_a_usage_error(holed: str, arguments: list[str], says: str) -> None:
    assert says in pcapflow("follow", holed, *arguments, status=2)[1]


def twice(tmp_path: Path) -> tuple[str, list[dict[str, Any]]]:
    """The same ports used by two connections, one after the other, each with a request of its own; and a SYN that nobody answers. With their records."""
    first = Talk().open().send(0, request("/first")).send(1, response(b"1")).close()
    second, alone = Talk(isn=(900_000, 800_000)), Talk(sport=777)
    second.us = first.us + 60_000_000
    second.open().send(0, request("/second")).send(1, response(b"2")).close()
    alone.us = second.us
    alone.packet(0, SYN)
    path = tmp_path / "twice.pcap"
    path.write_bytes(pcap([*first.frames, *second.frames, *alone.frames]))
    lines = pcapflow("analyze", "--ndjson", "--records", "connection", path)[0].splitlines()
    return str(path), sorted(map(json.loads, lines[:-1]), key=lambda record: record["connection"])


def test_a_connection_is_named_by_its_ends_or_its_community_id_and_others_of_that_name_are_said(tmp_path: Path) -> None:
    path, (first, second, alone) = twice(tmp_path)
    assert first["community_id"] == second["community_id"]
    client, server = (f"{first[side]['ip']}:{first[side]['port']}" for side in ("client", "server"))
    by_number = pcapflow("follow", path, "--connection", first["connection"])[0]
    assert b"/first" in by_number
    for name in (f"{client}-{server}", f"{server}-{client}", f"{client} -> {server}", first["community_id"]):
        text, said = pcapflow("follow", path, "--connection", name)
        assert text == by_number
        assert f"this is connection {first['connection']}, the first of those with these ends; the others: {second['connection']}" in said
    assert b"/second" in pcapflow("follow", path, "--connection", second["connection"])[0]
    text, said = pcapflow("follow", path, "--connection", alone["community_id"])
    assert b"client, still open at byte 0" in text
    assert said == ""


def test_a_packet_names_the_connection_that_it_is_of(tmp_path: Path) -> None:
    path, records = twice(tmp_path)
    texts = [pcapflow("follow", path, "--connection", record["connection"])[0] for record in records]
    at = 1
    for record, text in zip(records, texts, strict=True):
        for packet in range(at, at + record["packets"]):
            assert pcapflow("follow", path, "--packet", packet) == (text, "")
        at += record["packets"]
    assert f"there is no packet {at}: the capture has {at - 1}" in pcapflow("follow", path, "--packet", at, status=2)[1]


def test_every_packet_of_a_sample_names_a_connection_and_blocks_and_limits_change_nothing(run: Run) -> None:
    path = str(SAMPLES / "reordered.pcap")

    def whose(packet: int, limits: Limits | None = None) -> int:
        finding = Finding(packet)
        pipeline.run([path], limits, pipeline.Options(looks_for=packet), follow=finding)
        return finding.number

    result = run(path)
    packets = sum(record["packets"] for record in result.of("connection"))
    assert packets == result.summary.decode.tcp
    found = Counter(whose(packet) for packet in range(1, packets + 1))
    assert found == {record["connection"]: record["packets"] for record in result.of("connection")}
    assert Counter(whose(packet, Limits(block_size=4096)) for packet in range(1, packets + 1)) == found


def test_a_packet_behind_a_long_pause_is_of_the_connection_that_begins_there(tmp_path: Path) -> None:
    first = Talk().open().send(0, request("/old")).send(1, response(b"1"))
    second = Talk()
    second.seq, second.us, second.ident = first.seq, first.us + 3_700_000_000, 900
    second.send(0, request("/new")).send(1, response(b"2")).acknowledge(0).acknowledge(1).acknowledge(0)
    path = tmp_path / "pause.pcap"
    path.write_bytes(pcap([*first.frames, *second.frames]))
    for packet in range(1, len(first.frames) + 1):
        assert b"/old" in pcapflow("follow", path, "--packet", packet)[0]
    for packet in range(len(first.frames) + 1, len(first.frames) + len(second.frames) + 1):
        assert b"/new" in pcapflow("follow", path, "--packet", packet)[0]


def test_a_copy_is_of_the_connection_of_its_packet_and_what_is_no_segment_of_none(tmp_path: Path) -> None:
    t = Talk().open().send(0, request("/"))
    t.frames.append((t.us, t.frames[-1][1]))
    not_ip = t.frames[0][1][:12] + b"\x88\xcc" + t.frames[0][1][14:]
    path = tmp_path / "copies.pcap"
    path.write_bytes(pcap([*t.frames, (t.us, not_ip)]))
    assert b"GET / " in pcapflow("follow", path, "--packet", len(t.frames))[0]
    said = pcapflow("follow", path, "--packet", len(t.frames) + 1, status=2)[1]
    assert f"packet {len(t.frames) + 1} does not belong to a TCP connection that is read" in said


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("0", "counted from 1"),
        ("ten", "IP:PORT-IP:PORT"),
        ("10.0.0.1:80", "IP:PORT-IP:PORT"),
        ("10.0.0.1:80-10.0.0.2:66000", "66000 is not a port"),
        ("10.0.0.1:80-10.0.0.256:6", "10.0.0.256"),
        ("[::g]:1-[::1]:2", "IP:PORT-IP:PORT"),
        ("[1::2::3]:1-[::1]:2", "1::2::3"),
        ("10.9.9.9:1-10.9.9.8:2", "no connection matches 10.9.9.9:1-10.9.9.8:2"),
        ("1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "no connection matches 1:LQU"),
        ("1:LQU9qZlK+B5F3KDmev6m5PMibrg", "community id"),
    ],
)
def test_a_name_that_names_nothing_is_told_how_it_is_written(holed: str, name: str, says: str) -> None:
    assert says in pcapflow("follow", holed, "--connection", name, status=2)[1]


def test_what_can_be_read_once_has_no_packet_to_look_up(holed: str) -> None:
    done = subprocess.run(
        f"{sys.executable} -m pcapflow follow --packet 4 - < {holed}; echo $?", shell=True, capture_output=True, check=False, text=True
    )
    assert done.stdout == "2\n"
    assert "--packet reads a capture twice, but '-' can be read only once; save it to a file, or use --connection" in done.stderr


def test_a_connection_without_payload_is_followed_to_its_end(tmp_path: Path) -> None:
    t = Talk().open()
    t.packet(0, ACK)
    text = pcapflow("follow", t.close().save(tmp_path / "t.pcap"), "--connection", 1)[0].decode()
    assert text.splitlines()[0].startswith("--- client, ends with FIN at byte 0")


def test_an_empty_body_at_a_blocks_end_is_no_trouble(tmp_path: Path) -> None:
    t = Talk().open().send(0, request("/")).send(1, response(b"")).send(0, request("/2")).send(1, response(b'{"a": 1}')).close()
    assert pcapflow("extract", "a", "--block-size", "1KiB", t.save(tmp_path / "t.pcap"))[0] == b"1\n"


def test_a_requests_values_wait_for_the_status_of_its_own_answer(tmp_path: Path) -> None:
    """In the middle of a connection: an answer to nobody comes first."""
    t = Talk().send(1, response(b'{"o": 1}', status="404 Not Found"))
    t.send(0, request("/p", method="POST", body=b'{"q": 1}', fields="Content-Type: application/json\r\n")).send(1, response(b'{"o": 2}'))
    path = t.save(tmp_path / "t.pcap")
    for size in ("1KiB", "2MiB"):
        assert pcapflow("extract", "q", "--where", "source=request,status=2xx", "--block-size", size, path)[0] == b"1\n"
        assert pcapflow("extract", "q", "--where", "source=request,status=4xx", "--block-size", size, path)[0] == b""


@pytest.mark.parametrize("parts", [[b'{"a":2}\n'], [b'{"a"', b":2}\n"], [b"{", b'"a":', b"2", b"}"]])
def test_values_of_an_answer_without_a_head_are_found(tmp_path: Path, parts: list[bytes]) -> None:
    talk = Talk().open().send(0, b"GET /x\r\n")
    for part in parts:
        talk.send(1, part)
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(talk.close().frames))
    assert pcapflow("extract", "a", path, "--sniff-json", "-q")[0] == b"2\n"


def messages() -> Talk:
    t = (
        Talk(sport=40001)
        .open()
        .send(0, request("/a", method="POST", body=b'{"a": 1}', fields="Content-Type: application/json\r\n"), size=40)
    )
    t.send(1, b"HTTP/1.1 100 Continue\r\n\r\n").send(1, chunked(b'{"b": [1, 2]}', [3, 4, 5]), size=30)
    t.send(0, request("/b")).send(
        1, response(gzip.compress(b"<p>text</p>\n", mtime=0), kind="text/html", fields="Content-Encoding: gzip\r\n")
    )
    t.send(0, request("/c")).send(1, response(bytes(range(256)) * 40, kind="image/png"))
    return t.close()


@pytest.mark.parametrize("size", ["1MiB", "2KiB"])
def test_decoded_messages_have_no_chunking_and_no_codings_and_come_in_the_order_of_their_packets(tmp_path: Path, size: str) -> None:
    path = messages().save(tmp_path / "x.pcap")
    out, errors = pcapflow("follow", path, "--connection", "1", "--decode", "--block-size", size)
    assert errors == ""
    text = out.decode()
    assert text.startswith(
        '--- client, packet 4\nPOST /a HTTP/1.1\nHost: example\nContent-Length: 8\nContent-Type: application/json\n\n{"a": 1}\n--- server, packet '
    )
    assert "HTTP/1.1 100 Continue\n\n--- server, packet " in text
    assert 'Transfer-Encoding: chunked\n\n{"b": [1, 2]}\n--- client, packet' in text
    assert "Content-Encoding: gzip\n\n<p>text</p>\n--- server: gzip undone: 12 bytes\n--- client, packet" in text
    assert "00000030  30 31 32" in text
    assert text.endswith("--- server: 10,176 more bytes of binary data; --hex shows them\n")
    assert "00000040" not in text
    assert "000027f5" in pcapflow("follow", path, "--connection", "1", "--decode", "--hex")[0].decode()
    assert "POST" not in pcapflow("follow", path, "--connection", "1", "--decode", "--stream", "server")[0].decode()


def test_decoded_messages_show_what_is_missing(tmp_path: Path) -> None:
    t = Talk(sport=40001).open().send(0, request("/a"))
    t.send(1, response(b"abcdefghij" * 300, kind="text/plain"), size=1000)
    del t.frames[-3]
    path = t.acknowledge(0).close().save(tmp_path / "x.pcap")
    out = pcapflow("follow", path, "--connection", "1", "--decode")[0].decode()
    assert "--- server, gap of 1,000 bytes, known at packet " in out
    assert out.endswith("--- server: the body is not whole\n")


def test_a_connection_without_messages_says_so(tmp_path: Path) -> None:
    path = Talk(sport=40001).open().send(0, b"hello").send(1, b"world").close().save(tmp_path / "x.pcap")
    out, errors = pcapflow("follow", path, "--connection", "1", "--decode")
    assert out == b""
    assert "no HTTP message was read on this connection" in errors
    assert "--decode and --raw exclude each other" in pcapflow("follow", path, "--connection", "1", "--decode", "--raw", status=2)[1]


@pytest.mark.parametrize("decode", [(), ("--decode",)])
def test_sides_have_colours_at_a_terminal_alone(tmp_path: Path, decode: tuple[str, ...]) -> None:
    path = messages().save(tmp_path / "x.pcap")
    command = " ".join(map(str, (sys.executable, "-m", "pcapflow", "follow", "-q", path, "--connection", "1", *decode)))
    colored = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout
    assert b"\x1b[31mPOST" in colored
    assert b"\x1b[34mHTTP/1.1" in colored
    assert b"\x1b[" not in pcapflow("follow", "-q", path, "--connection", "1", *decode)[0]


def test_a_path_that_was_forgotten_is_what_is_missing(tmp_path: Path) -> None:
    path = Talk().open().close().save(tmp_path / "t.pcap")
    assert (
        f"PATH is missing: write it before the capture, as in pcapflow extract 'items[].id' {path}"
        in pcapflow("extract", path, status=2)[1]
    )
    assert "Missing argument 'CAPTURE...'" in pcapflow("extract", ".a", status=2)[1]


def test_decoded_messages_come_with_what_is_of_no_message(tmp_path: Path) -> None:
    t = Talk().open().send(0, request("/a")).send(1, response(b"[1]")).acknowledge(0)
    t.send(0, request("/b")).send(1, response(b"[2]"), keep=False).send(1, b"x" * 300 + response(b"[3]")[:10]).acknowledge(0)
    t.send(0, request("/c")).send(1, response(b"[4]")).acknowledge(0).close()
    path = t.save(tmp_path / "x.pcap")
    out, errors = pcapflow("follow", path, "--connection", "1", "--decode")
    assert b"--- server: 310 bytes in no message (behind_loss); follow without --decode shows them" in out
    assert b"[4]" in out
    assert f"{len(response(b'[2]')):,} missing bytes in no body: --decode does not show them" in errors
    out, errors = pcapflow("follow", path, "--connection", "1", "--decode", "--stream", "client")
    assert b"in no message" not in out
    assert "missing" not in errors
