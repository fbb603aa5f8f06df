"""Reports held against reports, and against what is expected of them: `pcapflow check`, `pcapflow diff` and the pytest plugin."""
