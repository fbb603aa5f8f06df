"""One run in tasks that any executor takes: plain functions over values that cross a process, or a network."""
