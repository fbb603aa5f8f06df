"""What a run finds: counters, records in their order, exchanges whole, values out of bodies; and what to do next time."""
