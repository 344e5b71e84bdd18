"""Our Bento with two inference services that share the work: what several models will be."""

from __future__ import annotations

import itertools
from typing import Any

import bentoml

from service.inference import create_inference
from service.processes.workers import PUBLIC
from service.public import BackgroundRemoval
from service.settings import read_settings
from service.startup import choose_model

_settings = read_settings()
_model = choose_model(_settings)
_turns = itertools.count()


class _InTurns:
    """Calls one inference service after the other."""

    def __init__(self, *services: Any) -> None:
        self._services = services

    @property
    def to_async(self) -> Any:
        return self._services[next(_turns) % len(self._services)].to_async


class _TwoModels(BackgroundRemoval.inner):  # type: ignore[misc, name-defined]
    first = bentoml.depends(create_inference(_settings, _model, "first"))
    second = bentoml.depends(create_inference(_settings, _model, "second"))

    @property
    def inference(self) -> _InTurns:
        """What the public service calls."""
        return _InTurns(self.first, self.second)


TwoModels = bentoml.Service(name=PUBLIC, config=BackgroundRemoval.config, inner=_TwoModels)
TwoModels.mount_apps = BackgroundRemoval.mount_apps
TwoModels.middlewares = BackgroundRemoval.middlewares
