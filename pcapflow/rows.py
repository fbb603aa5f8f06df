"""Records as flat rows: what a data frame takes.

Contract: `exchange_row` and `connection_row` are pure functions of a record. Each field is a number, a text or a truth value, or None where the record has null, so that a library of data frames finds a column's type in the
annotations: `polars.DataFrame(rows)`, `pandas.DataFrame(rows)`. A named tuple and no dict: of a dict polars guesses each column's type by the first 100 rows, and fails where those are None.
"""

from typing import NamedTuple

from pcapflow.contents import broken, detail_of
from pcapflow.endpoint_names import absolute_url, endpoint_of, with_operations
from pcapflow.messages import Body
from pcapflow.records import Connection, Http, StreamNetwork

# no `from __future__ import annotations`: polars reads the annotations as types


class ExchangeRow(NamedTuple):
    """An HTTP exchange. Times are seconds since the epoch, durations seconds; the fields of a request or a response that is not in the capture are None."""

    connection: int
    exchange: int
    ts: float
    client_ip: str
    client_port: int
    server_ip: str
    server_port: int
    method: str | None
    url: str | None
    endpoint: str | None
    status: int | None
    reason: str | None
    duration: float | None
    upload: float | None
    wait: float | None
    transfer: float | None
    stalled: float | None
    """Of `duration`: from the first to the last byte of the request, to the first of the response, to its last; and the time in which bytes waited for what the network had lost."""
    request_type: str | None
    request_bytes: int | None
    request_body: str | None
    """Whether it came whole: `complete`, `gapped`, `truncated` or `dropped`."""
    response_type: str | None
    response_bytes: int | None
    response_body: str | None
    missing_bytes: int
    error: str | None
    """What is wrong with JSON, YAML or multipart in a body."""
    anomalies: str
    resynchronised: bool
    request_packet: int | None
    response_packet: int | None
    community_id: str


class ConnectionRow(NamedTuple):
    """A TCP connection. Times are seconds since the epoch, durations seconds, and what is counted of one side is of the bytes that it sent."""

    connection: int
    client_ip: str
    client_port: int
    server_ip: str
    server_port: int
    protocol: str
    first_ts: float
    last_ts: float
    duration: float
    start: str
    end: str
    packets: int
    client_bytes: int
    server_bytes: int
    client_missing_bytes: int
    server_missing_bytes: int
    client_status: str
    """`complete`, `gapped`, `partial` or `dropped`."""
    server_status: str
    round_trip: float | None
    client_retransmitted_segments: int
    server_retransmitted_segments: int
    client_lost_segments: int
    server_lost_segments: int
    stalled: float
    zero_windows: int
    resets: int
    server_name: str | None
    tls_version: str | None
    vlan: str
    tunnel: str | None
    community_id: str


def exchange_row(record: Http) -> ExchangeRow:
    """Of a record."""
    request, response, client, server = record.request, record.response, record.client, record.server
    assert client is not None
    assert server is not None
    asked, answered = request.body if request is not None else None, response.body if response is not None else None
    method = url = endpoint = None
    if request is not None:
        method = request.method
        url = absolute_url(method, request.target, request.host, server.ip, server.port)
        endpoint = with_operations(endpoint_of(method, request.host, request.target), request.operations)
    return ExchangeRow(
        connection=record.connection,
        exchange=record.exchange,
        ts=record.ts,
        client_ip=client.ip,
        client_port=client.port,
        server_ip=server.ip,
        server_port=server.port,
        method=method,
        url=url,
        endpoint=endpoint,
        status=response.status if response is not None else None,
        reason=response.reason if response is not None else None,
        duration=record.duration,
        upload=_between(request.ts, request.end_ts) if request is not None else None,
        wait=record.wait,
        transfer=_between(response.ts, response.end_ts) if response is not None else None,
        stalled=record.stalled,
        request_type=asked.content_type if asked is not None else None,
        request_bytes=asked.bytes if asked is not None else None,
        request_body=asked.status if asked is not None else None,
        response_type=answered.content_type if answered is not None else None,
        response_bytes=answered.bytes if answered is not None else None,
        response_body=answered.status if answered is not None else None,
        missing_bytes=sum(body.missing_bytes for body in (asked, answered) if body is not None),
        error=_error(asked) or _error(answered),
        anomalies=" ".join(record.anomalies),
        resynchronised=record.resynchronised,
        request_packet=request.packet if request is not None else None,
        response_packet=response.packet if response is not None else None,
        community_id=record.community_id or "",
    )


def connection_row(record: Connection) -> ConnectionRow:
    """Of a record."""
    client, server, network = record.streams.client, record.streams.server, record.network
    sent, answered = (network.client, network.server) if network is not None else (StreamNetwork(), StreamNetwork())
    return ConnectionRow(
        connection=record.connection,
        client_ip=record.client.ip,
        client_port=record.client.port,
        server_ip=record.server.ip,
        server_port=record.server.port,
        protocol=record.protocol,
        first_ts=record.first_ts,
        last_ts=record.last_ts,
        duration=round(record.last_ts - record.first_ts, 6),
        start=record.start,
        end=record.end,
        packets=record.packets,
        client_bytes=client.captured_bytes,
        server_bytes=server.captured_bytes,
        client_missing_bytes=client.missing_bytes,
        server_missing_bytes=server.missing_bytes,
        client_status=client.status,
        server_status=server.status,
        round_trip=network.round_trip if network is not None else None,
        client_retransmitted_segments=sent.retransmitted_segments,
        server_retransmitted_segments=answered.retransmitted_segments,
        client_lost_segments=sent.lost_segments,
        server_lost_segments=answered.lost_segments,
        stalled=round(sent.stalled + answered.stalled, 6),
        zero_windows=sent.zero_windows + answered.zero_windows,
        resets=sent.resets + answered.resets,
        server_name=record.tls.server_name if record.tls is not None else None,
        tls_version=record.tls.version if record.tls is not None else None,
        vlan=" ".join(map(str, record.vlan)),
        tunnel=record.tunnel,
        community_id=record.community_id or "",
    )


def _between(begun: float | None, over: float | None) -> float | None:
    return round(over - begun, 6) if begun is not None and over is not None else None


def _error(body: Body | None) -> str | None:
    """What is wrong with what a body holds."""
    held = (body.json if body.json is not None else body.payload) if body is not None else None
    for _, problem in broken(held) if held is not None else ():
        return detail_of(problem)
    return None
