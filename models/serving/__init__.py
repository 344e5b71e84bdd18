"""Which engine serves a model, what takes over when it cannot, and whether its mattes are right."""
