"""What pcapflow costs beside ijson: the whole run against ijson's own push parser on the same bodies.

    python -m tests.benchmarks.json_ratio CAPTURE [ROUNDS]

In one process and in turn: `pipeline.run` on the capture, then `ijson.basic_parse_coro` alone on the bodies of that capture,
already reassembled and inflated, in slices of the same size and with the same options. Prints both medians, and the median,
the least and the greatest of the rounds' ratios: a machine that is busy for a moment spoils a round, not the result.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO

import ijson
from ijson.utils import sendable_list

from pcapflow import pipeline
from pcapflow.limits import Limits
from pcapflow.payload import body, json_kept

BY_IJSON = replace(Limits(), json_whole_max_bytes=1)


def collect(path: str, out: BinaryIO) -> list[int]:
    """Writes every JSON body of the capture to out; their lengths."""
    lengths: list[int] = []

    class Recorder(json_kept.JsonParser):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)  # type: ignore[arg-type]
            lengths.append(0)

        def feed(self, data: bytes) -> None:
            # bodies of one connection do not overlap; of several they do, so keep them apart by their own list
            self.parts = getattr(self, "parts", [])
            self.parts.append(bytes(data))

        def finish(self, *, whole: bool, gapped: bool) -> object:
            for part in getattr(self, "parts", []):
                out.write(part)
            finished.append(sum(map(len, getattr(self, "parts", []))))
            return super().finish(whole=False, gapped=gapped)

    finished: list[int] = []
    original, small = json_kept.JsonParser, body.SMALL
    json_kept.JsonParser, body.SMALL = Recorder, -1  # type: ignore[misc, assignment]
    try:
        pipeline.run([path], BY_IJSON)
    finally:
        json_kept.JsonParser, body.SMALL = original, small  # type: ignore[misc]
    return finished


def ijson_alone(file: BinaryIO, lengths: list[int], size: int, make: Callable[..., Any] = ijson.basic_parse_coro) -> tuple[float, int]:
    """Seconds in ijson and what it made: events, or what else make's coroutine gives. Reading the bodies back is not counted."""
    file.seek(0)
    events = 0
    spent = 0.0
    clock = time.perf_counter
    for length in lengths:
        data = file.read(length)
        began = clock()
        sink = sendable_list()
        parser = make(sink, multiple_values=True)
        for at in range(0, length, size):
            parser.send(data[at : at + size])
            events += len(sink)
            sink.clear()
        try:
            parser.close()
        except ijson.JSONError:
            pass
        events += len(sink)
        spent += clock() - began
    return spent, events


def main(path: str, rounds: int) -> None:
    with tempfile.TemporaryFile() as file:
        lengths = collect(path, file)
        whole, alone = [], []
        for _ in range(rounds):
            began = time.perf_counter()
            summary = pipeline.run([path]).summary
            whole.append(time.perf_counter() - began)
            seconds, events = ijson_alone(file, lengths, Limits().json_slice)
            alone.append(seconds)
        assert events == summary.json.events, (events, summary.json.events)
    a, b = statistics.median(whole), statistics.median(alone)
    megabytes = sum(lengths) / 1e6
    print(f"{len(lengths)} bodies, {megabytes:.0f} MB of JSON, {events} events")
    ratios = [w / i for w, i in zip(whole, alone, strict=True)]
    print(f"pcapflow {a:.2f} s, ijson alone {b:.2f} s ({megabytes / b:.0f} MB/s)")
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, {rounds} rounds)")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3)
