"""Where secrets stand in the streams of a capture, so that whoever writes it again can mask them in place.

Contract: `Masking` keeps what `masked_streams` finds in every stream as it is reassembled, and `masked_bodies` in every body without its chunking and its codings. What is found are values (`values`), and
ranges of streams (`kept`). It looks for what its surroundings show to be a secret, for values at paths of JSON, and for values that an earlier run found. Invariant: where memory, a gap or a coding keeps it from
looking, the bytes count as secret: a coded body is one range, of a stream for which there is no room all bytes are, and of a connection for which there is none all packets between its ends.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import unquote_to_bytes

from pcapflow.budget import Account, Ledger
from pcapflow.findings.ends import endpoint
from pcapflow.findings.follow import Ends
from pcapflow.findings.framing import ARRAY_BYTES, FRAMING_BYTES, Framing, Placed
from pcapflow.findings.kept_masks import FAR, KEPT_BYTES, REACHED_BYTES, Crowd, Side, in_order, key_of, packed
from pcapflow.findings.live_masks import JSON_BYTES, LIVE_BYTES, SIDE_BYTES, Live, LiveSide
from pcapflow.known_values import KEY, LEAST, Finder, variants
from pcapflow.payload.joint_states import JointStates, joint_states
from pcapflow.payload.json_values import STRING, ValuePlaces
from pcapflow.ranges import BLIND
from pcapflow.reassembly.beliefs import Syn
from pcapflow.reassembly.connection import Connection
from pcapflow.secret_bytes import json_fields, secrets_in, within
from pcapflow.secret_kinds import HOLDER, KNOWN, LONG, OPEN, Place, reaches_end
from pcapflow.streams.conversation import Consumer, Conversation
from pcapflow.unread import Unread, UnreadReason

LEVELS = 512
"""Of JSON that are told apart."""
_CUT_LEAST = 12
"""Bytes of a beginning that is looked for."""
RANGE_BYTES = 96
"""An entry of an array that grows, and what puts the entries in order when the connection is over."""
_VALUE_BYTES, _LONG_BYTES = 330, 480
"""Of a value that is looked for, beside its bytes, with what finds it; more for one that is looked for by its beginning."""
_NOTHING_MOST = 1024
_LEARNT_BYTES = 150
"""The same, of a value as it stood there."""
_LOST = frozenset(
    (UnreadReason.BEHIND_LOSS.value, UnreadReason.MALFORMED.value, UnreadReason.LIMIT_REACHED.value, UnreadReason.BEFORE_PROTOCOL.value)
)
_UNREAD = frozenset((UnreadReason.ENCRYPTED.value, UnreadReason.UNKNOWN_PROTOCOL.value, UnreadReason.NOT_SUPPORTED.value))


class NoRoom(Exception):
    """There is no memory for what is secret, or for what may be."""


class Masking:
    """One run's: a `Picking`."""

    def __init__(
        self, paths: Sequence[str], ledger: Ledger, finder: Finder | None = None, *, addresses: bool = False, keeps: bool = True
    ) -> None:
        """paths: of JSON values; ledger: where what is found is reserved; finder: what is known; addresses: those of connections are secret; keeps: where secrets stand is kept, not values alone. Raises `ValueError` for what is no path."""
        self.paths = joint_states(paths) if paths else None
        """What leads to the values that are masked; None where nobody asked for any."""
        self._account: Account = ledger.output
        self._most = self._account.limit * 7 // 8
        """Of that for ranges: where they had all of it, nothing could be looked at any more."""
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
        self._nothing: set[bytes] = set()
        """Short values that are not looked for, some of them: they come most often."""
        self._keeps = keeps
        self.kept: list[bytes] = []
        """What is masked of connections that are over (`kept_masks`)."""
        self._kept_bytes = 0
        """Reserved for that."""
        self.crowd = Crowd(ledger.limit)
        """The ends of those for which there was no room."""
        self.whole = 0
        """Streams that are overwritten whole."""
        self.coded = 0
        """Coded bodies that are overwritten whole."""
        self.unread = 0
        """Connections of which a part is encrypted, or of no protocol that is read."""
        self._live: dict[int, Live] = {}
        """Connections under way."""
        self._no_framing = Framing(None)
        self.reserve(self.crowd.size)

    # --- what is found

    def secrets(
        self, text: bytes, done: int | None = None, *, final: bool = True, cut: bool = False, form: bool = False, begins: bool = True
    ) -> Iterator[Place]:
        """The places of secrets in some bytes. done: those that are not looked at again; a secret that begins behind them and may go on is learnt when it is whole. cut: what follows is
        missing; form: it is of a form; begins: its first byte may be a line's.
        """
        done = len(text) if done is None else done
        for place in secrets_in(text, form=form, begins=begins):
            begin, end, kind = place
            if end > begin:
                if kind == HOLDER or (kind != OPEN and (final or begin < done or not reaches_end(text, place))):
                    self.learn_of(text[begin:end], kind, cut=cut and reaches_end(text, place))
                yield place
        yield from self.known_in(text, final=final)
        if form and self.paths is not None:
            yield from self._json_fields(text, self.paths)

    def known_in(self, text: bytes, *, final: bool = True) -> Iterator[Place]:
        """The places of known values. final: no more comes, and of one that is cut there its beginning counts."""
        if self._finder is not None:
            yield from self._finder.together(text)
            begin = self._finder.begun(text) if final else len(text)
            if begin < len(text):
                yield begin, len(text), KNOWN

    def _json_fields(self, text: bytes, paths: JointStates) -> Iterator[Place]:
        """Fields of a form whose values are JSON with a value at one of the paths: masked whole, for their bytes are encoded."""
        for begin, end in json_fields(text):
            plain = unquote_to_bytes(text[begin:end].replace(b"+", b" "))
            places = ValuePlaces(paths, LEVELS)
            found = places.feed(plain) + places.finish()
            for low, high, kind in found:
                if kind == STRING:
                    self.learn(plain[low:high])
            if found:
                yield begin, end, HOLDER

    def reserve(self, n: int) -> None:
        """Bytes are kept that are looked at, or values that are known. Raises `NoRoom`: without them nothing of the run is sure."""
        if not self._account.reserve(n):
            raise NoRoom

    def release(self, n: int) -> None:
        """They are not any more."""
        self._account.release(n)

    def hold(self, connection: int, n: int) -> None:
        """Bytes are kept as long as a connection goes on. Raises `NoRoom`."""
        self.reserve(n)
        self._live_of(connection).reserved += n

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
        if value in learnt or value in self._nothing:
            return
        found = variants(value)
        if not found:
            if len(value) < LEAST and len(self._nothing) < _NOTHING_MOST:
                self._nothing.add(value)
            return
        self.reserve(len(value) + _LEARNT_BYTES)
        learnt.add(value)
        for one in within(value):
            self.learn(one)
        self.learnt += found.isdisjoint(self.values)
        for one in found:
            if cut:
                self.cut.add(one)
            if one not in self.values:
                self.reserve(len(one) + _VALUE_BYTES + _LONG_BYTES * (len(one) > KEY))
                self.values.add(one)

    def take(self, n: int) -> bool:
        """Room for what can be overwritten instead."""
        return self._account.used + n <= self._most and self._account.reserve(n)

    def _side(self, connection: int, direction: int) -> LiveSide | None:
        """One stream of a connection under way; None where nothing of it is kept."""
        live = self._live_of(connection)
        side = live.sides[direction]
        if side is None and self._keeps and not live.left:
            if self.take(SIDE_BYTES):
                live.reserved += SIDE_BYTES
                side = live.sides[direction] = LiveSide()
            else:
                live.left = True
        return None if live.left else side

    def _live_of(self, connection: int, conversation: Conversation | None = None) -> Live:
        live = self._live.get(connection)
        if live is None:
            live = self._live[connection] = Live(conversation)
            n = LIVE_BYTES + JSON_BYTES * (self.paths is not None)
            if not self._keeps:
                self.reserve(n)  # it may say what is secret elsewhere
                live.reserved = n
            elif self.take(n):
                live.reserved = n
            else:
                live.left = True
        return live

    def add(self, connection: int, direction: int, begin: int, end: int, kind: int = STRING) -> None:
        """A range of a stream is masked."""
        side = self._side(connection, direction) if begin < end else None
        if side is None or side.whole:
            return
        ranges = side.ranges
        if ranges is not None and ranges[-3] == begin and ranges[-2] == end and ranges[-1] == kind:
            return
        n = RANGE_BYTES if ranges is not None else RANGE_BYTES + ARRAY_BYTES
        if not self.take(n):
            self.overwrite(connection, direction)
            return
        self._live[connection].reserved += n
        if ranges is None:
            side.ranges = array("q", (begin, end, kind))
        else:
            ranges.extend((begin, end, kind))

    def overwrite(self, connection: int, direction: int) -> None:
        """All of a stream is."""
        side = self._side(connection, direction)
        if side is not None:
            side.whole = True
            if side.ranges is not None:
                n = RANGE_BYTES * (len(side.ranges) // 3) + ARRAY_BYTES
                self._account.release(n)
                self._live[connection].reserved -= n
                side.ranges = None

    def forget(self) -> None:
        """Nobody asks again what is masked: what is known is kept alone."""
        self._account.release(self._kept_bytes + sum(len(one) + _LEARNT_BYTES for some in (self._learnt, self._cut_learnt) for one in some))
        self.release(self.crowd.size)
        self._kept_bytes = 0
        self.kept.clear()
        self._learnt.clear()
        self._cut_learnt.clear()

    # --- `Picking`

    def begin(self, ledger: Ledger) -> None:
        """See `Picking`."""

    def consumer(self, conversation: Conversation, reader: Callable[[], Consumer]) -> Consumer:
        """See `Picking`."""
        live = self._live_of(conversation.number, conversation)
        for end in conversation.endpoints if self._addresses else ():
            self.learn(endpoint(end).ip.encode())
        return reader() if live.left else self.looking(reader(), conversation.number)

    def looking(self, reader: Consumer, number: int) -> Consumer:
        """Who looks at what a connection says before its reader does; nobody at one that is overwritten anyway."""
        return reader

    def direction(self, connection: int, stream: str) -> int:
        """That of a stream by its name."""
        conversation = self._live[connection].conversation
        assert conversation is not None
        client = conversation.client
        return client if stream == "client" else 1 - client

    def framing(self, connection: int, direction: int) -> Framing:
        """That of a stream under way."""
        side = self._side(connection, direction)
        if side is None:
            return self._no_framing
        if side.framing is None:
            if not self.take(FRAMING_BYTES):
                return self._no_framing
            self._live[connection].reserved += FRAMING_BYTES
            side.framing = Framing(self._account, self._most)
        return side.framing

    def gone(self, connection: Connection) -> None:
        """See `Picking`."""
        for direction, reading in enumerate(connection.readings):
            live = self._live.get(connection.number)
            if reading.beyond or (live is not None and live.is_blind(direction)):
                self.overwrite(connection.number, direction)  # nobody knows which bytes these are, or what they are
        self.unread += any(one.reason in _UNREAD for reading in connection.readings for one in reading.unread or ())
        outside = any(one.late or one.out_of_window or one.dropped or one.conflicting for one in connection.streams)
        live = self._live.pop(connection.number, None)
        if self._keeps and (outside or (live is not None and live.is_masked())):
            self._keep(connection, live)
        elif live is not None:
            self._over(live)

    def _over(self, live: Live) -> None:
        """A connection under way is no longer kept."""
        for side in live.sides:
            if side is not None and side.framing is not None:
                side.framing.close()
        self._account.release(live.reserved)

    def _keep(self, connection: Connection, live: Live | None) -> None:
        """Keep what is masked of one that is over; of one for which there is no room its ends alone, whose packets are overwritten."""
        key = key_of(*((end.address, end.port) for end in connection.endpoints))
        sides = []
        for stream, side in zip(connection.streams, live.sides if live is not None else (None, None), strict=True):
            outside = bool(stream.late or stream.out_of_window or stream.dropped)
            framing = side.framing if side is not None else None
            found = array("q") if side is None or side.whole else in_order(side.ranges or array("q"), framing, lost=outside)
            whole = side is not None and side.whole
            sides.append(Side(stream.base, stream.next, whole, outside, stream.conflicting > 0, found, framing or Placed()))
        kept = packed(key, connection.number, connection.last_packet, (sides[0], sides[1]))
        n = len(kept) + KEPT_BYTES + (REACHED_BYTES if max(sides[0].length, sides[1].length) >= FAR else 0)
        left = live is not None and live.left
        if live is not None:
            self._over(live)
        if not left and self.take(n):
            self._kept_bytes += n
            self.kept.append(kept)
            self.whole += sides[0].whole + sides[1].whole
        else:
            self.crowd.add(key)
            self.whole += 2

    def not_read(self, conversation: Conversation, direction: int, unread: Unread) -> None:
        """Bytes of a stream are of no message that was read: they may be anything, so all of them are masked. Those of a protocol that is not read are looked at (`masked_streams`), where its
        beginning shows that it is another.
        """
        unknown = unread.reason == UnreadReason.UNKNOWN_PROTOCOL.value
        blind = unread.reason in _LOST or (unknown and not self.has_beginning(conversation, direction))
        if blind and unread.stream_offset is not None:
            begin = unread.stream_offset
            end = self.framing(conversation.number, direction).behind(begin, unread.bytes)
            self.add(conversation.number, direction, begin, end, BLIND)

    def has_beginning(self, conversation: Conversation, direction: int) -> bool:
        """Whether the first bytes of a stream were captured."""
        live = self._live.get(conversation.number)
        side = live.sides[direction] if live is not None else None
        return conversation.began(direction) and (side is None or not side.headless)

    def headless(self, connection: int, direction: int) -> None:
        """They were not, though a stream begins with its SYN."""
        side = self._side(connection, direction)
        if side is not None:
            side.headless = True

    def binary(self, connection: int, direction: int) -> None:
        """A stream whose beginning was missed has bytes of no text: what they are its messages tell, if it has some."""
        side = self._side(connection, direction)
        if side is not None:
            side.binary = True

    def half_open(self, ends: Ends, syn: Syn, packet: int, ts: int) -> None:
        """See `Picking`."""

    def close(self) -> None:
        """See `Picking`."""
