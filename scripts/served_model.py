"""A command line's model and the settings in, the registered model that is meant out."""

from __future__ import annotations

from models.store.registered import RegisteredModel, resolve
from service.settings import Settings
from service.startup import choose_model


def served_model(name: str | None, settings: Settings) -> RegisteredModel:
    """Find the model that was named, else the one the service would serve.

    Args:
        name: Name in the catalogue, or `auto`; None for what is served.
        settings: The service's.

    Raises:
        ModelNotFound: If it is not registered; says how to register it.
        SystemExit: With one sentence, if a checkpoint the settings point at cannot be served.
    """
    if name is None and settings.model_path is not None:
        return choose_model(settings)
    return resolve(name or settings.model)
