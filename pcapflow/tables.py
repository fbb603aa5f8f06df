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
    "cut_head",
    "dropped_body",
    "other",
)


class Latency(msgspec.Struct, frozen=True):
    """Times, in seconds. `p50` and `p95` are the middle of a histogram bucket, at most 3.2% from the exact value."""

    p50: Annotated[float, counts("Median, within 3.2%; if many values share a bucket, they have the same quantiles.")]
    p95: Annotated[float, counts("95th percentile, within 3.2%.")]
    max: Annotated[float, counts("Maximum, exact.")]


class NetworkSummary(msgspec.Struct, frozen=True):
    """Network effects on all connections ([how they are determined](network.md))."""

    handshakes: Annotated[int, counts("Connections with both SYN and SYN-ACK captured.")] = 0
    round_trip: Annotated[Latency | None, says("Time from SYN to SYN-ACK: the round trip between the capture point and the server.")] = None
    client_round_trip: Annotated[
        Latency | None, says("Time from SYN-ACK to its acknowledgement: the round trip between the capture point and the client.")
    ] = None
    retransmitted_segments: Annotated[int, counts("Segments with bytes that the capture already had.")] = 0
    lost: Annotated[int, counts("Holes filled by retransmissions.")] = 0
    lost_segments: Annotated[int, counts("Retransmitted segments that filled holes.")] = 0
    reordered: Annotated[int, counts("Holes filled by segments that were only reordered.")] = 0
    stalled: Annotated[float, counts("Seconds that data waited behind segments that the network lost, summed over all streams.")] = 0.0
    stalled_connections: Annotated[int, counts("Connections in which data waited behind segments that the network lost.")] = 0
    zero_windows: Annotated[int, counts("How often a receiver advertised a zero window.")] = 0
    closed: Annotated[float, counts("Seconds during which windows stayed at zero, summed over all streams.")] = 0.0
    duplicate_acknowledgements: Annotated[int, counts("Duplicate ACKs sent while data was in flight.")] = 0


class ExchangePlace(msgspec.Struct, frozen=True):
    """An exchange and its location in the capture."""

    url: Annotated[str | None, says("First 400 characters of the requested URL; null if the request is missing.")]
    connection: Number
    exchange: Annotated[int, counts("Number of the exchange on the connection, as in its record.")]
    packet: Annotated[int, counts("The packet that carried the first byte; Wireshark's `frame.number` for a single capture.")]
    file: Annotated[str | None, says("The capture that contains `packet`; null unless the trace has several captures.")]
    frame: Annotated[
        int | None, says("Wireshark's `frame.number` of `packet` in that capture; null unless the trace has several captures.")
    ]


class Parts(msgspec.Struct, frozen=True):
    """Where exchanges spent their time, in total seconds; only exchanges on connections with a captured handshake."""

    exchanges: Annotated[int, counts("Number of these exchanges.")]
    upload: Annotated[float, counts("Sending the requests, excluding waits for segments that the network lost.")]
    server: Annotated[
        float,
        counts(
            "From the last byte of the request to the first byte of the response, excluding the round trip and waits for segments that the network lost."
        ),
    ]
    network: Annotated[float, counts("One round trip to the server per exchange, plus waits for segments that the network lost.")]
    transfer: Annotated[float, counts("Sending the responses, excluding waits for segments that the network lost.")]


def shares(parts: Parts) -> list[tuple[str, float]]:
    """Where time went, by part, the greatest first."""
    named = [("server", parts.server), ("network", parts.network), ("transfer", parts.transfer), ("upload", parts.upload)]
    whole = sum(value for _, value in named)
    return sorted(((name, value / whole) for name, value in named), key=lambda share: -share[1]) if whole else []


class HttpEndpoint(msgspec.Struct, frozen=True):
    """Requests with one method, host and path ([IDs are folded](report.md))."""

    name: Annotated[str, says("Method, host and path: `GET shop/users/{id}`; `...` for the endpoints without a row of their own.")]
    exchanges: Annotated[int, counts("Requests, including the `unanswered` ones, which have no duration.")]
    client_errors: Annotated[int, counts("Responses with status 400 to 499.")]
    server_errors: Annotated[int, counts("Responses with status 500 and above.")]
    unanswered: Annotated[int, counts("Requests without a response; `duration` does not cover them.")]
    response_bytes: Annotated[int, counts("Bytes of the response bodies, before content codings are undone.")]
    duration: Annotated[
        Latency | None,
        says(
            "Time from the first byte of the request to the last byte of the response, over the exchanges with a response; null if there is none."
        ),
    ]
    parts: Annotated[Parts | None, says("Where that time was spent; null if no handshake was captured.")]
    slowest: Annotated[ExchangePlace | None, says("The slowest exchange.")]


class Problem(msgspec.Struct, frozen=True):
    """A problem and how often it occurred."""

    kind: Annotated[str, says("Kind of problem; `other` for the problems without a row of their own.", *PROBLEMS)]
    endpoint: Annotated[str | None, says("Endpoint, as in `endpoints`; null if the request is missing.")]
    detail: Annotated[
        str,
        says(
            "The status code and reason phrase, the error in the body and the path to it, or why there is no response (`unanswered` of the `http` record); empty if there is nothing to add."
        ),
    ]
    sender: Annotated[str | None, says_or_null("Sender of the message.", "client", "server")]
    ip: Annotated[str | None, says("The sender's address, for a broken body.")]
    count: Annotated[int, counts("Number of occurrences.")]
    place: Annotated[
        str | None,
        says(
            "Where the first occurrence is broken: the path in jq syntax, and the byte offset in the document (`items[412].id, byte 17`) or the line."
        ),
    ]
    first: Annotated[ExchangePlace | None, says("The first occurrence; null for the combined row.")]
