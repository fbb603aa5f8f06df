"""Several processes that read one trace, each its own connections."""
