"""Two reports side by side: which records are new, gone or other, and which fields of the summary.

Contract: `compare` takes two reports as `read_report` gives them, and returns a `Comparison`. Records come in the order of the packets that
completed them, so the same ones are near each other: each is looked for among the last `window` that the other report had and it had not.
Invariant: `window` records a side are held at most; a pair further apart counts as gone and new, so what is equal is never called
different for records in order, and what differs is never called equal. `most` differences are kept, the rest counted.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from pcapflow.check.changes import Change, Changes
from pcapflow.check.endpoints import EndpointChange, Endpoints
from pcapflow.check.walk_records import Key, key_of, name_of, packet_of, walk
from pcapflow.check.walk_summary import comparable
from pcapflow.check.walk_summary import summary as walk_summary
from pcapflow.records import AnyRecord, Json
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


Hides = Callable[[str], bool] | None


class _Waiting:
    """Records of one side whose like the other side has not shown yet."""

    def __init__(self) -> None:
        self._order: OrderedDict[int, tuple[Key, AnyRecord, int]] = OrderedDict()
        """By number, oldest first: key, record, and bytes of its text."""
        self._by_key: dict[Key, deque[int]] = {}
        self._put = 0
        self.bytes = 0

    def put(self, key: Key, record: AnyRecord) -> None:
        size = len(msgspec.json.encode(record))
        self._order[self._put] = key, record, size
        self._by_key.setdefault(key, deque()).append(self._put)
        self._put += 1
        self.bytes += size

    def take(self, key: Key) -> AnyRecord | None:
        found = self._by_key.get(key)
        if not found:
            return None
        number = found.popleft()
        if not found:
            del self._by_key[key]
        _, record, size = self._order.pop(number)
        self.bytes -= size
        return record

    def oldest(self) -> AnyRecord:
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


class _Comparing:
    """Records of two reports, taken by turns."""

    def __init__(self, most: int, hides: Hides) -> None:
        self.result = Comparison()
        self._most = most
        self._hides = hides
        self._sides = (_Waiting(), _Waiting())
        self._shown = 0
        """Bytes of what is told."""

    def take(self, side: int, record: AnyRecord) -> None:
        """The next record of a side: the like of one that waits on the other, or one that waits."""
        key = key_of(record)
        other = self._sides[1 - side].take(key)
        if other is not None:
            self._pair(*((record, other) if side == 0 else (other, record)))
            return
        self._sides[side].put(key, record)
        while self._sides[side].full:
            self.result.beyond_window = True
            self._missing(side, self._sides[side].oldest())

    def end(self) -> None:
        """What waits has no like."""
        for side in (0, 1):
            while self._sides[side].count:
                self._missing(side, self._sides[side].oldest())

    def _pair(self, a: AnyRecord, b: AnyRecord) -> None:
        if a == b:
            return
        changes = Changes(self._most, self._hides)
        walk(a, b, changes)
        if not changes.count:
            return  # but for what an earlier version did not count
        self.result.changed += 1
        if self._has_room():
            self._tell(RecordChange("changed", key_of(b)[0], name_of(b), packet_of(b), changes.found))  # type: ignore[arg-type]

    def _missing(self, side: int, record: AnyRecord) -> None:
        if side:
            self.result.new += 1
        else:
            self.result.gone += 1
        if self._has_room():
            self._tell(RecordChange("new" if side else "gone", key_of(record)[0], name_of(record), packet_of(record)))  # type: ignore[arg-type]

    def _has_room(self) -> bool:
        return len(self.result.records) < self._most and self._shown < _SHOWN_BYTES

    def _tell(self, change: RecordChange) -> None:
        self._shown += len(msgspec.json.encode(change))
        self.result.records.append(change)


def compare(
    old: Iterator[AnyRecord],
    new: Iterator[AnyRecord],
    *,
    most: int = MOST,
    records: bool = True,
    with_endpoints: bool = True,
    hides: Hides = None,
) -> Comparison:
    """Where two reports differ; what may differ between two equal runs is left out. most: differences that are told, as far as they take no more than
    some megabytes. records: False looks at summaries and endpoints alone; hides: whether what differs at a path is left out.
    """
    comparing = _Comparing(most, hides)
    endpoints = (Endpoints(), Endpoints())
    summaries: list[Summary | None] = [None, None]
    left = {0: old, 1: new}
    while left:
        for side, report in list(left.items()):
            record = next(report, None)
            if record is None:
                del left[side]
            elif isinstance(record, Summary):
                summaries[side] = record
            elif isinstance(record, Json) and record.exchange is not None:
                continue  # it stands in its exchange, and in one report perhaps beside it
            else:
                if with_endpoints:
                    endpoints[side].add(record)
                if records:
                    comparing.take(side, record)
    comparing.end()
    before, after = summaries
    assert before is not None
    assert after is not None
    changes = Changes(most, hides)
    walk_summary("", *comparable(before, after), changes)
    result = comparing.result
    result.summary, result.summary_changes = changes.found, changes.count
    result.endpoints = endpoints[0].changes(endpoints[1], most)
    return result
