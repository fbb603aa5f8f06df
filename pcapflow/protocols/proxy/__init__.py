"""The PROXY protocol: a header in front of a connection's bytes that says whose they are."""
