"""Where secrets stand in the streams of a capture, so that whoever writes it again can mask them in place.

Contract: `Masking` is a `Picking` that looks at every stream as it is reassembled, and `masked_bodies` at every body without its chunking and its codings. What is found are values (`values`), and
ranges of streams (`streams`). It looks for what its surroundings show to be a secret, for values at paths of JSON, and for values that an earlier run found. Invariant: where memory, a gap or a coding keeps it from
looking, the bytes count as secret: a coded body is one range, of a stream for which there is no room all bytes are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from pcapflow.budget import Account, Ledger
from pcapflow.findings.follow import Ends
from pcapflow.payload.json_values import STRING, ValuePlaces
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.keys import Endpoint
from pcapflow.secret_bytes import KEY, Finder, Place, secrets_in, variants
from pcapflow.streams.conversation import Consumer, Conversation, Events
from pcapflow.streams.events import StreamData, StreamGap
from pcapflow.unread import UnreadReason

AT_ONCE = 16 << 10
_TAIL = 8 << 10
"""Bytes that are looked at again with what follows: a secret may be cut."""
_RANGE_BYTES = 150
_VALUE_BYTES = 400
"""Of a value and its variants, beside their bytes."""
JSON_BEGINS = (b"{", b"[")
LEVELS = 512
"""Of JSON that are told apart."""
_LOST = frozenset(
    (UnreadReason.BEHIND_LOSS.value, UnreadReason.MALFORMED.value, UnreadReason.LIMIT_REACHED.value, UnreadReason.BEFORE_PROTOCOL.value)
)

Range = tuple[int, int, int]
"""Of a stream: from, up to, and what it is (`json_values`)."""


class Stream:
    """What is masked of both streams of a connection."""

    __slots__ = ("bases", "ends", "ranges", "whole")

    def __init__(self) -> None:
        self.ranges: tuple[list[Range], list[Range]] = ([], [])
        self.whole = [False, False]
        self.bases = [-1, -1]
        """The sequence number of each one's first byte; -1 for none."""
        self.ends: tuple[Endpoint, Endpoint] | None = None


class Scanner:
    """One run of bytes, in pieces."""

    __slots__ = ("_base", "_buffer", "_inside", "_masking", "_reserved")

    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self._buffer = b""
        self._base = 0
        self._inside = False
        """What was let go ended within a secret."""
        self._reserved = 0

    @property
    def base(self) -> int:
        """Where what is still looked at begins."""
        return self._base

    def feed(self, data: bytes) -> list[Place]:
        """The next bytes; the places of secrets, counted from the first."""
        self._buffer += data
        return self._look(final=False) if len(self._buffer) >= AT_ONCE else []

    def flush(self, missing: int = 0) -> list[Place]:
        """No more comes, or so many bytes are missing."""
        found = self._look(final=True)
        self._base += missing
        return found

    def _look(self, *, final: bool) -> list[Place]:
        text, base = self._buffer, self._base
        found = list(self._masking.secrets(text))
        if self._inside and text:
            end = text.find(b"\n")
            found.append((0, end if end >= 0 else len(text)))
        keep = 0 if final else min(len(text), _TAIL)
        line = text.rfind(b"\n", len(text) - keep) + 1
        if keep and 0 < line < len(text) and text[line : line + 1] not in (b" ", b"\t"):
            keep = len(text) - line
        keep = min(max(keep, KEY - 1), len(text)) if not final else 0
        done = len(text) - keep
        # a field's value that goes on beyond what is kept has no name before it then
        self._inside = not final and any(begin < done and end == len(text) for begin, end in found)
        self._buffer, self._base = text[done:], base + done
        return [(base + begin, base + end) for begin, end in found]


