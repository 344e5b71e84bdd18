"""Command lines: parse, one call, print."""
