"""What is kept of connections that are over: the same ranges as with all of them at hand, in few bytes."""

from __future__ import annotations

import random
from array import array

from pcapflow.budget import Ledger
from pcapflow.findings.framing import Framing, Placed
from pcapflow.findings.kept_masks import Crowd, Known, Side, in_order, key_of, last_packet_of, number_of, packed
from pcapflow.limits import Limits
from pcapflow.ranges import BLIND, MaskRange


def apart(ranges: list[MaskRange]) -> list[MaskRange]:
    found: list[MaskRange] = []
    for begin, end, kind in ranges:
        if found and begin < found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1]), kind if kind == found[-1][2] else 0
        else:
            found.append((begin, end, kind))
    return found


def at_once(ranges: list[MaskRange], framing: Framing, *, lost: bool) -> list[MaskRange]:
    found = sorted([*framing.apart(sorted(set(ranges))), *(framing.lost() if lost else ())])
    return list(framing.before_messages(apart(found)))


def test_ranges_come_to_the_same_whatever_their_number_and_order() -> None:
    for seed in range(600):
        r = random.Random(seed)
        framing = Framing(Ledger(Limits()).output)
        at = 0
        for _ in range(r.randrange(6)):
            at += r.randrange(1, 60)
            framing.message(at, 10)
            if r.randrange(2):
                framing.chunk_line(at + 12, at + 14)
                framing.body_over(at + 20)
            if r.randrange(3) == 0:
                framing.missing(at + 20, at + 25)
        ranges = []
        for _ in range(r.choice([0, 1, 5, 100])):
            begin = r.randrange(300)
            ranges.append((begin, begin + r.randrange(1, 30), r.choice([0, 0, 1, BLIND])))
        flat = array("q", [n for one in ranges * 2 for n in one])
        lost = bool(r.randrange(2))
        found = in_order(flat, framing, lost=lost)
        assert list(zip(found[::3], found[1::3], found[2::3], strict=True)) == at_once(ranges, framing, lost=lost)


def test_a_stream_is_read_from_the_bytes_of_its_connection() -> None:
    one = Side(
        1 << 31, 700, False, True, True, array("q", [1, 5, 0, 9, 12, BLIND]), Placed(array("q", [20, 40]), array("q", [3, 4]), array("q"))
    )
    other = Side(-1, 0, True, False, False, array("q"), Placed(read=array("q", [7, 30])))
    key = key_of((1 << 100, 443), (5, 80))
    assert key == key_of((5, 80), (1 << 100, 443))
    kept = packed(key, 77, 99, (one, other))
    assert (number_of(kept), last_packet_of(kept)) == (77, 99)
    for direction, side in enumerate((one, other)):
        known = Known(kept, direction)
        assert (known.number, known.last_packet) == (77, 99)
        assert (known.base, known.length, known.whole, known.outside) == side[:4]
        assert list(known.ranges) == list(side.ranges)
        for name in ("over", "lines", "read"):
            assert list(getattr(known.framing, name)) == list(getattr(side.framing, name))


def test_a_crowd_loses_no_ends_and_has_few_others() -> None:
    crowd = Crowd(64 << 20)
    keys = [key_of((n, 1), (n + 1, 2)) for n in range(20_000)]
    assert keys[0] not in crowd
    for key in keys[::2]:
        crowd.add(key)
    assert all(key in crowd for key in keys[::2])
    assert sum(key in crowd for key in keys[1::2]) < 500
