"""What repeats over HTTP, kept parsed: heads by their bytes, small answers by head and body.

Contract: `Heads.requests` and `Heads.responses` are looked up by whoever has a head's bytes; `keep` may put one in; `hold` and `let_go` are for whoever
keeps a head longer than it is worked on. A head's memory (`Head.cost`, as Python holds it) is reserved in the `http` account as long as it is in
here or somebody holds it, once for all of them. Invariant: of each kind at most CACHED entries of CACHE_BYTES are kept, less where the account is
small, and none where it has no room; a full cache is emptied. What is in here changes no report.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from sys import getsizeof
from zlib import crc32

from pcapflow.budget import Account
from pcapflow.contents import JsonBody
from pcapflow.messages import Body, Response
from pcapflow.protocols.http.message import Head, HeadRules, RequestHead, ResponseHead, encoded

CACHED_HEAD_BYTES = 1 << 10
"""Longer heads are not kept parsed."""
CACHED = 512
CACHE_BYTES = 512 << 10
SMALL_ANSWER = 1 << 10
"""Bytes of a body that is kept with what it holds, when it comes again."""
_MARKS = 256
_SHARE = 32
"""Each cache has at most one part in so many of the account."""
_KEY_BYTES = 160
"""An entry of a table and the object that is its key, beside the key's bytes."""
_ANSWER_BYTES = 900
"""An answer with what its JSON holds and its key, beside the bytes of both."""


class Answer:
    """A small response body that came whole: what it holds, the response as it is written, and how often it came."""

    __slots__ = ("json", "response", "size", "uses")

    def __init__(self, json: JsonBody | None, response: Response, size: int) -> None:
        """size: bytes of the response as it is written."""
        self.json = json
        self.response = response
        self.uses = 0
        self.size = size


class Heads:
    """The heads and answers of one run."""

    __slots__ = (
        "_account", "_answer_bytes", "_bytes", "_forgotten", "_kept", "_marks", "_most", "answers", "forgotten", "requests", "responses", "rules",
    )  # fmt: skip

    def __init__(self, account: Account, forgotten: Callable[[Answer], None], rules: HeadRules) -> None:
        """forgotten: is told of an answer that leaves, with its uses."""
        self.rules = rules
        self._account = account
        self._forgotten = forgotten
        self._most = min(CACHE_BYTES, account.limit // _SHARE)
        self.requests: dict[bytes, RequestHead] = {}
        self.responses: dict[bytes, ResponseHead] = {}
        self.answers: dict[tuple[ResponseHead, bytes], Answer] = {}
        self._bytes = [0, 0]
        """Of the requests and the responses kept."""
        self._answer_bytes = 0
        self._kept = 0
        """Heads that were kept so far."""
        self.forgotten = 0
        """How often the answers were: what was known of them before is not theirs any more."""
        self._marks = array("q", bytes(8 * _MARKS))
        """Answers that came, each in its slot: the number of the head, and a checksum of the body. Python's own hashes differ between runs."""

    def keep(self, raw: bytes, head: Head) -> None:
        """A head that was parsed."""
        if len(raw) > CACHED_HEAD_BYTES:
            return
        kept: dict[bytes, RequestHead] | dict[bytes, ResponseHead] = self.requests if type(head) is RequestHead else self.responses
        kind = int(kept is self.responses)
        cost = head.cost + _KEY_BYTES + getsizeof(raw)
        if len(kept) >= CACHED or self._bytes[kind] + cost > self._most:
            self._empty(kind)
        if cost > self._most or not self._account.reserve(cost):
            return
        head.cost = cost
        self._kept += 1
        head.cached = self._kept
        self._bytes[kind] += cost
        kept[raw] = head  # type: ignore[assignment]

    def hold(self, head: Head) -> bool:
        """Somebody keeps it; False, with nothing changed, where there is no room."""
        if not head.cached and not head.holders and not self._account.reserve(head.cost):
            return False
        head.holders += 1
        return True

    def let_go(self, head: Head) -> None:
        """Somebody keeps it no longer."""
        head.holders -= 1
        if not head.holders and not head.cached:
            self._account.release(head.cost)

    def comes_again(self, head: ResponseHead, body: bytes) -> bool:
        """Whether an answer came before, as far as that is remembered: only what repeats is worth keeping."""
        if not head.cached:
            return False
        mark = head.cached << 32 | crc32(body)
        slot = mark % _MARKS
        came = self._marks[slot] == mark
        self._marks[slot] = mark
        return came

    def keep_answer(self, head: ResponseHead, body: bytes, answer: Answer) -> bool:
        """An answer that was looked at; whether it is kept."""
        cost = _ANSWER_BYTES + len(body) + answer.size
        if len(self.answers) >= CACHED or self._answer_bytes + cost > self._most:
            self._forget_answers()
        if not head.cached or cost > self._most or not self._account.reserve(cost):
            return False
        self._answer_bytes += cost
        self.answers[head, body] = answer
        return True

    def close(self) -> None:
        """The run is over."""
        self._empty(0)
        self._empty(1)

    def _empty(self, kind: int) -> None:
        kept: dict[bytes, RequestHead] | dict[bytes, ResponseHead] = self.responses if kind else self.requests
        if kind:
            self._forget_answers()
        for head in kept.values():
            head.cached = 0
            if not head.holders:
                self._account.release(head.cost)
        kept.clear()
        self._bytes[kind] = 0

    def _forget_answers(self) -> None:
        self.forgotten += 1
        for answer in self.answers.values():
            self._forgotten(answer)
        self.answers.clear()
        self._account.release(self._answer_bytes)
        self._answer_bytes = 0


def small_answer(head: ResponseHead, body: bytes, json: JsonBody | None) -> Answer:
    """What a small body holds, and the response as it is written."""
    decoded = len(body) if json is not None else None
    response = encoded(
        head.with_body(
            Body("length", len(body), decoded, 0, head.content_type, head.content_encoding, "complete", None, json, None, len(body))
        )
    )
    return Answer(json, response, memoryview(response).nbytes)  # type: ignore[arg-type]
