"""Public and inference services two by two on hosts of a network, and what callers see there."""
