"""Stage 6: what the run found to NDJSON, one JSON document, or a terminal."""
