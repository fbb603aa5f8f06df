"""What the schema says a field may be, it is somewhere: no value is promised that is never written. Reasons of drops and anomalies have tests of their own."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import msgspec

from pcapflow.limits import Limits
from pcapflow.policy import Policy
from pcapflow.report.schema import schema
from tests.conftest import Run
from tests.craft import ACK, PSH, RST, SYN, Talk, chunked, filler, merge, pcap, request, response
from tests.protocols.test_other_protocols import HELLO
from tests.protocols.test_prefixes import FROM, HEADERS, TO_NAME

ELSEWHERE = {"Gap.cause", "YamlBody.status", "drop_reason", "anomalies", "kind", "layer", "Drop.reason", "Http.unanswered"}
"""`layer` is that of a reason; tests/payload/test_yaml.py has each status of YAML, `not_read` without its libraries too; tests/reassembly has each cause of gaps, tests/protocols/test_no_response.py each reason for no response, tests/test_plugins.py what plug-ins say."""
SWITCH = request(fields="Connection: Upgrade\r\nUpgrade: websocket\r\n")
SWITCHED = b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def exchange(*answers: bytes, asked: bytes = request()) -> Talk:
    t = Talk(sport=30_000 + len(answers)).open()
    for answer in answers:
        t.send(0, asked).acknowledge(1).send(1, answer).acknowledge(0)
    return t


def dropped() -> list[bytes]:
    """Bodies of every format of which something is given up."""
    json = b'["' + b"x" * 200_000 + b'"]'
    part = b"--x\r\nContent-Type: application/json\r\n\r\n" + json + b"\r\n--x--"
    bodies = [(b"[[[1, a]]]", "text/yaml"), (b"a=" + json, "application/x-www-form-urlencoded"), (part, "multipart/mixed; boundary=x")]
    return [response(body, kind=kind) for body, kind in bodies]


def gapped(i: int, body: bytes, kind: str) -> Talk:
    """An answer of which a byte is missing."""
    t = Talk(sport=33_000 + i).open().send(0, request()).acknowledge(1)
    answer = response(body + b"\n" + b"#" * 40, kind=kind)
    return t.send(1, answer[:-41]).send(1, answer[-41:-30], keep=False).send(1, answer[-30:]).acknowledge(0).close()


def texts() -> list[Talk]:
    """Bodies of every kind of text, encoding and framing."""
    documents = [
        b"{}",
        b"[]",
        b'"a"',
        b"1",
        b"true",
        b"null",
        b"{}[]",
        b"[1,",
        "[1]".encode("utf-16-le"),
        "[1]".encode("utf-16-be"),
        "[1]".encode("utf-32-le"),
        "[1]".encode("utf-32-be"),
    ]
    answers = [response(text) for text in documents]
    close = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[1]"
    cut = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n[1,"
    coded = response(gzip.compress(b"[1,2,3]" * 900)[:-8] + bytes(8), fields="Content-Encoding: gzip\r\n")
    asked = request(method="POST", body=b"[1]", fields="Content-Type: application/json\r\n")
    broken = request(method="POST", body=b"[1}", fields="Content-Type: application/json\r\n")
    part = response(b"1,2]", status="206 Partial Content")
    # payloads that are not JSON, each ended in every way
    others = [
        (b"a: 1", "text/yaml"), (b"- 1", "text/yaml"), (b"1", "text/yaml"), (b"--- 1\n--- {}", "text/yaml"), (b"*a", "text/yaml"), (b"a: [", "text/yaml"),
        ("a: 1".encode("utf-16-le"), "text/yaml"), ("a: 1".encode("utf-16-be"), "text/yaml"), (b'- {"b": [[[[1]]]]}', "text/yaml"),
        (b"a=1", "application/x-www-form-urlencoded"), (b"--x\r\n\r\n1\r\n--x--", "multipart/mixed; boundary=x"), (b"1", "multipart/mixed; boundary=x"),
        (b"--x\r\nContent-Type: text/yaml\r\n\r\n- [[[[1]]]]\r\n--x--", "multipart/mixed; boundary=x"),
        (b"--x\r\n\r\n1", "multipart/mixed; boundary=x"),
    ]  # fmt: skip
    payloads = [response(body, kind=kind) for body, kind in others]
    ends = [
        b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (status, kind, n, body)
        for body, kind in (
            (b"a: [", b"text/yaml"),
            (b"a=1", b"application/x-www-form-urlencoded"),
            (b"--x\r\n\r\n1", b"multipart/mixed; boundary=x"),
        )
        for status, n in ((b"206 Partial Content", len(body)), (b"200 OK", 99))
    ]
    raw = Talk(sport=31_000, dport=4000).open().send(0, b'{"a":1}\n').close()
    return [
        exchange(*answers, chunked(b"[1]", [2]), coded, part, asked=asked).close(),
        exchange(close).close(),
        exchange(b"", b"", asked=broken).close(),
        exchange(cut, b"", b"", b""),
        exchange(*payloads),
        *(exchange(end, *[b""] * (20 + i)).close() for i, end in enumerate(ends)),
        *(gapped(i, body, kind) for i, (body, kind) in enumerate(others)),
        raw,
    ]


def ends() -> list[Talk]:
    """Connections that begin and end in every way."""
    reset = Talk(sport=32_000).open().send(0, b"x")
    reset.packet(1, RST | ACK)
    reused = Talk(sport=32_001).open().send(0, request())
    reused.seq = [900_000, 800_000]
    reused.idle(400_000_000).open()
    idle = Talk(sport=32_002).open().send(0, b"x").idle(1_000_000_000).send(0, b"y")
    synack = Talk(sport=32_003)
    synack.packet(1, SYN | ACK)
    synack.send(1, b"\x00\x01")
    content = Talk(sport=32_004).send(0, request())
    order = Talk(sport=32_005, dport=32_005).send(0, b"\x00\x01")
    port = Talk(sport=32_006).send(0, b"\x00\x01")
    return [reset, reused, idle, synack, content, order, port]


def protocols() -> list[Talk]:
    """What connections speak."""
    web = exchange().open().send(0, SWITCH).acknowledge(1).send(1, SWITCHED + b"\x81\x02hi").acknowledge(0)
    tls = Talk(sport=33_000, dport=443).open().send(0, HELLO).acknowledge(1).send(1, b"\x17\x03\x03\x00\x02ab")
    h2 = Talk(sport=33_001).open().send(0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    proxy = Talk(sport=33_002).open().send(0, HEADERS["v1 over IPv4"][0])
    socks = Talk(sport=33_003).open().send(0, b"\x05\x01\x00").acknowledge(1).send(1, b"\x05\x00").acknowledge(0)
    socks.send(0, b"\x05\x01\x00" + TO_NAME).acknowledge(1).send(1, FROM)
    silent = Talk(sport=33_004).open().close()
    before = Talk(sport=33_005).send(1, b"rest").send(0, request()).acknowledge(1).send(1, response(b"{}"))
    torn = (
        Talk(sport=33_007).open().send(0, request()).acknowledge(1).send(1, response(b"{}")[:40], keep=False).send(1, response(b"{}")[40:])
    )
    surplus = Talk(sport=33_006).open().send(0, request()).acknowledge(1).send(1, response(b"{}") + b"\x00")
    return [web, tls, h2, proxy, socks, silent, before, torn, surplus]


def lost() -> Talk:
    t = Talk(sport=34_000).open().send(0, request()).acknowledge(1)
    t.send(1, response(b'{"a":"' + b"x" * 9000 + b'"}')[:4000], size=1000)
    t.packet(1, ACK | PSH, b"y" * 1000, keep=False)
    return t.send(1, b"z" * 3000, size=1000)


def conflicts() -> list[Talk]:
    made = []
    for n, at in enumerate((0, -5, 5)):
        t = Talk(sport=35_000 + n).open().send(0, b"abc")
        first = t.seq[0] + 10
        t.packet(0, ACK | PSH, b"0123456789", seq=first)
        t.packet(0, ACK | PSH, b"ABCDEFGHIJ" if at else b"ABCDEFGHIJKLMNO", seq=first + at)
        made.append(t)
    t = Talk(sport=35_010).open().send(1, b"abc")
    for at, data in ((10, b"0123456789"), (20, b"0123456789"), (15, b"ABCDEFGHIJ")):
        t.packet(1, ACK | PSH, data, seq=t.seq[1] + at)
    return [*made, t]


def values(run: Run) -> list[dict[str, Any]]:
    found: list[bytes] = []
    small = Limits(ring_size=4096, ring_ranges=8)
    runs: list[tuple[bytes, Limits, dict[str, Any]]] = [
        (merge(*texts()), Limits(), {}),
        (pcap(sorted([*(frame for t in ends() for frame in t.frames), *filler(3, 5_000_000_000)])), Limits(idle_timeout=600 * 10**9), {}),
        (exchange(response(b'["' + b"x" * 200_000 + b'"]')).bytes(), Limits(json_scalar_max_bytes=70_000), {}),
        (exchange(*dropped()).bytes(), Limits(json_scalar_max_bytes=70_000, yaml_max_depth=2), {}),
        (merge(*protocols()), Limits(), {}),
        (merge(*(Talk(sport=36_000 + n).open().send(0, b"x") for n in range(40))), Limits(max_connections=20), {}),
        (lost().acknowledge(0).close().bytes(), Limits(ack_grace_packets=1), {}),
        (lost().bytes(), Limits(), {}),
        (lost().send(1, b"z" * 9000).bytes(), small, {}),
        (pcap([*lost().frames, *filler(5, 400_000_000)]), Limits(), {}),
        (merge(*(lost() for _ in range(1))), Limits(), {}),
        (
            exchange(request(fields="X: y\r\n" * 500)).send(0, request(fields="X: y\r\n" * 500)).bytes(),
            replace(Limits(), http_head_max_lines=20),
            {},
        ),
        *((merge(*conflicts()), Limits(), {"overlap": policy}) for policy in Policy),
    ]
    for capture, limits, options in runs:
        ran = run(capture, limits, **options)
        found += [*ran.lines, msgspec.json.encode(ran.summary)]
    return [json.loads(line) for line in found]


DEFINITIONS: dict[str, Any] = schema()["$defs"]


def parts_of(field: dict[str, Any]) -> list[dict[str, Any]]:
    """What a field may be, references and items followed."""
    found = [inner for part in field.get("anyOf", [field]) for inner in part.get("anyOf", [part])]
    return [part.get("items", part) if part.get("type") == "array" else part for part in found]


def promised() -> dict[str, set[str]]:
    """By type and field, the values that the schema names."""
    found: dict[str, set[str]] = {}
    for name, definition in DEFINITIONS.items():
        for key, field in definition.get("properties", {}).items():
            named = {value for part in (*parts_of(field), field) for value in part.get("enum", ()) if value is not None}
            if named and not ELSEWHERE & {key, f"{name}.{key}"} and key != "record":
                found[f"{name}.{key}"] = named
    return found


def note(kind: str, value: Any, seen: dict[str, set[str]]) -> None:
    """What a record, or a part of it, has in its fields."""
    for key, field in DEFINITIONS[kind]["properties"].items():
        inner = value.get(key)
        items = inner if isinstance(inner, list) else [inner]
        for item in items:
            for part in parts_of(field):
                if "$ref" in part and isinstance(item, dict):
                    name = part["$ref"].rpartition("/")[2]
                    if item.get("format") in (*DEFINITIONS[name]["properties"].get("format", {}).get("enum", ()), None):
                        note(name, item, seen)
            if isinstance(item, str):
                seen.setdefault(f"{kind}.{key}", set()).add(item)


def test_every_value_that_the_schema_names_is_written_somewhere(run: Run) -> None:
    names = {
        "connection": "Connection",
        "http": "Http",
        "json": "Json",
        "gap": "Gap",
        "conflict": "Conflict",
        "drop": "Drop",
        "summary": "Summary",
    }
    seen: dict[str, set[str]] = {}
    for record in values(run):
        note(names[record["record"]], record, seen)
    never = {
        field: sorted(named - seen.get(field, set()))
        for field, named in promised().items()
        if field.partition(".")[0] not in ("Summary", "LossyStream", "Plugin")
    }
    assert "; ".join(f"{field}: {missing}" for field, missing in never.items() if missing) == ""
