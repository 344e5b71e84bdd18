"""What tasks are told: how they are kept, by the operator, and what is to be done, by a caller."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from service.removal.background import Background
from service.removal.options import RemovalOptions
from service.tasks.dbos_queue import QueueConfig
from service.tasks.outcome import write_options
from service.tasks.webhooks import WebhookConfig


@dataclass(frozen=True)
class TasksConfig:
    """How tasks are kept.

    Attributes:
        queue: Where the queue is.
        storage: Where the pictures lie.
        key: Encrypts the pictures; empty where they lie as they are.
        webhooks: How callers' servers are told; None for never.
        most: Most unfinished tasks.
        most_per_caller: Most of one caller; 0 for no limit.
        keep_s: Seconds a result is kept.
        sweep_s: Seconds between two looks at what is past its time.
    """

    queue: QueueConfig
    storage: str
    key: bytes = b""
    webhooks: WebhookConfig | None = None
    most: int = 1000
    most_per_caller: int = 100
    keep_s: float = 3600.0
    sweep_s: float = 30.0


@dataclass(frozen=True)
class Picture:
    """What a caller sent to have it done later.

    Attributes:
        data: The file; untrusted.
        media_type: What it was declared to be; untrusted.
        options: What the caller chose.
        background: The background picture that they name or bring.
        idempotency_key: What makes the same request the same task; empty without one.
        webhook: Address that is told how it ends; empty without one.
    """

    data: bytes
    media_type: str | None
    options: RemovalOptions
    background: Background | None = None
    idempotency_key: str = ""
    webhook: str = ""

    @property
    def n_bytes(self) -> int:
        """Bytes of all its files."""
        return len(self.data) + (0 if self.background is None else self.background.n_bytes)

    def digest(self) -> bytes:
        """What tells it from another one."""
        parts = (
            self.data,
            b"" if self.background is None else self.background.data,
            json.dumps([self.media_type, self.webhook, write_options(self.options)]).encode(),
        )
        return b"".join(hashlib.sha256(part).digest() for part in parts)
