"""Exchanges that repeat, taken from the columns many at a time.

Contract: `take` takes what comes first of both directions as long as it is exchanges of which each is a request in one segment, whose head is known, and its answer in
one later segment, of which head and body are known, and returns what is left. What it takes is counted and told as if `HttpConnection` had read it, which is the meaning of it: tests hold both against
each other. Of an exchange that is not known, that reads it, and is then known for the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from pcapflow.contents import is_broken
from pcapflow.protocols.http.body import MAY_BEGIN_JSON
from pcapflow.protocols.http.cache import SMALL_ANSWER, Answer, Heads
from pcapflow.protocols.http.message import BODILESS, LARGE_HEAD, RequestHead, ResponseHead
from pcapflow.protocols.http.plain_run import PlainRun
from pcapflow.protocols.http1.state import State
from pcapflow.streams.events import NEVER, StreamData, StreamEvent

if TYPE_CHECKING:
    from pcapflow.protocols.host import Host
    from pcapflow.protocols.http.flow import Flow
    from pcapflow.protocols.http.pairing import Pairs
    from pcapflow.protocols.http1.framer import Framer
    from pcapflow.streams.conversation import Conversation

_I64 = npt.NDArray[np.int64]
LEAST = 8
"""Exchanges, of which fewer cost more by columns than one by one."""
_MOST_UNKNOWN = 4
"""Times in a row that fewer than LEAST were known, before all that is left is read one by one."""
_LATEST = 1000 << 53
"""Later times (ns) are read one by one: their microseconds are no exact number of floating point."""
_CLIENT_ERROR = 400
"""Such answers are problems, each with a place of its own."""
Answered = tuple[ResponseHead, Answer, int]
"""A response, what its body holds, and the bytes of that."""


class Reader(Protocol):
    """What reads the exchanges of one conversation one by one: `HttpConnection`."""

    services: Host
    conversation: Conversation
    client: Framer
    server: Framer
    flow: Flow
    pairs: Pairs
    tunnel: str

    def read(self, framer: Framer, data: StreamData, position: int, stop: int) -> None:
        """Data of a direction from a position up to another one, or to where the framer pauses."""
        ...


def take(http: Reader, client: list[StreamEvent], server: list[StreamEvent]) -> tuple[list[StreamEvent], list[StreamEvent]]:
    """Take what can be; what is left of both."""
    asks, answers = client[0], server[0]
    if not (type(asks) is StreamData and type(answers) is StreamData and _in_order(asks) and _in_order(answers)):
        return client, server
    if min(len(asks.piece_ends()), len(answers.piece_ends())) < LEAST:
        return client, server
    if http.services.by_packet or http.services.by_exchange or not _is_idle(http):
        return client, server
    taking = _Taking(http, asks, answers)
    taking.run()
    return _left(client, asks, taking.client_at), _left(server, answers, taking.server_at)


def _in_order(data: StreamData) -> bool:
    return not data.waited and data.stall is None


def _left(events: list[StreamEvent], data: StreamData, position: int) -> list[StreamEvent]:
    """Events without what comes before a position of the first."""
    return events[1:] if position == data.length else [data.after(position), *events[1:]]


def _is_idle(http: Reader) -> bool:
    """Whether nothing is under way but requests that wait for their answers."""
    for framer in (http.client, http.server):
        if framer.state is not State.HEAD or framer.stash.data or framer.skip_until or framer.resynchronised or framer.may_be_unsent:
            return False
    client, flow = http.client, http.flow
    if client.paused or client.paused_body or http.server.simple_from != NEVER:
        return False
    return flow.asking is None and flow.answering is None and not http.tunnel and http.pairs.is_quiet()


def _waiting(http: Reader) -> int:
    """How many requests wait, if nothing else is under way; else -1."""
    return len(http.pairs.waiting) if _is_idle(http) else -1


class _Taking:
    """The data of both directions, and how far they were taken."""

    def __init__(self, http: Reader, asks: StreamData, answers: StreamData) -> None:
        self._http = http
        self._asks, self._answers = asks, answers
        self.client_at = self.server_at = 0
        """Positions up to which they were."""

    def run(self) -> None:
        """Take what can be."""
        http, asks, answers = self._http, self._asks, self._answers
        asked, answered = asks.piece_ends(), answers.piece_ends()
        first = _waiting(http)
        if first == 1 and answers.packet(0) < asks.packet(0):
            self.server_at = self._read(http.server, answers, 0, answered[0])
            if self.server_at != answered[0]:
                return
        n = min(len(asked), len(answered) - first)
        if n < LEAST or _waiting(http):
            return
        good = self._is_in_turn(first, n)
        at = unknown = 0
        while at < n and unknown < _MOST_UNKNOWN:
            found = self._known(first, at, good) if n - at >= LEAST else 0
            at += found
            unknown = 0 if found >= LEAST else unknown + 1
            if at < n and not (good[at] and self._one(asked[at], answered[at + first])):
                return
            at += 1

    def _read(self, framer: Framer, data: StreamData, position: int, stop: int) -> int:
        """Have the connection read data of a direction from a position up to another one; how far it came."""
        self._http.read(framer, data, position, stop)
        return framer.position

    def _one(self, asked: int, answered: int) -> bool:
        """Read one exchange, whose request and answer end at these positions; whether nothing of it is left."""
        http = self._http
        self.client_at = self._read(http.client, self._asks, self.client_at, asked)
        if self.client_at != asked or _waiting(http) != 1:
            return False
        self.server_at = self._read(http.server, self._answers, self.server_at, answered)
        return self.server_at == answered and _waiting(http) == 0

    def _is_in_turn(self, first: int, n: int) -> list[bool]:
        """Of n requests, and as many answers from the piece `first` on: whether each answer came behind its request and before the next one, and says that it had seen the request."""
        asks, answers, conversation = self._asks, self._answers, self._http.conversation
        packets, times, _ = (np.array(column, dtype=np.int64) for column in asks.columns())
        later, answer_times, acks = (np.array(column[first : first + n], dtype=np.int64) for column in answers.columns())
        next_ones = np.append(packets[1 : n + 1], np.full(n + 1 - len(packets[: n + 1]), np.iinfo(np.int64).max))
        good = (packets[:n] < later) & (later < next_ones)
        good &= (times[:n] <= answer_times) & (times[:n] >= 0) & (answer_times < _LATEST)
        begins = np.array((0, *asks.piece_ends()[: n - 1]), dtype=np.int64)
        sequence = conversation.wire_sequence(conversation.client, asks.start)
        if sequence is None:
            return [False] * n
        seen = (acks - sequence - begins) & 0xFFFFFFFF
        good &= (acks < 0) | ((seen > 0) & (seen < 1 << 30))
        result: list[bool] = good.tolist()
        return result

    def _known(self, first: int, at: int, good: list[bool]) -> int:
        """Take exchanges from one on as long as they are known; how many."""
        heads = self._http.services.heads
        requests: dict[bytes, RequestHead | None] = {}
        responses: dict[bytes, Answered | None] = {}
        kinds: dict[tuple[RequestHead, ResponseHead, Answer], tuple[int, list[int]]] = {}
        i = at
        while i < len(good) and good[i]:
            ask, answer = self._asks.text(i), self._answers.text(first + i)
            request = requests[ask] if ask in requests else requests.setdefault(ask, known_request(heads, ask))
            response = responses[answer] if answer in responses else responses.setdefault(answer, known_answer(heads, answer))
            if request is None or response is None:
                break
            kind = request, response[0], response[1]
            if kind not in kinds:
                kinds[kind] = response[2], []
            kinds[kind][1].append(i)
            i += 1
        if i > at:
            self._tell(first, at, i, kinds)
        return i - at

    def _tell(self, first: int, begin: int, end: int, kinds: dict[tuple[RequestHead, ResponseHead, Answer], tuple[int, list[int]]]) -> None:
        """Of exchanges from one to another, by kind: the bytes of the body, and which they are."""
        http = self._http
        number = http.pairs.begun
        (asked, asked_ts, _), (answered, answered_ts, _) = (
            [np.array(column[begin + k : end + k], dtype=np.int64) for column in data.columns()]
            for data, k in ((self._asks, 0), (self._answers, first))
        )
        for (request, response, answer), (size, which) in kinds.items():
            of = np.array(which, dtype=np.int64) - begin
            run = PlainRun(request, response, answer, size, of + number, asked[of], asked_ts[of], answered[of], answered_ts[of])
            http.services.exchanges(http.conversation, run)
        client_at, server_at = self._asks.piece_ends()[end - 1], self._answers.piece_ends()[end - 1 + first]
        http.pairs.passed(end - begin, self._asks.start + client_at)
        for framer, n in ((http.client, client_at - self.client_at), (http.server, server_at - self.server_at)):
            framer.reading.read += n
            framer.first = False
            framer.saw(0, 0)
        self.client_at, self.server_at = client_at, server_at


def is_usual_request(head: RequestHead) -> bool:
    """Whether nothing is odd about a request, and it has no body."""
    if head.framing != "none" or head.anomalies or head.connect or head.upgrade or head.expects or head.cost > LARGE_HEAD:
        return False
    return head.version != "0.9" and head.method != "HEAD"


def is_usual_answer(head: ResponseHead) -> bool:
    """Whether nothing is odd about a final answer, and it has a body whose length it says."""
    if head.framing != "length" or head.anomalies or head.cost > LARGE_HEAD:
        return False
    return head.status >= 200 and head.status not in BODILESS


def known_request(heads: Heads, raw: bytes) -> RequestHead | None:
    """The known head that these bytes are, if nothing follows it and it is no odd one."""
    head = heads.requests.get(raw)
    return head if head is not None and is_usual_request(head) else None


def known_answer(heads: Heads, raw: bytes) -> Answered | None:
    """The known head and small body that these bytes are, if nothing about them is odd."""
    stop = raw.find(b"\r\n\r\n") + 4
    head = heads.responses.get(raw[:stop])
    if head is None or not is_usual_answer(head) or head.status >= _CLIENT_ERROR:
        return None
    body = raw[stop:]
    if len(body) != head.length or len(body) > SMALL_ANSWER or (body[:1] in MAY_BEGIN_JSON and not head.form):
        return None
    answer = heads.answers.get((head, body))
    if answer is None or (answer.json is not None and is_broken(answer.json)):
        return None
    return head, answer, len(body)
