"""Whether a message or an exchange is one that a user means (`conditions`).

Contract: `body_taken` answers as a body begins: None where only the end of its exchange can tell, which `exchange_taken` does. Neither keeps anything.
"""

from __future__ import annotations

from pcapflow.conditions import Conditions
from pcapflow.protocols.host import BodyOrigin
from pcapflow.protocols.http.exchange import Exchange
from pcapflow.protocols.http.message import ResponseHead


def body_taken(where: Conditions, origin: BodyOrigin) -> bool | None:
    """Whether a body that begins is meant; None where that is told when its exchange is over."""
    side = origin.source.removeprefix("http-")
    head = origin.head
    if not where.takes(origin.connection, origin.index, side, origin.request, head.content_type if head is not None else None):
        return False
    if side == "response" and not (isinstance(head, ResponseHead) and where.status_is(head.status_text)):
        return False
    waits = where.min_duration is not None or (where.status is not None and side == "request")
    return None if waits else True


def exchange_taken(where: Conditions, exchange: Exchange) -> bool:
    """Whether the exchange of such a body, which is over, is one."""
    return where.takes_exchange(_status(exchange), _took(exchange))


def exchange_meant(where: Conditions, connection: int, exchange: Exchange) -> bool:
    """Whether an exchange that is over meets all conditions: as `takes_record` says of its record."""
    if not where.takes_exchange(_status(exchange), _took(exchange)):
        return False
    sides = (("request", exchange.head, exchange.request), ("response", exchange.response_head, exchange.response))
    return any(
        where.takes(connection, exchange.index, side, exchange.head, head.content_type if head is not None else None)
        for side, head, record in sides
        if record is not None
    )


def body_meant(where: Conditions, connection: int, exchange: Exchange, side: str) -> bool:
    """Whether a body that is over is meant, as far as is known while its exchange goes on."""
    head = exchange.head if side == "request" else exchange.response_head
    if not where.takes(connection, exchange.index, side, exchange.head, head.content_type if head is not None else None):
        return False
    return side == "request" or where.status_is(exchange.response_head.status_text if exchange.response_head is not None else "")


def raw_meant(where: Conditions, connection: int) -> bool:
    """Whether a stream of JSON that is no message is."""
    return where.takes(connection, None, "raw", None, None)


def _status(exchange: Exchange) -> str:
    response = exchange.response_head
    return response.status_text if response is not None and exchange.response is not None else ""


def _took(exchange: Exchange) -> int | None:
    """Nanoseconds, as the record has them: to the microsecond; None where a side is not there."""
    if exchange.request is None or exchange.response is None:
        return None
    return max(0, (exchange.done_ts + 500) // 1000 - (exchange.ts + 500) // 1000) * 1000
