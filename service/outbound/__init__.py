"""Connections to addresses that callers name: what may be reached, and pictures fetched from it."""
