"""An exchange that came before, known by its bytes alone.

Contract: `known` says what a conversation is of which the client says `ask` in its first segment, the server `said` behind that, and nobody anything else, if all of that is known and nothing about it is odd; it
changes nothing. What it gives is what `Stack` would have told the host, but for when and where.
"""

from __future__ import annotations

from typing import NamedTuple

from pcapflow.protocols.first_bytes import MOST_BYTES
from pcapflow.protocols.http.cache import Answer, Heads
from pcapflow.protocols.http.message import RequestHead, ResponseHead
from pcapflow.protocols.http1.plain import known_answer, known_request
from pcapflow.protocols.http1.search import REQUEST
from pcapflow.protocols.registry import forms

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
    if request is None or len(ask) > MOST_BYTES or forms().asked(ask) != REQUEST:
        return None
    found = known_answer(heads, said)
    return None if found is None else Known(request, *found)
