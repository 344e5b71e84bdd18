"""Which of the served models a caller's name means."""

from __future__ import annotations

from collections.abc import Mapping

from models.catalog import ALIASES
from service.errors import InvalidRequest
from service.removal.ports import ServedModel


def find_served(models: Mapping[str, ServedModel], name: str | None) -> ServedModel:
    """The model of a name.

    Args:
        models: The models that are served by name, the default one first.
        name: As the catalogue spells it, in any case and with or without `BiRefNet-`; None and
            `auto` are the first.

    Raises:
        InvalidRequest: If it is not served.
    """
    if name is None or name.lower() == "auto":
        return next(iter(models.values()))
    served = ", ".join(models)
    wanted = (name.lower(), f"birefnet-{name.lower()}")
    alias = next((alias for known, alias in ALIASES.items() if known.lower() in wanted), None)
    if alias is not None:
        if alias.serves not in models:
            raise InvalidRequest(f"model: {alias.note}; served here are {served}")
        return models[alias.serves]
    for known, model in models.items():
        if known.lower() in wanted:
            return model
    raise InvalidRequest(f"model: It is not served; served are {served}")
