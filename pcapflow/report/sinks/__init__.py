"""What is written beside the report, or instead of it: a module a sink, each a `Sink` (`base`). `cli.sinks` has the options."""
