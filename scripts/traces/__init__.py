"""A collector of traces for one machine, and pictures of what it collects."""
