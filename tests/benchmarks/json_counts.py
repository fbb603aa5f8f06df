"""Texts of JSON read at once beside ijson's events of them: nanoseconds a byte, the least of seven rounds.

python -m tests.benchmarks.json_counts
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable

from pcapflow.limits import Limits
from pcapflow.payload.at_once import parse_at_once
from pcapflow.payload.json_counts import counts
from tests.benchmarks.inputs import documents


def texts() -> dict[str, bytes]:
    """By what is in them."""
    items = [{"url": f"http://a.example/{i}?x,y", "at": "2020-01-01T00:00:00Z", "none": [], "one": [i]} for i in range(1000)]
    small, _, middle, _, large = documents(random.Random(1))
    return {
        "small": small,
        "middle": middle,
        "large": large,
        "indented": json.dumps(json.loads(middle), indent=2).encode(),
        "much structure in strings": json.dumps(items).encode(),
        "many escapes": json.dumps([{"text": 'a\nb"cé' * 3} for _ in range(1000)]).encode(),
    }


def least(call: Callable[[], object], rounds: int) -> float:
    """Seconds of one call."""
    taken = []
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(rounds):
            call()
        taken.append((time.perf_counter() - began) / rounds)
    return min(taken)


def main() -> None:
    limits = Limits()
    print("| text | bytes | at once, ns a byte | by ijson | times |\n|---|---|---|---|---|")
    for name, data in texts().items():
        assert counts(data, limits) == parse_at_once(data)
        rounds = max(3, 1_000_000 // len(data))
        ours, theirs = (
            least(lambda data=data: counts(data, limits), rounds),
            least(lambda data=data: parse_at_once(data), max(1, rounds // 20)),
        )  # type: ignore[misc]
        print(f"| {name} | {len(data):,} | {ours / len(data) * 1e9:.1f} | {theirs / len(data) * 1e9:.1f} | {theirs / ours:.1f} |")


if __name__ == "__main__":
    main()
