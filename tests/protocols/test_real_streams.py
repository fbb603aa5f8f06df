"""The streams of the recorded samples, given to llhttp and h11 as bytes: the same messages and body lengths as in the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h11
import httptools
import pytest

from pcapflow import pipeline
from pcapflow.cli.connections import connection_name
from pcapflow.findings.follow import Following
from pcapflow.protocols.follower import Follower, Part
from pcapflow.streams.conversation import Consumer, Conversation
from tests.conftest import Run

SAMPLES = Path(__file__).parents[2] / "samples"
Found = list[tuple[str, int]]


def streams(path: Path) -> dict[tuple[int, str], bytes]:
    """Every stream of a capture without a hole, by connection and side."""
    data: dict[tuple[int, str], bytearray] = defaultdict(bytearray)
    holed: set[tuple[int, str]] = set()

    def take(number: int, name: str, part: Part) -> None:
        data[number, name] += part.data
        if part.gap is not None:
            holed.add((number, name))

    class Everything(Following):
        def consumer(self, conversation: Conversation, reader: Callable[[], Consumer]) -> Follower:
            return Follower(partial(take, conversation.number), reader(), self._account)

    pipeline.run([str(path)], follow=Everything(connection_name("1"), lambda *_: None))
    return {key: bytes(some) for key, some in data.items() if key not in holed}


class ByLlhttp:
    """Messages of one stream: method or status, and body bytes."""

    def __init__(self, side: str) -> None:
        self.found: Found = []
        self.size = 0
        self.parser: Any = httptools.HttpRequestParser(self) if side == "client" else httptools.HttpResponseParser(self)
        self.side = side

    def on_message_begin(self) -> None:
        self.size = 0

    def on_body(self, body: bytes) -> None:
        self.size += len(body)

    def on_message_complete(self) -> None:
        what = self.parser.get_method().decode() if self.side == "client" else str(self.parser.get_status_code())
        if not what.startswith("1"):
            self.found.append((what, self.size))


def requests_by_h11(data: bytes) -> Found:
    found: Found = []
    while data:
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(data)
        what, size = "", 0
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                what = event.method.decode()
            elif isinstance(event, h11.Data):
                size += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                found.append((what, size))
                data = connection.trailing_data[0]
                break
            else:
                return found
    return found


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pcap")), ids=lambda p: p.stem)
def test_the_samples_streams_hold_what_h11_and_llhttp_find_in_them(run: Run, path: Path) -> None:
    ours: dict[tuple[int, str], Found] = defaultdict(list)
    without_body: set[int] = set()
    for record in sorted(run(path.read_bytes()).of("http"), key=lambda r: (r["connection"], r["exchange"])):
        for side, message, name in (("client", record["request"], "method"), ("server", record["response"], "status")):
            if message is not None and message["body"]["status"] == "complete":
                ours[record["connection"], side].append((str(message[name]), message["body"]["bytes"]))
        if record["request"] is None or record["request"]["method"] == "HEAD":
            without_body.add(record["connection"])  # llhttp is not told what was asked
    compared = 0
    for (number, side), data in streams(path).items():
        if side == "server" and number in without_body:
            continue
        peer = ByLlhttp(side)
        try:
            peer.parser.feed_data(data)
        except httptools.HttpParserError:
            continue  # it begins in the middle of a message
        assert peer.found == ours[number, side]
        if side == "client":
            assert requests_by_h11(data) == ours[number, side]
        compared += 1
    assert compared or path.stem in ("midstream", "lossy", "statuses", "redis")
