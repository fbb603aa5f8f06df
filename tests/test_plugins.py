"""Protocols and payloads of other packages: what they find, and what becomes of a run when they fail."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

import pcapflow
from pcapflow import pipeline, plugin_loading, plugins
from pcapflow.check.comparing import compare
from pcapflow.conditions import Conditions
from pcapflow.drops import DropReason
from pcapflow.findings.extract import VALUE, Extraction
from pcapflow.limits import Limits
from pcapflow.payload import registry as payload_registry
from pcapflow.plugin_loading import Point
from pcapflow.plugins import Body, Conversation, Message, Payload, Protocol
from pcapflow.protocols import registry
from pcapflow.records import Plugin
from pcapflow.report.sinks.values import ValueLines
from pcapflow.stream_limits import KIB
from tests.conftest import CASES, Run
from tests.craft import Talk, pcap

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
SHOWN = dict(re.findall(r"```python\n# ([\w.]+)\n(.*?)```", PAGE, re.DOTALL))
REDIS = ROOT / "samples" / "redis.pcap"
Install = Callable[..., None]


def page_class(file: str, name: str) -> Any:
    """What the page's code defines."""
    space: dict[str, Any] = {"__name__": file.removesuffix(".py")}
    exec(compile(SHOWN[file], file, "exec"), space)
    return space[name]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts plug-ins where those of installed packages are."""

    def put(*some: Protocol | Payload) -> None:
        kinds = {
            registry: tuple(Point(p.name, "some 1.0", p, "") for p in some if isinstance(p, Protocol)),
            payload_registry: tuple(Point(p.name, "some 1.0", p, "") for p in some if isinstance(p, Payload)),
        }
        for module, points in kinds.items():
            monkeypatch.setattr(module, "plugged", lambda points=points: points)
        registry.forms.cache_clear()
        payload_registry.payloads.cache_clear()

    yield put
    monkeypatch.undo()
    registry.forms.cache_clear()
    payload_registry.payloads.cache_clear()


def found(ran: Any, kind: str) -> list[dict[str, Any]]:
    return ran.of(f"plugin.{kind}")


# --- Redis, as docs/extending.md has it


def test_the_page_s_protocol_is_no_longer_than_it_says() -> None:
    assert SHOWN["pcapflow_redis.py"].count("\n") < 100


def test_redis_commands_and_replies_are_what_redis_cli_and_the_server_said(run: Run, install: Install) -> None:
    install(page_class("pcapflow_redis.py", "Redis")())
    ran = run(REDIS)
    said = [(r["stream"], r["fields"]) for r in found(ran, "redis")]
    commands = [(f["command"], f["arguments"]) for side, f in said if side == "client"]
    assert commands[:3] == [("SET", ["greeting", "hello, world"]), ("GET", ["greeting"]), ("GET", ["nothing"])]
    replies = [(f["to"], f["reply"], f["value"]) for side, f in said if side == "server"]
    assert replies[:3] == [("SET", "string", "OK"), ("GET", "string", "hello, world"), ("GET", "null", None)]
    assert [name for name, _ in commands] == [to for to, *_ in replies]
    assert ("GET", "string", "x" * 100) in replies
    assert {c["protocol"] for c in ran.of("connection")} == {"redis"}
    assert ran.summary.plugins == {"redis": len(said)}
    assert ran.summary.drops.by_reason == {}


def resp(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


@pytest.mark.parametrize("seed", range(12 * CASES))
def test_a_message_is_the_same_however_it_is_cut_and_whatever_the_blocks(run: Run, install: Install, seed: int) -> None:
    install(page_class("pcapflow_redis.py", "Redis")())
    rng = random.Random(seed)
    asked = [[rng.choice([b"SET", b"GET", b"MGET"]), *(rng.randbytes(rng.choice([0, 1, 9, 3000])) for _ in range(3))] for _ in range(8)]
    answers = [
        rng.choice([b"+OK\r\n", b"$-1\r\n", b":7\r\n", b"*2\r\n$1\r\na\r\n*0\r\n", b"$5\r\n\r\n\r\nx\r\n", b"%1\r\n+k\r\n_\r\n"])
        for _ in asked
    ]
    talk = Talk(dport=6379).open()
    for question, answer in zip(asked, answers, strict=True):
        for side, data in ((0, resp(*question)), (1, answer)):
            at = 0
            while at < len(data):
                n = rng.choice([1, 2, 7, 1448])
                talk.send(side, data[at : at + n])
                at += n
    data = talk.close().bytes()
    first = run(data)
    said = [r["fields"] for r in found(first, "redis") if r["stream"] == "client"]
    assert [(f["command"].encode(), [len(a) for a in f["arguments"]]) for f in said] == [
        (q[0], [len(word.decode("utf-8", "replace")[:100]) for word in q[1:]]) for q in asked
    ]
    assert len(found(first, "redis")) == 16
    for packets in (1, 3):
        assert run(data, replace(Limits(), block_packets=packets)).comparable() == first.comparable()


def test_behind_a_loss_the_next_segment_that_begins_with_a_message_is_read(run: Run, install: Install) -> None:
    install(page_class("pcapflow_redis.py", "Redis")())
    talk = Talk(dport=6379).open()
    for n in range(6):
        talk.send(0, resp(b"GET", b"key-%d" % n), keep=n != 2)
        talk.send(1, b"$3\r\nv-%d\r\n" % n)
    ran = run(talk.close().bytes())
    said = [(r["stream"], r["fields"].get("arguments", r["fields"].get("to"))) for r in found(ran, "redis")]
    assert [arguments for side, arguments in said if side == "client"] == [["key-0"], ["key-1"], ["key-3"], ["key-4"], ["key-5"]]
    assert [r["fields"]["value"] for r in found(ran, "redis") if r["stream"] == "server"] == [f"v-{n}" for n in range(6)]


def test_a_capture_that_begins_in_the_middle_is_read_from_the_next_message(run: Run, install: Install) -> None:
    install(page_class("pcapflow_redis.py", "Redis")())
    talk = Talk(dport=6379)
    talk.send(0, b"st of a value\r\n")
    for n in range(3):
        talk.send(0, resp(b"GET", b"key-%d" % n))
        talk.send(1, b"$3\r\nv-%d\r\n" % n)
    data = talk.close().bytes()
    ran = run(data)
    assert [r["fields"]["arguments"] for r in found(ran, "redis") if r["stream"] == "client"] == [["key-0"], ["key-1"], ["key-2"]]
    assert ran.comparable() == run(data, replace(Limits(), block_packets=1)).comparable()


@pytest.mark.parametrize(
    "data",
    [
        b"*1\r\n$999999999\r\n",
        b"*1\r\n" * 200,
        b"*2\r\n$x\r\n",
        b"*1\r\n$3\r\nabcde",
        b"*9999999\r\n$1\r\na\r\n",
        b"*1\r\n$-1\r\n*1\r\n$1\r\nx\r\n",
    ],
    ids=range(6),
)
def test_no_bytes_make_the_page_s_protocol_raise(run: Run, install: Install, data: bytes) -> None:
    install(page_class("pcapflow_redis.py", "Redis")())
    talk = Talk(dport=6379).open().send(0, resp(b"PING")).send(1, b"+PONG\r\n").send(0, data).send(1, data).send(0, resp(b"PING"))
    ran = run(talk.close().bytes())
    assert "plugin_failed" not in ran.summary.drops.by_reason
    assert found(ran, "redis")[0]["fields"] == {"command": "PING", "arguments": []}


# --- what fails


class Lines(Conversation):
    """Lines, each a message."""

    def message(self, side: str, data: bytes, at: int) -> Message | None:
        end = data.find(b"\n", at) + 1
        return Message(end - at, {"line": data[at:end].decode()}) if end else Message(0)


class Spoken(Protocol):
    """Begins with `hello`."""

    name = "spoken"

    def __init__(self, make: Callable[[], Conversation] = Lines) -> None:
        self.make = make

    def probe(self, first: bytes) -> str | None:
        return "client" if first.startswith(b"hello") else None if b"hello".startswith(first) else ""

    def resumes(self, side: str, first: bytes) -> bool:
        return True

    def open(self) -> Conversation:
        return self.make()


def lines_said(n: int = 4, **more: Any) -> Talk:
    talk = Talk(**more).open()
    for i in range(n):
        talk.send(0, b"hello %d\n" % i).send(1, b"and %d\n" % i)
    return talk.close()


class Boom(Exception):
    """What plug-ins raise here."""


def boom(*_: Any, **__: Any) -> Any:
    raise Boom("of its own")


class Mute(Exception):
    """Its text raises too."""

    def __str__(self) -> str:
        raise Boom


def leave(*_: Any, **__: Any) -> Any:
    raise SystemExit(0)


def mute(*_: Any, **__: Any) -> Any:
    raise Mute


def asks_for(answer: Callable[[], Any]) -> Callable[[], Spoken]:
    return lambda: Spoken(type("C", (Lines,), {"message": lambda *_: answer()}))


FAILING: Mapping[str, Callable[[], Spoken]] = {
    "exit": asks_for(leave),
    "no text": asks_for(mute),
    "a surrogate": asks_for(lambda: (_ for _ in ()).throw(ValueError("\udcff"))),
    "too much memory": asks_for(lambda: bytearray(1 << 62)),
    "needs nothing": asks_for(lambda: Message(0, needs=None)),  # type: ignore[arg-type]
    "needs no number": asks_for(lambda: Message(0, needs=float("nan"))),  # type: ignore[arg-type]
    "half a byte": asks_for(lambda: Message(1.5)),  # type: ignore[arg-type]
    "true": asks_for(lambda: Message(True)),
    "JSON that is none": asks_for(lambda: Message(1, {"a": msgspec.Raw(b"}{")})),
    "deep fields": asks_for(lambda: Message(1, {"a": json.loads("[" * 40 + "]" * 40)})),
    "no conversation": lambda: Spoken(lambda: None),  # type: ignore[arg-type,return-value]
    "no side": lambda: type("P", (Spoken,), {"probe": lambda *_: 17})(),
    "exit at the beginning": lambda: type("P", (Spoken,), {"probe": leave})(),
    "probe": lambda: type("P", (Spoken,), {"probe": boom})(),
    "open": lambda: Spoken(boom),
    "message": lambda: Spoken(type("C", (Lines,), {"message": boom})),
    "gap": lambda: Spoken(type("C", (Lines,), {"gap": boom})),
    "end": lambda: Spoken(type("C", (Lines,), {"end": boom})),
    "resumes": lambda: type("P", (Spoken,), {"resumes": boom})(),
    "too much": lambda: Spoken(type("C", (Lines,), {"message": lambda *_: Message(1 << 40)})),
    "less than nothing": lambda: Spoken(type("C", (Lines,), {"message": lambda *_: Message(-1)})),
    "no message": lambda: Spoken(type("C", (Lines,), {"message": lambda *_: "x"})),
    "no JSON": lambda: Spoken(type("C", (Lines,), {"message": lambda *_: Message(1, {"a": object()})})),
    "deep": lambda: Spoken(type("C", (Lines,), {"message": lambda self, *a: self.message(*a)})),
}


@pytest.mark.parametrize("what", FAILING)
def test_what_a_plug_in_raises_drops_that_conversation_and_never_the_run(run: Run, install: Install, what: str) -> None:
    install(FAILING[what]())
    talk = lines_said()
    lossy = Talk(sport=40001).open().send(0, b"hello\n").send(0, b"lost\n", keep=False).send(0, b"hello again\n").acknowledge(1).close()
    http = (
        Talk(sport=40002)
        .open()
        .send(0, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .send(1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .close()
    )
    data = pcap(talk.frames + lossy.frames + http.frames)
    ran = run(data)
    assert "plugin_failed" in ran.summary.drops.by_reason
    drops = [d for d in ran.of("drop") if d["reason"] == "plugin_failed"]
    assert all(d["layer"] == "plugin" and d["detail"].startswith("spoken: ") for d in drops)
    if what in ("probe", "open", "message", "gap", "end", "resumes"):
        assert {d["detail"] for d in drops} == {f"spoken: Boom: of its own (test_plugins.py:{boom.__code__.co_firstlineno + 1})"}
    payload = ran.summary.tcp.payload_bytes
    assert payload.delivered == payload.captured
    (exchange,) = ran.of("http")
    assert exchange["response"]["status"] == 200
    for packets in (1, 2, 5):
        assert run(data, replace(Limits(), block_packets=packets)).comparable() == ran.comparable()


def test_a_message_beyond_its_limit_is_a_drop_and_the_next_one_is_read(run: Run, install: Install) -> None:
    install(Spoken())
    limits = replace(Limits(), plugin_message_max_bytes=3 * KIB)
    data = Talk().open().send(0, b"hello\n").send(0, b"x" * 5000 + b"\n").send(0, b"again\n").close().bytes()
    ran = run(data, limits)
    (drop,) = ran.of("drop")
    assert (drop["reason"], drop["limit"]) == (DropReason.PLUGIN_MESSAGE_TOO_LARGE, {"name": "plugin_message_max_bytes", "value": 3 * KIB})
    assert [r["fields"]["line"] for r in found(ran, "spoken")] == ["hello\n", "x" * (5000 - 3 * 1448) + "\n", "again\n"]
    assert run(data, replace(limits, block_packets=1)).comparable() == ran.comparable()


def test_a_plug_in_that_begins_anew_with_each_segment_is_stopped(run: Run, install: Install) -> None:
    looked = 0

    class Slow(Conversation):
        def message(self, side: str, data: bytes, at: int) -> Message | None:
            nonlocal looked
            looked += len(data) - at
            return Message(0)

    install(Spoken(Slow))
    talk = Talk().open().send(0, b"hello" + b"x" * 40_000, size=10)
    assert run(talk.close().bytes()).summary.drops.by_reason == {}  # it is asked less and less often
    assert looked < 25 * 40_005
    looked = 0
    talk = Talk().open().send(0, b"hello")
    for _ in range(2000):
        talk.send(0, b"x" * 60).send(1, b"y")  # each time the other side speaks, it may be whole
    ran = run(talk.close().bytes())
    assert set(ran.summary.drops.by_reason) == {DropReason.PLUGIN_REREADS}
    assert looked <= 64 * 122_005 + 122_005


def test_a_message_whose_asking_was_put_off_is_read_when_the_other_side_speaks(run: Run, install: Install) -> None:
    class Slow(Conversation):
        def message(self, side: str, data: bytes, at: int) -> Message | None:
            end = data.find(b"\n", at) + 1
            return Message(end - at, {"bytes": end - at}) if end else Message(0)

    install(Spoken(Slow))
    talk = Talk().open()
    for n in (9_000, 30_000, 7):
        talk.send(0, b"hello" + b"x" * n + b"\n", size=10).send(1, b"thanks\n")
    data = talk.close().bytes()
    ran = run(data)
    assert [r["fields"]["bytes"] for r in found(ran, "spoken")] == [9_006, 7, 30_006, 7, 13, 7]
    assert run(data, replace(Limits(), block_packets=7)).comparable() == ran.comparable()


def test_a_plug_in_that_says_what_it_needs_looks_at_little(run: Run, install: Install) -> None:
    looked = 0
    redis = page_class("pcapflow_redis.py", "Redis")

    class Counted(redis().open().__class__):  # type: ignore[misc]
        def message(self, side: str, data: bytes, at: int) -> Any:
            nonlocal looked
            looked += len(data) - at
            return super().message(side, data, at)

    class Watched(redis):  # type: ignore[misc,valid-type]
        def open(self) -> Any:
            return Counted()

    install(Watched())
    message = resp(*[b"SADD", *(b"%d" % n for n in range(3000))])
    ran = run(Talk(dport=6379).open().send(0, message, size=1).close().bytes())
    assert len(found(ran, "redis")) == 1
    assert looked < 40 * len(message)


def test_what_waits_for_a_plug_in_is_in_the_ledger_and_refused_where_it_is_full(run: Run, install: Install) -> None:
    install(Spoken())
    talk = Talk().open().send(0, b"hello" + b"x" * 200_000)
    ran = run(talk.close().bytes(), replace(Limits(), plugins_total=100 * KIB))
    assert set(ran.summary.drops.by_reason) == {DropReason.PLUGIN_MEMORY}
    ran = run(talk.bytes())
    assert ran.summary.memory.components["plugins"].peak_bytes >= 200_000


def test_a_plug_in_does_not_change_what_pcapflow_reads_itself(run: Run, install: Install) -> None:
    class Greedy(Protocol):
        name = "greedy"

        def probe(self, first: bytes) -> str | None:
            return "client"

        def open(self) -> Conversation:
            return Conversation()

    for name in ("json-api", "pipelined", "lossy"):
        before = run(ROOT / "samples" / f"{name}.pcap")
        install(Greedy())
        after = run(ROOT / "samples" / f"{name}.pcap")
        assert [line for line in after.lines if b'"plugin' not in line] == [line for line in before.lines if b'"plugin' not in line]


# --- bodies


CSV = b"name,size\r\n" + b"".join(b"n%d,%d\r\n" % (n, n) for n in range(500))


def answered(body: bytes, *, more: bytes = b"", size: int = 1448, keep: Callable[[int], bool] = lambda _: True) -> bytes:
    talk = Talk().open().send(0, b"GET /t.csv HTTP/1.1\r\nHost: h\r\n\r\n")
    talk.send(1, b"HTTP/1.1 200 OK\r\nContent-Type: Text/CSV; charset=utf-8\r\n%bContent-Length: %d\r\n\r\n" % (more, len(body)))
    for n, at in enumerate(range(0, len(body), size)):
        talk.send(1, body[at : at + size], keep=keep(n))
    return talk.acknowledge(0).close().bytes()


@pytest.mark.parametrize("coded", [False, True])
def test_a_body_of_a_plug_in_s_media_type_is_a_record_of_its_exchange(run: Run, install: Install, coded: bool) -> None:
    install(page_class("pcapflow_csv.py", "Csv")())
    data = answered(gzip.compress(CSV, mtime=0), more=b"Content-Encoding: gzip\r\n") if coded else answered(CSV)
    ran = run(data)
    (record,) = found(ran, "csv")
    assert record["fields"] == {"header": ["name", "size"], "lines": 501, "whole": True}
    assert (record["exchange"], record["stream"]) == (0, "server")
    assert record["packet"] == 5
    assert ran.of("http")[0]["response"]["body"]["json"] is None
    for packets in (1, 3):
        assert run(data, replace(Limits(), block_packets=packets)).comparable() == ran.comparable()


def test_behind_missing_bytes_a_body_s_plug_in_gets_nothing(run: Run, install: Install) -> None:
    install(page_class("pcapflow_csv.py", "Csv")())
    (record,) = found(run(answered(CSV, size=1000, keep=lambda n: n != 2)), "csv")
    assert record["fields"] == {"header": ["name", "size"], "lines": CSV[:2000].count(b"\n"), "whole": False}


def test_json_stays_json_whoever_else_reads_it(run: Run, install: Install) -> None:
    class Everything(Payload):
        name = "everything"
        media_types = ("*",)

        def open(self) -> Body:
            raise AssertionError

    before = run(ROOT / "samples" / "gzip-chunked.pcap").comparable()
    install(Everything())
    assert run(ROOT / "samples" / "gzip-chunked.pcap").comparable() == before


class Eager(Body):
    def feed(self, data: bytes) -> None:
        pass

    def finish(self, *, whole: bool) -> Mapping[str, object] | None:
        return {"text": "y" * 30_000}


@pytest.mark.parametrize("where", ["open", "feed", "finish", "no JSON"])
def test_what_a_body_s_plug_in_raises_is_told_at_the_body_s_end(run: Run, install: Install, where: str) -> None:
    body = type("B", (Eager,), {where: boom} if where in ("feed", "finish") else {"finish": lambda self, whole: {"a": object()}})

    class Failing(Payload):
        name = "failing"
        media_types = ("text/*",)

        def open(self) -> Body:
            return boom() if where == "open" else body()

    install(Failing())
    data = answered(CSV, size=100)
    ran = run(data)
    assert set(ran.summary.drops.by_reason) == {DropReason.PLUGIN_FAILED}
    (drop,) = ran.of("drop")
    assert drop["detail"].startswith("failing: Boom: of its own (" if where != "no JSON" else "failing: TypeError: ")
    assert found(ran, "failing") == []
    assert ran.of("http")[0]["response"]["body"]["status"] == "complete"
    for packets in (1, 4):
        assert run(data, replace(Limits(), block_packets=packets)).comparable() == ran.comparable()


def test_what_waits_for_an_exchange_s_end_is_reserved(run: Run, install: Install) -> None:
    class Large(Payload):
        name = "large"
        media_types = ("text/csv",)

        def open(self) -> Body:
            return Eager()

    install(Large())
    talk = Talk().open()
    for _ in range(20):
        talk.send(0, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\nContent-Length: 3\r\n\r\na\r\n")
    ran = run(talk.close().bytes(), replace(Limits(), plugins_total=400 * KIB))
    assert ran.summary.drops.by_reason["plugin_memory"].count > 0
    assert len(found(ran, "large")) + ran.summary.drops.by_reason["plugin_memory"].count == 20


def test_extract_reads_nothing_for_plug_ins_that_it_does_not_read_itself(install: Install, tmp_path: Path) -> None:
    class Deaf(Payload):
        name = "deaf"
        media_types = ("text/csv",)

        def open(self) -> Body:
            raise AssertionError

    install(Deaf())
    (tmp_path / "a.pcap").write_bytes(answered(CSV))
    lines: list[bytes] = []
    pipeline.run(
        [str(tmp_path / "a.pcap")],
        sinks=[ValueLines(VALUE, lines.extend, lines.extend)],
        listeners=[Extraction("", Conditions(path="/other"))],
    )
    assert lines == []


def test_a_record_that_no_reader_would_take_is_given_up(run: Run, install: Install) -> None:
    class Wordy(Lines):
        def message(self, side: str, data: bytes, at: int) -> Message | None:
            message = super().message(side, data, at)
            assert message is not None
            return message._replace(fields={"text": "z" * (1 << 20)}) if data[at:].startswith(b"hello 1") else message

    install(Spoken(Wordy))
    ran = run(lines_said().bytes())
    assert set(ran.summary.drops.by_reason) == {DropReason.PLUGIN_MESSAGE_TOO_LARGE}
    assert [r["fields"]["line"] for r in found(ran, "spoken") if r["stream"] == "client"] == ["hello 0\n", "hello 2\n", "hello 3\n"]


# --- who brings them


def test_first_bytes_that_come_in_pieces_are_one_whatever_the_blocks(run: Run, install: Install) -> None:
    class Slow(Spoken):
        def probe(self, first: bytes) -> str | None:
            return "client" if first.count(b"\n") > 2 else None

    install(Slow())
    talk = Talk().open()
    for n in range(6):
        talk.send(0, b"hel").send(1, b"and %d\n" % n).send(0, b"lo %d\n" % n)
    data = talk.close().bytes()
    ran = run(data)
    assert [r["fields"]["line"] for r in found(ran, "spoken") if r["stream"] == "client"] == [f"hello {n}\n" for n in range(6)]
    for packets in (1, 2, 3, 5, 7):
        assert run(data, replace(Limits(), block_packets=packets)).comparable() == ran.comparable()


def test_in_the_middle_of_a_stream_nobody_waits_for_a_plug_in(run: Run, install: Install) -> None:
    class Waits(Protocol):
        name = "waits"

        def probe(self, first: bytes) -> str | None:
            return None

        def resumes(self, side: str, first: bytes) -> bool:
            return True

        def open(self) -> Conversation:
            return Conversation()

    for name in ("midstream", "lossy"):
        before = run(ROOT / "samples" / f"{name}.pcap").comparable()
        install(Waits())
        assert run(ROOT / "samples" / f"{name}.pcap").comparable() == before


def test_of_two_plug_ins_one_that_raises_does_not_keep_the_other_from_reading_in_the_middle_of_a_stream(run: Run, install: Install) -> None:
    failing = type("A", (Spoken,), {"probe": boom, "name": "aaa"})()
    install(failing, Spoken())
    talk = Talk()
    for n in range(3):
        talk.send(0, b"hello %d\n" % n).send(1, b"and\n")
    ran = run(talk.close().bytes())
    assert [r["fields"]["line"] for r in found(ran, "spoken") if r["stream"] == "client"] == ["hello 0\n", "hello 1\n", "hello 2\n"]


def test_many_small_messages_behind_one_of_many_segments_take_linear_time(run: Run, install: Install) -> None:
    install(page_class("pcapflow_redis.py", "Redis")())

    def looked(n: int) -> int:
        talk = Talk(dport=6379).open().send(0, resp(b"GET", b"k"))
        talk.send(1, b"$%d\r\n" % n).send(1, b"x" * n + b"\r\n", size=1)
        talk.send(1, b"+\r\n" * n)
        with counted_calls() as calls:
            assert len(found(run(talk.close().bytes()), "redis")) == n + 2
        return calls.count

    assert looked(4000) < 2.5 * looked(2000)


@contextmanager
def counted_calls() -> Iterator[Any]:
    """How many Python functions were called."""

    class Calls:
        count = 0

    def seen(frame: Any, event: str, arg: Any) -> None:
        Calls.count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        yield Calls
    finally:
        sys.setprofile(None)


def packaged(folder: Path, name: str, points: str, code: str = "") -> None:
    """A package as pip leaves it."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text(points)


