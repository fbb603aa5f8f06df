"""How fast YAML is read beside PyYAML's `CParser` alone, and in how much memory: both in one run, median of several.

    python -m tests.benchmarks.yaml_ratio [--megabytes 50] [--rounds 5]

It is at least RATIO times as fast, and takes at most MEMORY more than at the start.
"""

from __future__ import annotations

import argparse
import io
import resource
import statistics
import sys
import time
from collections.abc import Iterator

from yaml.cyaml import CParser

from pcapflow.budget import Ledger
from pcapflow.contents import YamlBody
from pcapflow.limits import Limits
from pcapflow.payload.body import BodyReader

RATIO, MEMORY = 0.75, 32 << 20
_ITEM = b'- id: %d\n  name: "name of item %d"\n  tags: [a, b, c]\n  nested:\n    key: value with words\n    other: 3.5\n'
_PIECE = 64 << 10


def pieces(size: int) -> Iterator[bytes]:
    """A body of that size, a sequence of items."""
    block, n, at = b"items:\n", 0, 0
    while at < size:
        while len(block) < _PIECE:
            block += _ITEM % (n, n)
            n += 1
        yield block[:_PIECE]
        at += _PIECE
        block = block[_PIECE:]


def alone(data: bytes) -> int:
    """Events of libyaml, each made and forgotten."""
    parser, n = CParser(io.BytesIO(data)), 0
    while parser.get_event() is not None:
        n += 1
    return n


def read(body: Iterator[bytes]) -> int:
    """The same body, as pcapflow reads it."""
    limits = Limits()
    reader = BodyReader((), "yaml", limits, Ledger(limits))
    for piece in body:
        reader.feed(piece)
    reader.finish(whole=True)
    assert isinstance(reader.found, YamlBody), reader.found
    return reader.found.events


def main() -> None:
    """Measure, and say what was found; status 1 where it falls short."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--megabytes", type=int, default=50)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    size = options.megabytes << 20
    read(pieces(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read(pieces(size))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    data = b"".join(pieces(min(size, 10 << 20)))
    ratios, speeds = [], []
    for _ in range(options.rounds):
        begun = time.process_time()
        events = alone(data)
        theirs = time.process_time() - begun
        begun = time.process_time()
        found = read(iter([data[at : at + _PIECE] for at in range(0, len(data), _PIECE)]))
        ours = time.process_time() - begun
        assert abs(found - events) <= 20, (found, events)
        ratios.append(theirs / ours)
        speeds.append(len(data) / ours / 1e6)
    ratio = statistics.median(ratios)
    print(
        f"{statistics.median(speeds):.1f} MB/s, {ratio:.2f} times as fast as CParser alone; {grown / (1 << 20):.1f} MiB above the start for {options.megabytes} MB"
    )
    sys.exit(int(ratio < RATIO or grown > MEMORY))


if __name__ == "__main__":
    main()
