"""Where secrets stand in the streams of a capture, so that whoever writes it again can mask them in place.

Contract: `Masking` keeps what `masked_streams` finds in every stream as it is reassembled, and `masked_bodies` in every body without its chunking and its codings. What is found are values (`values`), and
ranges of streams (`streams`). It looks for what its surroundings show to be a secret, for values at paths of JSON, and for values that an earlier run found. Invariant: where memory, a gap or a coding keeps it from
looking, the bytes count as secret: a coded body is one range, of a stream for which there is no room all bytes are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pcapflow.budget import Account, Ledger
from pcapflow.findings.ends import endpoint
from pcapflow.findings.follow import Ends
from pcapflow.findings.framing import Framing
from pcapflow.known_values import Finder, variants
from pcapflow.payload.json_values import STRING, ValuePlaces
from pcapflow.ranges import BLIND, MaskRange
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.connection import Connection
from pcapflow.reassembly.keys import Endpoint
from pcapflow.secret_bytes import (
    HOLDER,
    KNOWN,
    LONG,
    OPEN,
    Place,
    reaches_end,
    secrets_in,
    within,
)
from pcapflow.streams.conversation import Consumer, Conversation
from pcapflow.unread import Unread, UnreadReason

_CUT_LEAST = 12
"""Bytes of a beginning that is looked for."""
_RANGE_BYTES = 250
_VALUE_BYTES = 200
"""Of a value and its variants, beside their bytes."""
_LEARNT_BYTES = 150
"""The same, of a value as it stood there."""
_LOST = frozenset(
    (UnreadReason.BEHIND_LOSS.value, UnreadReason.MALFORMED.value, UnreadReason.LIMIT_REACHED.value, UnreadReason.BEFORE_PROTOCOL.value)
)
_UNREAD = frozenset((UnreadReason.ENCRYPTED.value, UnreadReason.UNKNOWN_PROTOCOL.value, UnreadReason.NOT_SUPPORTED.value))


class Stream:
    """What is masked of both streams of a connection."""

    __slots__ = ("bases", "ends", "framing", "last_packet", "lengths", "outside", "ranges", "whole")

    def __init__(self) -> None:
        self.ranges: tuple[set[MaskRange], set[MaskRange]] = (set(), set())
        self.whole = [False, False]
        self.bases = [-1, -1]
        """The sequence number of each one's first byte; -1 for none."""
        self.lengths = [0, 0]
        """Bytes of each, those that are missing too."""
        self.ends: tuple[Endpoint, Endpoint] | None = None
        self.framing: tuple[Framing, Framing] | None = None
        """None where none is known."""
        self.outside = [False, False]
        """Packets of it have bytes before its first or behind its last, which nobody looked at."""
        self.last_packet = 0


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
        """In each of their spellings."""
        self.learnt = 0
        """Values of which no spelling was known before."""
        self.cut: set[bytes] = set()
        """Of those the ones whose end is not known."""
        self._learnt: set[bytes] = set()
        self._cut_learnt: set[bytes] = set()
        """What was learnt, as it stood there: it may come again and again. Of values whose end is not known, that."""
        self.streams: dict[int, Stream] = {}
        self.coded = 0
        """Coded bodies that are overwritten whole."""
        self.unread = 0
        """Connections of which a part is encrypted, or of no protocol that is read."""
        self.no_room = False
        """Values were found for which there was no room: nothing of this run is sure."""
        self._owed = 0
        """Bytes that are kept though they were refused: the run comes to nothing."""
        self._conversations: dict[int, Conversation] = {}
        """Those under way."""
        self._framing: dict[int, tuple[Framing, Framing]] = {}
        """Theirs, by direction."""

    # --- what is found

    def secrets(
        self, text: bytes, done: int | None = None, *, final: bool = True, cut: bool = False, form: bool = False
    ) -> Iterator[Place]:
        """The places of secrets in some bytes. done: those that are not looked at again; a secret that begins behind them and may go on is learnt when it is whole. cut: what follows is
        missing; form: it is of a form.
        """
        done = len(text) if done is None else done
        for place in secrets_in(text, form=form):
            begin, end, kind = place
            if end > begin:
                if kind == HOLDER or (kind != OPEN and (final or begin < done or not reaches_end(text, place))):
                    self.learn_of(text[begin:end], kind, cut=cut and reaches_end(text, place))
                yield place
        if self._finder is not None:
            yield from self._finder.together(text)
            if final:  # of a value that is cut there
                begin = self._finder.begun(text)
                if begin < len(text):
                    yield begin, len(text), KNOWN

    def reserve(self, n: int) -> None:
        """Bytes are kept that are looked at."""
        if not self._account.reserve(n):
            self.no_room = True
            self._owed += n

    def release(self, n: int) -> None:
        """They are not any more."""
        owed = min(n, self._owed)
        self._owed -= owed
        self._account.release(n - owed)

    def learn_of(self, value: bytes, kind: int, *, cut: bool = False) -> None:
        """Learn what a place has: its value, or what is in an encoded one."""
        if kind != HOLDER:
            self.learn(value, cut=cut)
            return
        for one in within(value):
            self.learn(one)

    def learn(self, value: bytes, *, cut: bool = False) -> None:
        """A value is a secret, wherever it stands. cut: it is the beginning of one, which goes on to the end of its word."""
        if cut and (len(value) < _CUT_LEAST or b"/" in value):
            return  # paths and URLs have their beginnings in common
        value = value[: LONG + 1]
        learnt = self._cut_learnt if cut else self._learnt
        if value in learnt:
            return
        found = variants(value)
        if not found:
            return
        if not self._account.reserve(len(value) + _LEARNT_BYTES):
            self.no_room = True
            return
        learnt.add(value)
        self.learnt += found.isdisjoint(self.values)
        for one in found:
            if cut:
                self.cut.add(one)
            if one not in self.values:
                if not self._account.reserve(len(one) + _VALUE_BYTES):
                    self.no_room = True
                    return
                self.values.add(one)

    def stream(self, connection: int) -> Stream:
        """That of a connection."""
        stream = self.streams.get(connection)
        if stream is None:
            stream = self.streams[connection] = Stream()
        return stream

    def add(self, connection: int, direction: int, begin: int, end: int, kind: int = STRING) -> None:
        """A range of a stream is masked."""
        stream = self.stream(connection)
        if stream.whole[direction] or end <= begin:
            return
        ranges, one = stream.ranges[direction], (begin, end, kind)
        if one in ranges:
            return
        if self._account.reserve(_RANGE_BYTES):
            ranges.add(one)
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
            self.learn(endpoint(end).ip.encode())
        return reader()

    def direction(self, connection: int, stream: str) -> int:
        """That of a stream by its name."""
        client = self._conversations[connection].client
        return client if stream == "client" else 1 - client

    def framing(self, connection: int, direction: int) -> Framing:
        """That of a stream under way."""
        both = self._framing.get(connection)
        if both is None:
            both = self._framing[connection] = Framing(self._account), Framing(self._account)
        return both[direction]

    def gone(self, connection: Connection) -> None:
        """See `Picking`."""
        for direction, reading in enumerate(connection.readings):
            if reading.beyond:
                self.overwrite(connection.number, direction)  # nobody knows which bytes these are
        self._conversations.pop(connection.number, None)
        self.unread += any(one.reason in _UNREAD for reading in connection.readings for one in reading.unread or ())
        outside = [bool(one.late or one.out_of_window or one.dropped) for one in connection.streams]
        stream = self.stream(connection.number) if any(outside) else self.streams.get(connection.number)
        framing = self._framing.pop(connection.number, None)
        if stream is None:
            for one in framing or ():
                one.close()
        else:
            stream.framing, stream.outside, stream.last_packet = framing, outside, connection.last_packet
            stream.bases = [one.base for one in connection.streams]
            stream.lengths = [one.next for one in connection.streams]
            stream.ends = connection.endpoints

    def not_read(self, conversation: Conversation, direction: int, unread: Unread) -> None:
        """Bytes of a stream are of no message that was read: they may be anything, so all of them are masked. Those of a protocol that is not read are looked at (`masked_streams`), where its
        beginning shows that it is another.
        """
        blind = unread.reason in _LOST or (unread.reason == UnreadReason.UNKNOWN_PROTOCOL.value and not conversation.began(direction))
        if blind and unread.stream_offset is not None:
            begin = unread.stream_offset
            end = self.framing(conversation.number, direction).behind(begin, unread.bytes)
            self.add(conversation.number, direction, begin, end, BLIND)

    def half_open(self, ends: Ends, syn: Syn, packet: int, ts: int) -> None:
        """See `Picking`."""

    def close(self) -> None:
        """See `Picking`."""
