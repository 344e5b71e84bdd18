"""HTTP: routes, limits, errors as JSON, metrics. FastAPI lives here, BentoML does not."""
