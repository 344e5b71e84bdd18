"""Exports checkpoints as graphs that take uint8 pictures and give uint8 alpha mattes."""
