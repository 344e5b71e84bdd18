"""Measures what strokes do to mattes that are wrong, on pictures whose matte is known."""
