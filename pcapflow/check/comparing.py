"""Two reports side by side: which records are new, gone or other, and which fields of the summary.

Contract: `compare` takes two reports as `read_report` gives them, and returns a `Comparison`. Records come in the order of the packets that
completed them, so the same ones are near each other: each is looked for among the last `window` that the other report had and it had not.
Invariant: `window` records a side are held at most; a pair further apart counts as gone and new, so what is equal is never called
different for records in order, and what differs is never called equal. `most` differences are kept, the rest counted.
"""

from __future__ import annotations

from collections import deque
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
        self._order: deque[tuple[Key, Record]] = deque()
        self._sizes: dict[int, int] = {}
        self.bytes = 0
        self._by_key: dict[Key, deque[Record]] = {}
        self.count = 0

    def put(self, key: Key, record: Record) -> None:
        self._order.append((key, record))
        self._by_key.setdefault(key, deque()).append(record)
        self._sizes[id(record)] = size = len(msgspec.json.encode(record))
        self.bytes += size
        self.count += 1

    def take(self, key: Key) -> Record | None:
        found = self._by_key.get(key)
        if not found:
            return None
        record = found.popleft()
        if not found:
            del self._by_key[key]
        self.bytes -= self._sizes.pop(id(record))
        self.count -= 1
        return record

    def oldest(self) -> Record:
        """Take the one that waited longest. One that was taken by its key is passed over where it stands in the order."""
        while True:
            key, record = self._order.popleft()
            found = self._by_key.get(key)
            if found and found[0] is record:
                taken = self.take(key)
                assert taken is not None
                return taken

    @property
    def full(self) -> bool:
        return self.count > WINDOW or (self.bytes > WINDOW_BYTES and self.count > 1)

    def trim(self) -> None:
        """Forget what was taken, when it is most of the order."""
        if len(self._order) > 2 * self.count + 16:
            waiting = {id(record) for found in self._by_key.values() for record in found}
            self._order = deque(entry for entry in self._order if id(entry[1]) in waiting)


def compare(old: Iterator[Record], new: Iterator[Record], *, most: int = MOST, records: bool = True, with_endpoints: bool = True) -> Comparison:
    """Where two reports differ; what may differ between two equal runs is left out. records: False looks at summaries and endpoints alone."""
    result = Comparison()
    sides = (_Waiting(), _Waiting())
    endpoints = (Endpoints(), Endpoints())
    summaries: list[Summary | None] = [None, None]

    def missing(side: int, record: Record) -> None:
        kind = "new" if side else "gone"
        if side:
            result.new += 1
        else:
            result.gone += 1
        if len(result.records) < most:
            result.records.append(RecordChange(kind, key_of(record)[0], name_of(record), packet_of(record)))  # type: ignore[arg-type]

    def pair(a: Record, b: Record) -> None:
        if a == b:
            return
        result.changed += 1
        if len(result.records) < most:
            changes = Changes(most)
            walk(a, b, changes)
            result.records.append(RecordChange("changed", key_of(b)[0], name_of(b), packet_of(b), changes.found))  # type: ignore[arg-type]

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
            sides[side].trim()
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
