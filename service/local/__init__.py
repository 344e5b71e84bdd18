"""Removes backgrounds in the caller's own process, without a server: for the command `birefnet`.

The command finds it by the entry point `birefnet.backend`. Settings, models, bounds and the removal
itself are the service's, so the bytes are, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from models.serving.options import EngineOptions
from models.serving.served import ServedEngines
from models.spec import ModelSpec
from models.store.home import lies_in
from models.store.registered import RegisteredModel
from service.environment import bentoml_home
from service.settings import Settings
from service.settings_reader import read_settings
from service.startup import check_intact, choose_models


class LocalRemover:
    """A remover in this process; see `Removing`.

    Whoever wants one picture waits for all of this, so engines open, files are verified and modules
    are imported beside each other. Nothing is made before all is done.

    Args:
        settings: What is asked for; None for the operator's own settings.

    Raises:
        CannotStart: If a setting is wrong, or no model is registered.
        ModelError: If no engine opens.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        settings = settings or read_settings()
        if home := bentoml_home():  # spares importing BentoML
            lies_in(home)
        models = choose_models(settings, verified=False)
        with ThreadPoolExecutor() as beside:
            intact = beside.submit(check_intact, models)
            opening = beside.submit(_open, settings.engine_options, models)
            from service.local.removing import Removing

            intact.result()  # before what an engine may say of a damaged file
            removing = Removing(settings, opening.result())
        self.at_once, self.remove, self.close = removing.at_once, removing.remove, removing.close


def _open(
    options: EngineOptions, models: Sequence[RegisteredModel]
) -> list[tuple[ModelSpec, ServedEngines]]:
    """Each model with its engines; the first picture is the proof of what a CPU runs."""
    return [(model.spec, ServedEngines(options, model, prove=False)) for model in models]
