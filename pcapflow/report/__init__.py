"""Stage 6: what the run found to NDJSON, one JSON document, a terminal, tables, pages. Knows no stage: it takes values."""
