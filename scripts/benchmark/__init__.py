"""Engines against each other on one model: `python -m scripts.benchmark`."""
