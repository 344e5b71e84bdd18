"""Attacks that failed services like this one: `python -m scripts.attacks`."""
