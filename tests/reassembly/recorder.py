"""Runs the reassembly stage alone and keeps what it hands on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pcapflow.budget import Ledger
from pcapflow.capture.clock import timed
from pcapflow.capture.formats import open_capture
from pcapflow.capture.source import open_source
from pcapflow.decode import columns
from pcapflow.decode.segments import DecodeCounts
from pcapflow.drops import DropReason
from pcapflow.limits import Limits
from pcapflow.policy import Policy
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.causes import Conflict, Why
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.context import Context
from pcapflow.reassembly.flow_table import FlowTable
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import StreamData, StreamEnd, StreamEvent, StreamGap


@dataclass
class Heard:
    """One direction: bytes by offset (None where given up), gaps, how it ended."""

    data: list[int | None] = field(default_factory=list)
    gaps: list[StreamGap] = field(default_factory=list)
    packets: list[int] = field(default_factory=list)
    """The packet that delivered each byte; 0 in gaps."""
    end: StreamEnd | None = None
    latest: int = 0
    """The packet of the last event."""

    @property
    def text(self) -> bytes:
        """The bytes, with a dot for each that is missing."""
        return bytes(46 if b is None else b for b in self.data)


@dataclass
class Told:
    """One connection as it went."""

    number: int
    end: str
    packets: int
    roles: str
    start: str
    heard: tuple[Heard, Heard]
    counts: tuple[dict[str, int], dict[str, int]]
    gone_at: int


COUNTS = (
    "captured", "delivered", "retransmitted", "conflicting", "late", "out_of_window", "dropped", "missing", "gaps", "filled", "out_of_order", "ring_peak",
)  # fmt: skip


class Recorder:
    """An observer that remembers everything, and checks that events are in order and without overlap."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.live: dict[int, tuple[Heard, Heard]] = {}
        self.drops: list[tuple[int, DropReason]] = []
        self.conflicts: list[tuple[int, Conflict]] = []
        self.untracked_bytes = self.repeated_segments = self.repeated_bytes = 0
        self.differs: list[set[Policy]] = []
        """Of each connection, in the order in which they ended: the policies under which one of its streams reads differently."""

    def consumer(self, connection: Connection) -> Recorder:
        self.live[connection.number] = (Heard(), Heard())
        return self

    def consume(self, connection: Connection, events: tuple[list[StreamEvent], list[StreamEvent]]) -> None:
        for heard, some in zip(self.live[connection.number], events, strict=True):
            for event in some:
                assert heard.end is None, "events after the end"
                if isinstance(event, StreamData):
                    assert event.start == len(heard.data)
                    taken = event.take(0, event.length)
                    assert len(taken) == event.length
                    heard.data.extend(taken)
                    packets = [event.packet(event.piece(i)) for i in range(event.length)]
                    assert packets == sorted(packets)
                    heard.packets.extend(packets)
                    first, last = packets[0], packets[-1]
                elif isinstance(event, StreamGap):
                    assert event.start == len(heard.data)
                    assert event.length > 0
                    heard.gaps.append(event)
                    heard.data.extend([None] * event.length)
                    heard.packets.extend([0] * event.length)
                    first = last = event.packet
                else:
                    assert event.offset == len(heard.data)
                    heard.end = event
                    first = last = event.packet
                assert first >= heard.latest, "events go back in the capture"
                heard.latest = last

    def gone(self, connection: Connection, packet: int, ts: int) -> None:
        heard = self.live.pop(connection.number, (Heard(), Heard()))
        assert packet >= max(connection.last_packet, *(h.latest for h in heard)), "gone before its last event"
        for stream in connection.streams:
            assert stream.balanced(), (connection.number, [getattr(stream, c) for c in COUNTS])
            assert stream.held == 0
        self.differs.append(set(connection.streams[0].differs | connection.streams[1].differs))
        client = connection.client
        ordered = (heard[client], heard[1 - client])
        counts = tuple({c: getattr(connection.streams[d], c) for c in COUNTS} for d in (client, 1 - client))
        self.told.append(
            Told(
                connection.number,
                connection.end,
                connection.packets,
                connection.roles,
                connection.start,
                ordered,
                (counts[0], counts[1]),
                packet,
            )
        )

    def half_open(self, gone: list[tuple[bytes, Syn, int, int]], end: str) -> None:
        for _, syn, packet, ts in gone:
            none = dict.fromkeys(COUNTS, 0)
            heard = (Heard(end=StreamEnd("cut", packet, ts, 0)), Heard(end=StreamEnd("cut", packet, ts, 0)))
            self.told.append(Told(syn.number, end, syn.packets, "syn", "syn", heard, (none, none), packet))

    def stream_dropped(
        self, conversation: Conversation, direction: int, reason: DropReason, held: int, why: Why, packet: int, ts: int, offset: int
    ) -> None:
        self.drops.append((conversation.number, reason))

    def conflict(self, conversation: Conversation, direction: int, conflict: Conflict) -> None:
        self.conflicts.append((conversation.number, conflict))

    def untracked(self, packet: int, ts: int, captured: int) -> None:
        self.untracked_bytes += captured

    def repeated(self, segments: int, captured: int) -> None:
        self.repeated_segments += segments
        self.repeated_bytes += captured


def reassemble(
    path: Path, limits: Limits | None = None, *, walk_all: bool = False, drop_streams: bool = False, overlap: Policy = Policy.FIRST
) -> tuple[Recorder, Ledger]:
    """What the stage hands on for a capture."""
    limits = limits or Limits()
    ledger = Ledger(limits)
    recorder = Recorder()
    table = FlowTable(Context(limits, ledger, recorder, drops_streams=drop_streams, overlap=overlap), recorder, walk_all=walk_all)
    source = open_source(str(path))
    counts = DecodeCounts()
    last, ts = 0, 0
    for block in timed(open_capture(source, limits, ledger).blocks(1, limits), ledger):
        table.process(block, columns.decode(block, counts))
        last = block.first_packet + len(block) - 1
        ts = int(block.ts[-1])
    source.close()
    table.finish(last, ts)
    assert len(table) == 0
    for account in ledger.accounts():
        assert account.used == 0, account.name
    recorder.told.sort(key=lambda t: t.number)
    return recorder, ledger
