"""The remover's matting port on top of the fake engine, with delays and faults on demand."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from models.arrays import U8Array
from models.artifacts import ModelFiles
from models.engine import EngineConfig
from models.engines.fake import FakeEngine
from models.serving.predictor import MattePredictor
from models.serving.status import EngineStatus
from models.spec import InputSpec, ModelSpec, PublishedGraph
from service.removal.ports import InferenceStatus, Matte
from service.resources import own_usage

INPUT_SIZE = 64
SPEC = ModelSpec(
    name="fake-net",
    architecture="none",
    input=InputSpec(INPUT_SIZE, INPUT_SIZE, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    network=PublishedGraph("matte"),
    sources=(),
    sha256="0" * 64,
    size_bytes=0,
    licence="Apache-2.0",
    caveat="",
    rank=999,
)


class FakeMattingClient:
    """Makes the matte out of the picture's green channel.

    Args:
        delay_s: How long each matte takes.
        faults: Raised by the first calls, one each.
        describe_fault: Raised whenever it is asked about itself.
    """

    def __init__(
        self,
        delay_s: float = 0.0,
        faults: tuple[BaseException, ...] = (),
        describe_fault: Exception | None = None,
    ) -> None:
        engine = FakeEngine(ModelFiles(Path("none")), EngineConfig(INPUT_SIZE, INPUT_SIZE))
        self._predictor = MattePredictor(engine, INPUT_SIZE, INPUT_SIZE)
        self.delay_s = delay_s
        self.faults = list(faults)
        self.describe_fault = describe_fault
        self.calls = 0
        self.at_once = 0
        self.most_at_once = 0
        self.engine = engine.info
        self.status = EngineStatus(engine.info, 0, 0.0, True, ())

    async def predict(self, model_input: U8Array) -> Matte:
        """Make one matte; see `service.removal.ports.MattingClient`."""
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.delay_s)
            if self.faults:
                raise self.faults.pop(0)
            return Matte(self._predictor.predict(model_input[None])[0], self.engine, 0.1)
        finally:
            self.at_once -= 1

    async def describe(self) -> InferenceStatus:
        """See `service.http.health.InferenceProbe`."""
        if self.describe_fault is not None:
            raise self.describe_fault
        return InferenceStatus(self.status, os.getpid(), 0.0, own_usage())
