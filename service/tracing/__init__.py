"""Traces: spans of what a request goes through, sent over OTLP where an operator names a place."""
