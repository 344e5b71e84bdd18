"""Hostile pictures: mutated ones, and those that cost the most to decode."""