class Masking:
    """One run's: a `Picking`."""

    def __init__(self, paths: Sequence[str], ledger: Ledger, finder: Finder | None = None, *, addresses: bool = False) -> None:
        """paths: of JSON values; ledger: where what is found is reserved; finder: what is known; addresses: those of connections are secret. Raises `ValueError` for what is no path."""
        self.paths = tuple(paths)
        ValuePlaces(self.paths, 1)
        self._account: Account = ledger.output
        self._finder = finder
        self._addresses = addresses
        self.values: set[bytes] = set()
        self.streams: dict[int, Stream] = {}
        self.coded = 0
        """Coded bodies that are overwritten whole."""
        self.no_room = False
        """Values were found for which there was no room: nothing of this run is sure."""
        self._conversations: dict[int, Conversation] = {}
        """Those under way."""

    # --- what is found

    def secrets(self, text: bytes) -> Iterator[Place]:
        """The places of secrets in some bytes."""
        for begin, end in secrets_in(text):
            if end > begin:
                self.learn(text[begin:end])
                yield begin, end
        if self._finder is not None:
            yield from self._finder.places(text)

    def learn(self, value: bytes) -> None:
        """A value is a secret, wherever it stands."""
        for one in variants(value):
            if one not in self.values:
                if not self._account.reserve(len(one) + _VALUE_BYTES):
                    self.no_room = True
                    return
                self.values.add(one)

    def stream(self, connection: int) -> Stream:
        """That of a connection."""
        return self.streams.setdefault(connection, Stream())

    def add(self, connection: int, direction: int, begin: int, end: int, kind: int = STRING) -> None:
        """A range of a stream is masked."""
        stream = self.stream(connection)
        if stream.whole[direction] or end <= begin:
            return
        ranges = stream.ranges[direction]
        if ranges and ranges[-1][2] == kind == STRING and ranges[-1][0] <= begin <= ranges[-1][1]:
            ranges[-1] = ranges[-1][0], max(end, ranges[-1][1]), kind
        elif self._account.reserve(_RANGE_BYTES):
            ranges.append((begin, end, kind))
        else:
            self.overwrite(connection, direction)

    def overwrite(self, connection: int, direction: int) -> None:
        """All of a stream is."""
        stream = self.stream(connection)
        stream.whole[direction] = True
        self._account.release(_RANGE_BYTES * len(stream.ranges[direction]))
        stream.ranges[direction].clear()

    # --- `Picking`

    def begin(self, ledger: Ledger) -> None:
        """See `Picking`."""

    def consumer(self, conversation: Conversation, reader: Callable[[], Consumer]) -> Consumer:
        """See `Picking`."""
        self._conversations[conversation.number] = conversation
        for end in conversation.endpoints if self._addresses else ():
            self.learn(str((IPv6Address if end.is_ipv6 else IPv4Address)(end.address)).encode())
        return _Tee(self, reader())

    def direction(self, connection: int, stream: str) -> int:
        """That of a stream by its name."""
        client = self._conversations[connection].client
        return client if stream == "client" else 1 - client

    def gone(self, connection: Connection) -> None:
        """See `Picking`."""
        if self.paths:
            for direction, reading in enumerate(connection.readings):
                if reading.beyond or any(one.reason in _LOST for one in reading.unread or ()):
                    self.overwrite(connection.number, direction)  # nobody knows which values these are
        self._conversations.pop(connection.number, None)
        stream = self.streams.get(connection.number)
        if stream is not None:
            stream.bases = [one.base for one in connection.streams]
            stream.ends = connection.endpoints

    def half_open(self, ends: Ends, syn: Syn, packet: int, ts: int) -> None:
        """See `Picking`."""

    def close(self) -> None:
        """See `Picking`."""


class _Tee:
    """Looks at what a connection says before its reader does."""

    def __init__(self, masking: Masking, reader: Consumer) -> None:
        self._masking = masking
        self._reader = reader
        self._scanners = (Scanner(masking), Scanner(masking))
        self._json: list[ValuePlaces | None] = [None, None]
        self._begun = [False, False]

    def consume(self, conversation: Conversation, events: Events) -> None:
        """See `Consumer`."""
        for direction in (0, 1):
            scanner = self._scanners[direction]
            for event in events[direction]:
                if isinstance(event, StreamData):
                    self._data(conversation.number, direction, event)
                    continue
                missing = event.length if isinstance(event, StreamGap) else 0
                for begin, end in scanner.flush(missing):
                    self._masking.add(conversation.number, direction, begin, end)
                if missing and self._json[direction] is not None:
                    self._masking.overwrite(conversation.number, direction)
        self._reader.consume(conversation, events)

    def _data(self, connection: int, direction: int, event: StreamData) -> None:
        masking = self._masking
        for at in range(0, event.length, AT_ONCE):
            data = event.take(at, min(AT_ONCE, event.length - at))
            if not self._begun[direction]:
                self._begun[direction] = True
                if masking.paths and not event.start and data.lstrip()[:1] in JSON_BEGINS:
                    self._json[direction] = ValuePlaces(masking.paths, LEVELS)
            for begin, end in self._scanners[direction].feed(data):
                masking.add(connection, direction, begin, end)
            places = self._json[direction]
            if places is not None:
                for begin, end, kind in places.feed(data):
                    masking.add(connection, direction, begin, end, kind)