def with_packages(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "COLUMNS": "100"}
    return subprocess.run([sys.executable, "-m", "pcapflow", *command], capture_output=True, text=True, env=env, check=False, timeout=60)


def test_what_packages_bring_is_listed_and_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    good = "from pcapflow.plugins import Payload, Protocol\nclass P(Protocol):\n    name = 'fine'\n    def probe(self, first): return ''\n"
    packaged(tmp_path, "good", "[pcapflow.protocols]\nfine = good:P\n", good)
    packaged(tmp_path, "raises", "[pcapflow.protocols]\nr = raises:P\n", "raise ImportError('no libfoo')\n")
    packaged(tmp_path, "other", "[pcapflow.protocols]\no = other:thing\n", "thing = 3\n")
    packaged(tmp_path, "named", "[pcapflow.protocols]\nn = named:P\n", good.replace("'fine'", "'Not A Name'"))
    packaged(tmp_path, "taken", "[pcapflow.protocols]\nt = taken:P\n", good.replace("'fine'", "'http'"))
    packaged(tmp_path, "twice", "[pcapflow.protocols]\nz = twice:P\n", good)
    packaged(tmp_path, "leaves", "[pcapflow.protocols]\nl = leaves:P\n", "raise SystemExit(0)\n")
    words = "from pcapflow.plugins import Payload\nclass B(Payload):\n    name = 'w'\n    media_types = ('a/b')\n"
    packaged(tmp_path, "words", "[pcapflow.payloads]\nw = words:B\n", words)
    packaged(
        tmp_path,
        "body",
        "[pcapflow.payloads]\nb = body:B\n",
        "from pcapflow.plugins import Payload\nclass B(Payload):\n    name = 'yes'\n    media_types = ('a/b',)\n",
    )
    done = with_packages(tmp_path, "protocols", "--json")
    rows = {row["from"]: row for row in json.loads(done.stdout) if not row["from"].startswith("pcapflow ")}
    assert rows["good 2.5"]["problem"] == ""
    assert rows["body 2.5"]["reads"] == "bodies of a/b, as records plugin.yes"
    assert {name: row["problem"] for name, row in rows.items() if row["problem"]} == {
        "raises 2.5": "ImportError: no libfoo (raises.py:1)",
        "other 2.5": "it is no pcapflow.plugins.Protocol",
        "named 2.5": "its name is 'Not A Name': small letters, digits, - and _, 32 at the most",
        "taken 2.5": "http is another's name",
        "twice 2.5": "fine is another's name",
        "words 2.5": "its media_types are no tuple of strings",
        "leaves 2.5": "SystemExit: 0 (leaves.py:1)",
    }
    done = with_packages(tmp_path, "analyze", "-q", "--json", "--no-records", str(REDIS))
    assert done.returncode == 0
    assert done.stderr.count("is not used: ") == 7
    assert "not used: ImportError: no libfoo" in with_packages(tmp_path, "protocols").stdout


