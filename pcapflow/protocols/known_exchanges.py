"""A conversation of one exchange: known by its bytes alone, if it came before, or read at once.

Contract: `known` says what a conversation is of which the client says `ask` in its first segment, the server `said` behind that, and nobody anything else, if all of that is known and nothing about it is odd; it
changes nothing. What it gives is what `Stack` would have told the host, but for when and where. `read` tells the host of such a conversation that need not be known, if nothing about it is odd; else it tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pcapflow.protocols.first_bytes import MOST_BYTES
from pcapflow.protocols.host import Host
from pcapflow.protocols.http.cache import Answer, Heads
from pcapflow.protocols.http.message import RequestHead, ResponseHead
from pcapflow.protocols.http1 import whole_conversation
from pcapflow.protocols.http1.plain import known_answer, known_request
from pcapflow.protocols.http1.search import REQUEST
from pcapflow.protocols.registry import forms
from pcapflow.streams.conversation import Conversation

PROTOCOL = "http"
"""Such a conversation's."""


class Known(NamedTuple):
    """An exchange; size: bytes of the answer's body."""

    request: RequestHead
    response: ResponseHead
    answer: Answer
    size: int


def known(heads: Heads, ask: bytes, said: bytes) -> Known | None:
    """What they are; None where somebody has to read them."""
    request = known_request(heads, ask)
    if request is None:
        return None
    found = known_answer(heads, said)
    return None if found is None or not _asks(ask) else Known(request, *found)


def _asks(ask: bytes) -> bool:
    return len(ask) <= MOST_BYTES and forms().asked(ask) == REQUEST


def read(services: Host, conversation: Conversation, ask: bytes, said: bytes, when: Sequence[int]) -> bool:
    """Tell what it is; whether it could be told. when: see `whole_conversation.When`."""
    return _asks(ask) and whole_conversation.take_one(services, conversation, ask, said, whole_conversation.When(*when))
