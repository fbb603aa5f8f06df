"""Reports held against reports."""
