"""HTTP of any version: messages, exchanges, which response answers which request, bodies, what repeats."""
