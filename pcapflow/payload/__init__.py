"""Stage 5: body bytes to JSON events. Content codings are undone here, and ijson is fed here."""
