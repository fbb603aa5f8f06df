"""What the network did to all connections: the summary's `network`.

Contract: `add` takes each connection once, when it is over. Invariant: a fixed amount of memory; nothing depends on the order in which connections end.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pcapflow.findings.answers import latency
from pcapflow.findings.histogram import Histogram
from pcapflow.findings.streams import closed_of
from pcapflow.reassembly.connection import Connection
from pcapflow.records import seconds
from pcapflow.tables import NetworkSummary


class NetworkCounts:
    """One run's."""

    def __init__(self) -> None:
        self._server, self._client = Histogram(), Histogram()
        self._retransmitted = self._lost = self._lost_segments = self._reordered = self._stalled = self._stalled_connections = (
            self._zero_windows
        ) = self._closed = self._duplicate_acks = 0

    def add(self, connection: Connection) -> None:
        """A connection is over."""
        if connection.round_trip >= 0:
            self._server.add(connection.round_trip)
        if connection.client_round_trip >= 0:
            self._client.add(connection.client_round_trip)
        stalled = 0
        for stream in connection.streams:
            path = stream.path
            if path is not None:
                self._retransmitted += path.retransmitted
                self._lost += path.lost
                self._lost_segments += path.lost_segments
                self._reordered += path.reordered
                stalled += path.stalled
                self._zero_windows += path.zero_windows
                self._duplicate_acks += path.duplicate_acks
                self._closed += closed_of(stream, path, connection.last_ts)
        self._stalled += stalled
        self._stalled_connections += stalled > 0

    def add_all(self, round_trips: npt.NDArray[np.int64], client_round_trips: npt.NDArray[np.int64]) -> None:
        """Some are over of which nothing but both round trips of their handshakes is to be said (ns, n above 0)."""
        self._server.add_all(round_trips)
        self._client.add_all(client_round_trips)

    def merge(self, other: NetworkCounts) -> None:
        """Those of another shard too."""
        self._server.merge(other._server)
        self._client.merge(other._client)
        self._retransmitted += other._retransmitted
        self._lost += other._lost
        self._lost_segments += other._lost_segments
        self._reordered += other._reordered
        self._stalled += other._stalled
        self._stalled_connections += other._stalled_connections
        self._zero_windows += other._zero_windows
        self._closed += other._closed
        self._duplicate_acks += other._duplicate_acks

    def summary(self) -> NetworkSummary:
        """What it comes to."""
        return NetworkSummary(
            self._server.count, latency(self._server), latency(self._client), self._retransmitted, self._lost, self._lost_segments, self._reordered, seconds(self._stalled), self._stalled_connections,
            self._zero_windows, seconds(self._closed), self._duplicate_acks,
        )  # fmt: skip
