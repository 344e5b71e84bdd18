"""Matte quality against pictures with a known matte: `python -m scripts.evaluate`."""
