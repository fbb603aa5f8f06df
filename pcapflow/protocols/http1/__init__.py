"""HTTP/1: heads as text, framing that survives gaps, and the two directions of a connection put together."""
