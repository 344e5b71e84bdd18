"""The remover's matting port over BentoML's hop: retries a broken connection, maps faults."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

import aiohttp
import numpy as np
from bentoml.exceptions import BentoMLException, ServiceUnavailable

from models.arrays import U8Array
from models.engine import EngineInfo
from models.errors import InferenceFailed
from models.serving.status import EngineStatus
from service.errors import (
    GpuMemoryExhausted,
    InferenceUnavailable,
    MemoryExhausted,
    ServiceBusy,
)
from service.removal.ports import Fault, FaultKind, InferenceStatus, Matte, Outcome

log = logging.getLogger(__name__)

_DESCRIBE_TIMEOUT_S = 2.0
_RESTART_S = 5
#: Before a broken call is tried again. A process that is killed still takes connections for some
#: milliseconds, and a balancer sends to it for as long: it has the fewest requests.
_PAUSES_S = (0.2, 1.0)
_BROKE_OFF = (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)


class BentoMattingClient:
    """Calls the inference service.

    Args:
        inference: What `bentoml.depends` gives: a proxy when served, the plain object in a test.
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
    """

    def __init__(self, inference: Any, height: int, width: int) -> None:
        self._inference = inference
        self._shape = (height, width, 3)

    async def predict(self, model_input: U8Array) -> Matte:
        """Make one matte; see `service.removal.ports.MattingClient`."""
        if model_input.shape != self._shape or model_input.dtype != np.uint8:
            # A wrong item would fail its whole batch.
            raise ValueError(f"expected uint8 {self._shape}, got {model_input.shape}")
        outcomes = await self._call("predict", np.ascontiguousarray(model_input[None]))
        return _matte_of(_outcome_of(outcomes[0]))

    async def describe(self) -> InferenceStatus:
        """What the inference service says of itself; see `service.http.health.InferenceProbe`."""
        try:
            async with asyncio.timeout(_DESCRIBE_TIMEOUT_S):
                return _status_of(await self._call("describe", pauses=[0]))
        except TimeoutError as silent:
            raise InferenceUnavailable(retry_after=_RESTART_S) from silent

    async def _call(
        self, name: str, *arguments: object, pauses: Sequence[float] = _PAUSES_S
    ) -> Any:
        """Call a method, again if the connection broke; inference may be repeated safely."""
        method = getattr(self._inference.to_async, name)
        try:
            for pause in pauses:
                try:
                    return await _ask(method, *arguments)
                except aiohttp.ClientError as broken:
                    log.warning("the hop to inference broke (%r), trying once more", broken)
                    await asyncio.sleep(pause)
            return await _ask(method, *arguments)
        except aiohttp.ClientError as gone:
            raise InferenceUnavailable(retry_after=_RESTART_S) from gone
        except ServiceUnavailable as shed:
            raise ServiceBusy(retry_after=_RESTART_S) from shed
        except BentoMLException as fault:
            if fault.error_code == HTTPStatus.UNAUTHORIZED:
                log.error("inference refuses us: BIREFNET_INFERENCE_TOKEN is another one there")
                raise InferenceUnavailable(retry_after=_RESTART_S) from fault
            raise InferenceFailed(str(fault)) from fault


async def _ask(method: Callable[..., Awaitable[Any]], *arguments: object) -> Any:
    """Call a method; what a proxy says where inference broke off is a broken connection, too."""
    try:
        return await method(*arguments)
    except BentoMLException as fault:
        if fault.error_code in _BROKE_OFF:
            raise aiohttp.ClientConnectionError(str(fault)) from fault
        raise


def _matte_of(outcome: Outcome) -> Matte:
    """The matte of one picture.

    Raises:
        ServiceError: If memory was short: it can be tried again.
        InferenceFailed: If the forward pass failed.
    """
    if isinstance(outcome, Matte):
        return outcome
    if outcome.kind is FaultKind.DEVICE_MEMORY:
        raise GpuMemoryExhausted(
            suggested_action="Retry in 30 seconds", retry_after=30, **outcome.fields
        )
    if outcome.kind is FaultKind.MACHINE_MEMORY:
        raise MemoryExhausted(retry_after=_RESTART_S)
    raise InferenceFailed(outcome.code)


# On the way BentoML turns dataclasses into dicts; here they become values again.


def _outcome_of(told: Any) -> Outcome:
    if isinstance(told, Matte | Fault):
        return told
    if "kind" in told:
        return Fault(**told)
    return Matte(**{**told, "engine": EngineInfo(**told["engine"])})


def _status_of(told: Any) -> InferenceStatus:
    if isinstance(told, InferenceStatus):
        return told
    status = told["status"]
    status = EngineStatus(**{**status, "engine": EngineInfo(**status["engine"])})
    return InferenceStatus(**{**told, "status": status})
