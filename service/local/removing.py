"""The service's remover in a process that has no loop of its own, with engines that are open."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from models.arrays import U8Array
from models.serving.served import ServedEngines
from models.spec import ModelSpec
from service.bounds import bounds_of
from service.http.forms import options_of
from service.http.removal_answers import headers_of
from service.removal.bounds import RemoverConfig
from service.removal.ports import InferenceStatus, Matte, ServedModel
from service.removal.remover import BackgroundRemover
from service.settings import Settings

T = TypeVar("T")


class LocalClient:
    """Runs one model in a thread of this process.

    Args:
        engines: Of the model; they take one batch at a time.
    """

    def __init__(self, engines: ServedEngines) -> None:
        self._engines = engines
        self._turn = asyncio.Lock()

    async def predict(self, model_input: U8Array) -> Matte:
        """Make one matte; see `service.removal.ports.MattingClient`."""
        async with self._turn:
            started = time.perf_counter()
            made = await asyncio.to_thread(
                self._engines.predict, np.ascontiguousarray(model_input[None])
            )
        took_ms = (time.perf_counter() - started) * 1e3
        return Matte(made.alphas[0], made.engine, took_ms, made.retried_on_cpu)

    async def describe(self) -> InferenceStatus:
        """What really runs; nobody watches a process that ends with its work."""
        raise NotImplementedError


class Removing:
    """Removes one picture after the other, or a few at once.

    Args:
        settings: What the operator asked for.
        opened: The models and their engines, the best first; closed by this.

    Attributes:
        at_once: How many pictures may be under way.
    """

    def __init__(
        self, settings: Settings, opened: Sequence[tuple[ModelSpec, ServedEngines]]
    ) -> None:
        self._engines = [engines for _, engines in opened]
        config = bounds_of(settings)
        self.at_once = config.workers
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        served = [ServedModel(spec, LocalClient(engines)) for spec, engines in opened]
        self._remover = self._run(_make(served, config))

    def remove(
        self, data: bytes, options: Mapping[str, object]
    ) -> tuple[bytes, str, Mapping[str, str]]:
        """Remove the background of one picture.

        Args:
            data: The file.
            options: Those of the API, as values or as text.

        Returns:
            What was made, its media type, and the headers the API would send.

        Raises:
            BackgroundRemovalError: As the API would tell it.
        """
        chosen = options_of(options)
        started = time.perf_counter()
        result = self._run(self._remover.remove(data, chosen))
        took_ms = (time.perf_counter() - started) * 1e3
        return result.file, result.media_type, headers_of("", chosen, result, took_ms)

    def close(self) -> None:
        """Give threads and engines back."""
        self._run(self._remover.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for engines in self._engines:
            engines.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _make(served: Sequence[ServedModel], config: RemoverConfig) -> BackgroundRemover:
    """The remover, made in the loop that it works in."""
    return BackgroundRemover(served, config)
