"""Measures what a matte loses and gains on its way up to the size of a large photograph."""
