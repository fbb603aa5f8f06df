"""What a header of the PROXY protocol begins with."""

from __future__ import annotations

TEXT = (b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN")
"""Version 1."""
BINARY = b"\r\n\r\n\x00\r\nQUIT\n"
"""Version 2."""
