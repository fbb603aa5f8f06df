"""Values between the stages: what a stream said, and the conversation that it is of. Vocabulary of every layer."""
