"""HTTP/2: what its connections begin with."""
