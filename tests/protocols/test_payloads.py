"""YAML, forms, multipart bodies, GraphQL and JSON-RPC from packets to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pcapflow.limits import Limits
from tests.conftest import Run
from tests.craft import Talk, merge, request, response
from tests.launcher import launch, launch_text

JSON = "Content-Type: application/json\r\n"


def talk(*pairs: tuple[bytes, bytes], port: int = 40_000, size: int = 100_000) -> Talk:
    t = Talk(sport=port).open()
    for asked, answer in pairs:
        for side, data in ((0, asked), (1, answer)):
            for at in range(0, len(data), size):
                t.send(side, data[at : at + size])
            t.acknowledge(1 - side)
    return t.close()


def post(target: str, body: bytes, kind: str) -> bytes:
    return request(target, method="POST", body=body, fields=f"Content-Type: {kind}\r\n")


def graphql(text: str) -> bytes:
    return post("/graphql", json.dumps({"query": text}).encode(), "application/json")


OK = response(b"{}")


@pytest.mark.parametrize("size", [100_000, 7])
def test_the_operation_is_a_part_of_the_endpoint_and_of_the_request(run: Run, size: int) -> None:
    calls = [graphql("query Orders { a }"), graphql("mutation Pay { b }"), graphql("{ c }"), graphql("query Orders { a b }")]
    batch = json.dumps([{"jsonrpc": "2.0", "method": name} for name in "dbca"]).encode()
    ran = run(talk(*((call, OK) for call in [*calls, post("/rpc/7", batch, "application/json")]), size=size).bytes())
    assert sorted((one.name, one.exchanges) for one in ran.summary.endpoints) == [
        ("POST example/graphql mutation Pay", 1),
        ("POST example/graphql query", 1),
        ("POST example/graphql query Orders", 2),
        ("POST example/rpc/{id} a, b, c, ...", 1),
    ]
    assert [record["request"]["operations"] for record in ran.of("http")] == [
        ["query Orders"],
        ["mutation Pay"],
        ["query"],
        ["query Orders"],
        ["d", "b", "c", "a"],
    ]


def test_errors_and_missing_answers_are_of_the_operation(run: Run) -> None:
    t = talk((graphql("query Slow { a }"), response(b"{}", status="500 Oh")))
    other = Talk(sport=40_001).open().send(0, graphql("mutation Lost { a }")).acknowledge(1)
    found = run(merge(t, other)).summary.problems
    assert {(one.kind, one.endpoint) for one in found} == {
        ("server_error", "POST example/graphql query Slow"),
        ("unanswered", "POST example/graphql mutation Lost"),
    }


def test_what_is_within_bodies_is_counted_with_what_is_bodies(run: Run) -> None:
    parts = b"--b\r\nContent-Type: application/json\r\n\r\n[1]\r\n--b\r\nContent-Type: text/yaml\r\n\r\na: [\r\n--b--"
    ran = run(
        talk(
            (post("/a", parts, "multipart/mixed; boundary=b"), response(b"k: v\n", kind="application/yaml")),
            (post("/b", b"x=1&y={}", "application/x-www-form-urlencoded"), OK),
        ).bytes()
    )
    json_ = ran.summary.json
    assert (json_.bodies, json_.complete) == (3, 3)
    found = {name: (one.bodies, one.pieces, one.complete, one.invalid) for name, one in ran.summary.payloads.items()}
    assert found == {"form": (1, 2, 1, 0), "multipart": (1, 2, 1, 0), "yaml": (2, 1, 1, 1)}
    assert [(one.kind, one.sender) for one in ran.summary.problems] == [("broken_yaml", "client")]


def test_an_answer_that_is_repeated_is_counted_each_time(run: Run) -> None:
    ran = run(talk(*[(request(f"/{i}"), response(b"a: 1\n", kind="text/yaml")) for i in range(40)]).bytes())
    assert (ran.summary.payloads["yaml"].bodies, ran.summary.http.bodies.complete) == (40, 40)


def test_a_large_body_is_read_in_the_memory_of_a_small_one(run: Run) -> None:
    peaks = []
    for n in (2_000, 20_000):
        body = b"items:\n" + b"- {id: 1, name: x}\n" * n
        ran = run(talk((request("/y"), response(body, kind="application/yaml")), size=1400).bytes(), Limits(block_packets=64))
        assert ran.summary.payloads["yaml"].complete == 1
        peaks.append(ran.summary.memory.components["json"].peak_bytes)
    assert peaks[0] == peaks[1]


def report(tmp_path: Path, name: str, capture: bytes, *options: str) -> Path:
    path = tmp_path / f"{name}.pcap"
    path.write_bytes(capture)
    out = tmp_path / f"{name}.json"
    assert launch("analyze", "--json", path, "-o", out, *options).returncode == 0
    return out


def test_a_diff_tells_what_changed_in_yaml_as_in_json(tmp_path: Path) -> None:
    bodies = {
        "payload": (b"id: 1\nname: x\n", b"id: 1\nnome: 2\n", "application/yaml"),
        "json": (b'{"id":1,"name":"x"}', b'{"id":1,"nome":2}', "application/json"),
    }
    for kind, (old, new, content_type) in bodies.items():
        reports = [
            report(tmp_path, f"{kind}{i}", talk((request("/v"), response(body, kind=content_type))).bytes(), "--shapes")
            for i, body in enumerate((old, new))
        ]
        done = launch_text("diff", *reports)
        assert done.returncode == 1
        assert f"response.body.{kind}.shape" in done.stdout, done.stdout
        assert "nome: integer" in done.stdout


def test_a_check_of_content_tells_what_changed_in_each_format(tmp_path: Path) -> None:
    multipart = 'multipart/form-data; boundary="b"'

    def part(name: str, body: str, kind: str = "application/json") -> bytes:
        return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: {kind}\r\n\r\n{body}\r\n--b--'.encode()

    cases: dict[str, tuple[bytes, bytes, str, str]] = {
        "yaml": (b"id: 1\n", b"id: one\n", "text/yaml", "id"),
        "field": (b"a=1&b=2", b"a=1&c=2", "application/x-www-form-urlencoded", "form.c"),
        "json": (b'a={"x": 1}', b'a={"x": "1"}', "application/x-www-form-urlencoded", "form.a.x"),
        "part": (part("meta", '{"k": 1}'), part("meta", '{"k": null}'), multipart, "parts.meta.k"),
        "type": (part("meta", "x", "image/png"), part("meta", "x", "image/gif"), multipart, "image/gif"),
    }
    for name, (old, new, kind, said) in cases.items():
        path = tmp_path / f"{name}.pcap"
        path.write_bytes(talk((post("/v", old, kind), OK)).bytes())
        assert launch("check", "--update", path).returncode == 0
        assert launch("check", path).returncode == 0
        path.write_bytes(talk((post("/v", new, kind), OK)).bytes())
        done = launch_text("check", path)
        assert done.returncode == 1, name
        assert said in done.stdout, done.stdout


def test_values_of_every_format_are_found_and_the_nearest_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    parts = b'--b\r\n\r\n{"id": 3}\r\n--b--'
    path.write_bytes(
        talk(
            (post("/a", b"x=1&y={%22id%22:2}", "application/x-www-form-urlencoded"), response(b"id: 1\n", kind="text/yaml")),
            (post("/b", parts, "multipart/form-data; boundary=b"), OK),
        ).bytes()
    )
    assert sorted(launch_text("extract", "id", path).stdout.split()) == ["1", "2", "3"]
    done = launch_text("extract", "none.id", path)
    assert "id has 3 values" in done.stderr


def test_the_terminal_names_each_format(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(talk((post("/a", b"x=1&y=2", "application/x-www-form-urlencoded"), response(b"id: [\n", kind="text/yaml"))).bytes())
    done = launch_text("analyze", path)
    assert "forms                      1  7 B, 2 fields" in done.stdout
    assert "YAML bodies                1  6 B, 0 documents, 1 invalid" in done.stdout
    assert "invalid YAML from server 10.0.0.2" in done.stdout


def test_the_report_does_not_depend_on_blocks(run: Run) -> None:
    capture = talk(
        (graphql("query Q { a }"), response(b"a: 1\n---\n" + b"b: {c: [1, 2]}\n" * 50, kind="text/yaml")),
        (post("/m", b'--b\r\nX: y\r\n\r\n{"id": 3}\r\n--b--', "multipart/form-data; boundary=b"), OK),
        size=11,
    ).bytes()
    once = run(capture).comparable()
    for n in (1, 7):
        assert run(capture, Limits(block_packets=n)).comparable() == once
