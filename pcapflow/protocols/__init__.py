"""Stage 4: stream events to messages. One file a protocol; `handler` decides which one a connection speaks."""
