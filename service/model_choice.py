"""Settings in, the registered model to serve out, or one sentence why not."""

from __future__ import annotations

from functools import cache

from models.catalog import find_by_hash
from models.download import sha256_of
from models.errors import BackgroundRemovalError
from models.store import RegisteredModel, register, resolve
from service.settings import Settings


@cache
def choose_model(settings: Settings) -> RegisteredModel:
    """Find the model the settings name; never a silent substitute.

    Raises:
        SystemExit: With one sentence, if it is not there.
    """
    try:
        if settings.model_path is None:
            return resolve(settings.model)
        if not settings.model_path.is_file():
            raise SystemExit(
                f"The service cannot start:\n  BIREFNET_MODEL_PATH: no file {settings.model_path}"
            )
        spec = find_by_hash(sha256_of(settings.model_path))
        if spec is None:
            raise SystemExit(
                "The service cannot start:\n  BIREFNET_MODEL_PATH: "
                f"{settings.model_path.name} is no model of the catalogue "
                "(python -m scripts.download_model --list)"
            )
        return register(spec, settings.model_path)
    except BackgroundRemovalError as missing:
        raise SystemExit(f"The service cannot start:\n  {missing}") from missing
