"""Why an acknowledgement past a hole waits before it ends the hole: what would have been given up too soon, by the length of the wait.

    python -m tests.benchmarks.ack_grace CAPTURE

Runs the capture with graces from the shortest up and prints how many bytes came after their hole was given up (`late`).
"""

from __future__ import annotations

import sys
from dataclasses import replace

from pcapflow import pipeline
from pcapflow.limits import Limits

GRACES = ((1, 1), (4, 4_000), (16, 16_000), (24, 20_000), (64, 100_000), (64, 1_000_000), (256, 10_000_000))


def main(path: str) -> None:
    print("| grace: packets and | us | gaps | late bytes | missing bytes |\n|---|---|---|---|---|")
    for packets, ns in GRACES:
        summary = pipeline.run([path], replace(Limits(), ack_grace_packets=packets, ack_grace=ns)).summary
        tcp = summary.tcp
        print(f"| {packets} | {ns / 1000:g} | {tcp.gaps:,} | {tcp.payload_bytes.late:,} | {tcp.missing_bytes:,} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
