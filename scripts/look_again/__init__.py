"""Measures what a second look of the network at a part of a picture is worth."""
