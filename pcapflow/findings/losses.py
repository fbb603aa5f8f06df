"""Records of what was lost or came again with other bytes. Functions of what reassembly says."""

from __future__ import annotations

from pcapflow.capture.packet_places import Places
from pcapflow.reassembly.causes import Conflict
from pcapflow.records import Conflict as ConflictRecord
from pcapflow.records import Gap, LimitValue, Range, seconds
from pcapflow.streams.conversation import Conversation
from pcapflow.streams.events import StreamGap


def conflict_record(conversation: Conversation, direction: int, c: Conflict, places: Places) -> ConflictRecord:
    """Bytes that came again and were others."""
    sequence = conversation.wire_sequence(direction, c.offset)
    assert sequence is not None
    return ConflictRecord(
        conversation.number, conversation.stream_name(direction), c.offset, c.differing, Range(c.start, c.end), Range(c.original_start, c.original_end),
        c.kept, seconds(c.ts), c.packet, sequence, *places.of(c.packet),
    )  # fmt: skip


def gap_record(conversation: Conversation, direction: int, gap: StreamGap, limit: LimitValue | None, places: Places) -> Gap:
    """Bytes that were given up; limit: what was reached, if anything was."""
    last = gap.start + gap.length - 1
    return Gap(
        conversation.number, conversation.stream_name(direction), gap.start, gap.length, gap.cause.value, seconds(gap.ts), gap.packet, last,
        conversation.wire_sequence(direction, gap.start), conversation.wire_sequence(direction, last), gap.held, limit, gap.requested_by or None, *places.of(gap.packet),
    )  # fmt: skip
