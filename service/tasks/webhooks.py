"""Tells a server that a caller names how a task ended, signed as Standard Webhooks has it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from service.access.caller import Caller
from service.errors import ApiKeyRequired, InvalidRequest
from service.outbound.destinations import Destination
from service.outbound.gate import Gate, UrlFault
from service.tasks.errors import WebhooksDisabled
from service.tasks.pictures import TaskPictures

log = logging.getLogger(__name__)

_FILE = "webhook"
_GONE = 410  # the receiver wants no more


@dataclass(frozen=True)
class WebhookConfig:
    """Bounds of what is sent.

    Attributes:
        base: What the addresses of tasks begin with.
        own: Servers that callers may name beside the public internet.
        total_s: Seconds that one delivery may take.
    """

    base: str
    own: tuple[Destination, ...] = ()
    total_s: float = 10.0


class Webhooks:
    """Deliveries of events, one for each task that asks for it.

    Args:
        config: Bounds; None where nothing is sent.
        pictures: Where addresses lie until they are not needed any more.
    """

    def __init__(self, config: WebhookConfig | None, pictures: TaskPictures) -> None:
        self._config, self._pictures = config, pictures
        self._gate = Gate(() if config is None else config.own)

    def check(self, url: str, caller: Caller) -> None:
        """Refuse an address that nothing is ever sent to; no name is looked up.

        Raises:
            WebhooksDisabled: If nothing is sent.
            ApiKeyRequired: If the caller has no key, and so no secret to sign with.
            InvalidRequest: If the address is not one; the caller's fault.
        """
        if self._config is None:
            raise WebhooksDisabled
        if not caller.key_id:
            raise ApiKeyRequired
        try:
            self._gate.read_url(url)
        except UrlFault as fault:
            raise InvalidRequest(f"Webhook-URL: {fault}") from fault

    async def keep(self, task_id: str, url: str, caller: Caller) -> None:
        """Keep where to send the event of a task."""
        told = json.dumps({"url": url, "key_id": caller.key_id}).encode()
        await self._pictures.keep(task_id, _FILE, told)

    async def secret_of(self, key_id: str) -> str:
        """What the events of a key's holder are signed with; the same each time.

        Raises:
            WebhooksDisabled: If nothing is sent.
            ServiceError: If the storage cannot be asked now.
        """
        if self._config is None:
            raise WebhooksDisabled
        await asyncio.to_thread(self._pictures.make_place)
        known = await self._pictures.secret()
        made = hmac.new(known, b"webhook\0" + key_id.encode(), hashlib.sha256).digest()
        return f"whsec_{base64.b64encode(made).decode()}"

    async def deliver(self, event: Mapping[str, Any]) -> bool:
        """Send an event once.

        Args:
            event: `task_id`, `type`, `timestamp` and `data`, in the types of JSON.

        Returns:
            Whether no other attempt is needed: it was taken, or nobody wants it any more.

        Raises:
            ServiceError: If the storage cannot be asked now.
        """
        task_id = str(event["task_id"])
        kept = await self._pictures.read(task_id, _FILE)
        if kept is None or self._config is None:
            return True
        told = json.loads(kept)
        body = json.dumps(_body(event, self._config.base))
        headers = _signed(body, task_id, await self.secret_of(told["key_id"]))
        try:
            async with asyncio.timeout(self._config.total_s):
                status = await self._post(told["url"], body, headers)
        except (aiohttp.ClientError, OSError, ValueError, UrlFault, TimeoutError) as fault:
            log.info("a webhook was not delivered: %s", type(fault).__name__)
            return False
        if 200 <= status < 300 or status == _GONE:
            await self._pictures.drop(task_id, _FILE)
            return True
        log.info("a webhook was not taken: status %d", status)
        return False

    async def _post(self, url: str, body: str, headers: Mapping[str, str]) -> int:
        """The status of the answer, which is not read further; redirects are none of ours."""
        async with self._gate.open_session() as session:
            answer = await session.post(
                self._gate.read_url(url), data=body.encode(), headers=headers, allow_redirects=False
            )
            answer.close()
            return answer.status


def _body(event: Mapping[str, Any], base: str) -> dict[str, Any]:
    """What is sent: where the result is, and no picture."""
    url = f"{base}/status/{event['task_id']}"
    result_url = None if event["data"]["error_code"] else f"{url}/result"
    data = {**event["data"], "check_url": url, "result_url": result_url}
    return {"type": event["type"], "timestamp": event["timestamp"], "data": data}


def _signed(body: str, task_id: str, secret: str) -> dict[str, str]:
    from standardwebhooks.webhooks import Webhook

    now = datetime.now(UTC)
    event_id = f"msg_{hashlib.sha256(task_id.encode()).hexdigest()[:32]}"
    return {
        "Content-Type": "application/json",
        "Webhook-Id": event_id,
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(secret).sign(event_id, now, body),
    }
