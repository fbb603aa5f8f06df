"""SOCKS: a client asks a proxy for a connection, and what follows is that connection's."""
