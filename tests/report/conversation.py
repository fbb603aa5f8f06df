"""One exchange as a capture."""

from __future__ import annotations

from tests.craft import Talk


def capture(request: bytes, response: bytes) -> bytes:
    """A connection with a handshake, one request, one response, and an end."""
    return Talk().open().send(0, request).send(1, response).close().bytes()
