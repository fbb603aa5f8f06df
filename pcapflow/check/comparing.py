"""Two reports side by side: which records are new, gone or other, and which fields of the summary.

Contract: `compare` takes two reports as `read_report` gives them, and returns a `Comparison`. Records come in the order of the packets that
completed them, so the same ones are near each other: each is looked for among the last `window` that the other report had and it had not.
Invariant: `window` records a side are held at most; a pair further apart counts as gone and new, so what is equal is never called
different for records in order, and what differs is never called equal. `most` differences are kept, the rest counted.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from pcapflow.check.changes import Change, Changes
from pcapflow.check.endpoints import EndpointChange, Endpoints
from pcapflow.check.walk_records import Key, key_of, name_of, packet_of, walk
from pcapflow.check.walk_summary import comparable
from pcapflow.check.walk_summary import summary as walk_summary
from pcapflow.records import Record
from pcapflow.summary import Summary

WINDOW = 4096
WINDOW_BYTES = 2 << 20
"""Of the records' text, on each side; what is made of it takes up to twenty times as much."""
MOST = 100
_SHOWN_BYTES = 4 << 20
"""Of what is told of records that differ, as JSON: beyond that they are counted. As objects, and in tables, it takes some ten times as much."""


@dataclass(frozen=True, slots=True)
class RecordChange:
    """A record that differs. kind: `new`, `gone` or `changed`; name: in few words; changes: its fields, for `changed`."""

    kind: str
    record: str
    name: str
    packet: int | None
    changes: list[Change] = field(default_factory=list)


@dataclass(slots=True)
class Comparison:
    """What differs between two reports. Lists hold `most` entries at most; the counts count all."""

    summary: list[Change] = field(default_factory=list)
    records: list[RecordChange] = field(default_factory=list)
    endpoints: list[EndpointChange] = field(default_factory=list)
    summary_changes: int = 0
    new: int = 0
    gone: int = 0
    changed: int = 0
    beyond_window: bool = False
    """Records were too far apart to be paired: new and gone count some that are in both."""

    @property
    def differences(self) -> int:
        """All of them, records each counted once."""
        return self.summary_changes + self.new + self.gone + self.changed

    @property
    def same(self) -> bool:
        return not self.differences


class _Waiting:
    """Records of one side whose like the other side has not shown yet."""

    def __init__(self) -> None:
        self._order: OrderedDict[int, tuple[Key, Record, int]] = OrderedDict()
        """By number, oldest first: key, record, and bytes of its text."""
        self._by_key: dict[Key, deque[int]] = {}
        self._put = 0
        self.bytes = 0

    def put(self, key: Key, record: Record) -> None:
        size = len(msgspec.json.encode(record))
        self._order[self._put] = key, record, size
        self._by_key.setdefault(key, deque()).append(self._put)
        self._put += 1
        self.bytes += size

    def take(self, key: Key) -> Record | None:
        found = self._by_key.get(key)
        if not found:
            return None
        number = found.popleft()
        if not found:
            del self._by_key[key]
        _, record, size = self._order.pop(number)
        self.bytes -= size
        return record

    def oldest(self) -> Record:
        """Take the one that waited longest, which is the first of its key."""
        key, *_ = next(iter(self._order.values()))
        taken = self.take(key)
        assert taken is not None
        return taken

    @property
    def count(self) -> int:
        return len(self._order)

    @property
    def full(self) -> bool:
        return self.count > WINDOW or (self.bytes > WINDOW_BYTES and self.count > 1)


def compare(
    old: Iterator[Record], new: Iterator[Record], *, most: int = MOST, records: bool = True, with_endpoints: bool = True
) -> Comparison:
    """Where two reports differ; what may differ between two equal runs is left out. most: differences that are told, as far as they take no more than
    some megabytes. records: False looks at summaries and endpoints alone.
    """
    result = Comparison()
    sides = (_Waiting(), _Waiting())
    endpoints = (Endpoints(), Endpoints())
    summaries: list[Summary | None] = [None, None]

    shown = 0

    def room() -> bool:
        return len(result.records) < most and shown < _SHOWN_BYTES

    def told(change: RecordChange) -> None:
        nonlocal shown
        shown += len(msgspec.json.encode(change))
        result.records.append(change)

    def missing(side: int, record: Record) -> None:
        kind = "new" if side else "gone"
        if side:
            result.new += 1
        else:
            result.gone += 1
        if room():
            told(RecordChange(kind, key_of(record)[0], name_of(record), packet_of(record)))  # type: ignore[arg-type]

    def pair(a: Record, b: Record) -> None:
        if a == b:
            return
        result.changed += 1
        if room():
            changes = Changes(most)
            walk(a, b, changes)
            told(RecordChange("changed", key_of(b)[0], name_of(b), packet_of(b), changes.found))  # type: ignore[arg-type]

    ended = [False, False]
    reports = (old, new)
    while not all(ended):
        for side in (0, 1):
            if ended[side]:
                continue
            record = next(reports[side], None)
            if record is None:
                ended[side] = True
                continue
            if isinstance(record, Summary):
                summaries[side] = record
                continue
            if with_endpoints:
                endpoints[side].add(record)
            if not records:
                continue
            key = key_of(record)
            other = sides[1 - side].take(key)
            if other is not None:
                pair(*((record, other) if side == 0 else (other, record)))
                continue
            sides[side].put(key, record)
            while sides[side].full:
                result.beyond_window = True
                missing(side, sides[side].oldest())
    for side in (0, 1):
        while sides[side].count:
            missing(side, sides[side].oldest())
    before, after = summaries
    assert before is not None
    assert after is not None
    changes = Changes(most)
    walk_summary("", *comparable(before, after), changes)
    result.summary, result.summary_changes = changes.found, changes.count
    result.endpoints = endpoints[0].changes(endpoints[1], most)
    return result