def test_where_no_package_has_a_plug_in_nobody_looks_for_one(tmp_path: Path) -> None:
    code = "import sys; from pcapflow import analyze; analyze(sys.argv[1]); print('importlib.metadata' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(REDIS)], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == "False"


def test_an_archive_of_packages_may_have_some(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "some.zip").write_bytes(b"PK")
    (tmp_path / "python311.zip").write_bytes(b"PK")
    look = plugin_loading._any.__wrapped__
    monkeypatch.setattr(sys, "path", [str(tmp_path / "python311.zip"), str(tmp_path / "gone")])
    assert not look()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "some.zip")])
    assert look()


# --- their records, read again


def test_records_of_plug_ins_are_read_again_and_compared(run: Run, install: Install, tmp_path: Path) -> None:
    install(page_class("pcapflow_redis.py", "Redis")())
    ran = run(REDIS)
    records = [r for r in pcapflow.iter_records(REDIS) if isinstance(r, Plugin)]
    assert [r.fields for r in records] == [r["fields"] for r in found(ran, "redis")]
    from pcapflow.check.reports import read_report

    for name, text in (
        ("a.ndjson", b"\n".join((*ran.lines, pcapflow_line(ran)))),
        ("b.json", json.dumps({**json.loads(pcapflow_line(ran)), "records": list(map(json.loads, ran.lines))}, indent=1).encode()),
    ):
        (tmp_path / name).write_bytes(text + b"\n")
    same = compare(read_report(tmp_path / "a.ndjson"), read_report(tmp_path / "b.json"))
    assert same.same
    changed = ran.lines[:]
    at = next(i for i, line in enumerate(changed) if b'"to":"SET"' in line)
    changed[at] = changed[at].replace(b'"value":"OK"', b'"value":"NO"')
    (tmp_path / "c.ndjson").write_bytes(b"\n".join((*changed, pcapflow_line(ran))) + b"\n")
    result = compare(read_report(tmp_path / "a.ndjson"), read_report(tmp_path / "c.ndjson"))
    (change,) = result.records
    assert (change.record, change.changes[0].path) == ("plugin.redis", ".fields.value")


def pcapflow_line(ran: Any) -> bytes:
    return msgspec.json.encode(ran.summary)


def test_a_name_of_a_plug_in_is_public() -> None:
    assert sorted(plugins.__all__) == plugins.__all__
    assert all(hasattr(plugins, name) for name in plugins.__all__)
