"""TLS: what its handshake says."""
