"""Which protocols there are, in the order in which they are asked about a stream's first bytes."""

from __future__ import annotations

from functools import cache

from pcapflow.plugin_loading import PROTOCOLS, Point, installed
from pcapflow.plugins import Protocol
from pcapflow.protocols.detection import Forms
from pcapflow.protocols.http1.layer import Http1
from pcapflow.protocols.http2.preface import Http2
from pcapflow.protocols.json_streams import JsonStreams
from pcapflow.protocols.layer import LayerFactory
from pcapflow.protocols.plugged import Plugged
from pcapflow.protocols.proxy.protocol import Proxy
from pcapflow.protocols.socks.protocol import Socks
from pcapflow.protocols.tls.handshake import Tls

BUILT_IN: tuple[LayerFactory, ...] = (Tls(), Http2(), Proxy(), Socks(), Http1(), JsonStreams())


_TAKEN = frozenset(("opaque", "empty", "websocket", *(name for factory in BUILT_IN for name in (factory.name, *factory.forms))))
"""Names that mean something already."""


@cache
def own_forms() -> Forms:
    """What a stream of pcapflow's own protocols may begin with."""
    return Forms(BUILT_IN)


@cache
def forms() -> Forms:
    """All that a stream may begin with, plug-ins last. It knows nothing of any run."""
    return Forms((*BUILT_IN, *(Plugged(point.plugin) for point in plugged() if point.plugin is not None)))


def plugged() -> tuple[Point, ...]:
    """Protocols of other packages, those that are not used too."""
    return installed(PROTOCOLS, Protocol, _TAKEN)
