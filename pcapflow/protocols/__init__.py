"""Stage 4: stream events to messages. A protocol is a factory and its layers (`layer`); `detection` finds out which a conversation speaks, `stack` hands it on."""
