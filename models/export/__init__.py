"""Checkpoints in, graphs with uint8 pictures in and uint8 alpha mattes out."""
