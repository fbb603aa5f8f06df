"""The summary's tables: what people come for first. Which endpoint is slow and why, what failed, who sent what is broken.

Contract and invariant are those of `records`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from pcapflow.fields import Number, counts, says, says_or_null

PROBLEMS = (
    "server_error",
    "client_error",
    "broken_json",
    "broken_yaml",
    "broken_multipart",
    "unanswered",
    "gapped_body",
    "truncated_body",
    "dropped_body",
    "other",
)


class Latency(msgspec.Struct, frozen=True):
    """Times, in seconds. Quantiles are within 3.2%."""

    p50: Annotated[float, counts("Half of them were no longer.")]
    p95: Annotated[float, counts("95% of them were no longer.")]
    max: Annotated[float, counts("The longest, exactly.")]


class NetworkSummary(msgspec.Struct, frozen=True):
    """What the network did to all connections ([how it is told](network.md))."""

    handshakes: Annotated[int, counts("Connections whose SYN and SYN-ACK the capture has.")] = 0
    round_trip: Annotated[Latency | None, says("From SYN to SYN-ACK: to the server and back, from where the capture was taken.")] = None
    client_round_trip: Annotated[Latency | None, says("From SYN-ACK to its acknowledgement: to the client and back.")] = None
    retransmitted_segments: Annotated[int, counts("Segments with bytes that were in the capture already.")] = 0
    lost: Annotated[int, counts("Holes that were filled by segments sent again.")] = 0
    lost_segments: Annotated[int, counts("Segments that were sent again into holes.")] = 0
    reordered: Annotated[int, counts("Holes that were filled by segments that had only been overtaken.")] = 0
    stalled: Annotated[float, counts("Seconds in which data waited behind what had been lost, of all streams together.")] = 0.0
    stalled_connections: Annotated[int, counts("Connections in which some did.")] = 0
    zero_windows: Annotated[int, counts("How often a receiver said that it has no room.")] = 0
    closed: Annotated[float, counts("Seconds until they had room again, of all streams together.")] = 0.0
    duplicate_acknowledgements: Annotated[
        int, counts("Acknowledgements that said again what the one before said, while more was under way.")
    ] = 0


class ExchangePlace(msgspec.Struct, frozen=True):
    """An exchange, and where to look at it."""

    url: Annotated[str | None, says("What was asked for, its first 400 characters; null where the request is not there.")]
    connection: Number
    exchange: Annotated[int, counts("Its number on the connection, as in its record.")]
    packet: Annotated[int, counts("The packet that carried its first byte; Wireshark's `frame.number` for a single capture.")]
    file: Annotated[str | None, says("The capture that has `packet`; null unless the trace has several.")]
    frame: Annotated[int | None, says("Wireshark's `frame.number` of `packet` in that capture; null unless the trace has several.")]


class Parts(msgspec.Struct, frozen=True):
    """Where the time of exchanges went, summed, in seconds: of those alone whose connection's handshake the capture has."""

    exchanges: Annotated[int, counts("How many they are.")]
    upload: Annotated[float, counts("Sending the requests, without what waited for lost segments.")]
    server: Annotated[
        float,
        counts("From the request's last byte to the response's first, without the way there and back and what waited for lost segments."),
    ]
    network: Annotated[float, counts("The way to the server and back, once an exchange, and what waited for lost segments.")]
    transfer: Annotated[float, counts("Sending the responses, without what waited for lost segments.")]


def shares(parts: Parts) -> list[tuple[str, float]]:
    """Where time went, by part, the greatest first."""
    named = [("server", parts.server), ("network", parts.network), ("transfer", parts.transfer), ("upload", parts.upload)]
    whole = sum(value for _, value in named)
    return sorted(((name, value / whole) for name, value in named), key=lambda share: -share[1]) if whole else []


class HttpEndpoint(msgspec.Struct, frozen=True):
    """What was asked under one method, host and path ([ids are folded](report.md))."""

    name: Annotated[str, says("Method, host and path: `GET shop/users/{id}`; `...` for all that are not told apart.")]
    exchanges: Annotated[int, counts("Requests.")]
    client_errors: Annotated[int, counts("Answers of 400 to 499.")]
    server_errors: Annotated[int, counts("Answers of 500 and above.")]
    unanswered: Annotated[int, counts("Requests without an answer.")]
    response_bytes: Annotated[int, counts("Of the answers' bodies, content codings not undone.")]
    duration: Annotated[Latency | None, says("From the request's first byte to the response's last; null where nothing was answered.")]
    parts: Annotated[Parts | None, says("Where that time went; null where no handshake was seen.")]
    slowest: Annotated[ExchangePlace | None, says("The exchange that took longest.")]


class Problem(msgspec.Struct, frozen=True):
    """Something that went wrong, and how often."""

    kind: Annotated[str, says("What; `other` for all that is not told apart.", *PROBLEMS)]
    endpoint: Annotated[str | None, says("Where, as in `endpoints`; null where the request is not there.")]
    detail: Annotated[
        str, says("The status with its reason; what is wrong with the body and the path to it; empty where there is nothing to add.")
    ]
    sender: Annotated[str | None, says_or_null("Whose message it is.", "client", "server")]
    ip: Annotated[str | None, says("The sender's address, of a broken body.")]
    count: Annotated[int, counts("How often.")]
    place: Annotated[
        str | None,
        says("Where the first of them is broken, as jq says it, and the byte of its document (`items[412].id, byte 17`) or the line."),
    ]
    first: Annotated[ExchangePlace | None, says("The first of them; null for what is not told apart.")]
