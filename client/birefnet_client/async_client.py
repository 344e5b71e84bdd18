"""The asynchronous client: the same calls, each awaited."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING

import httpx

from birefnet_client.calls import BatchItem
from birefnet_client.connection import Connection, Paths, answer_of
from birefnet_client.folders import Done
from birefnet_client.models import (
    BackgroundInfo,
    Backgrounds,
    Health,
    Info,
    ModelInfo,
    Options,
    TaskAccepted,
    TaskOfBatch,
    TaskStatus,
)
from birefnet_client.pictures import Source
from birefnet_client.result import Cutout
from birefnet_client.running import AsyncRunner
from birefnet_client.steps import Answer, Ask

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class AsyncClient(Connection, AsyncRunner):
    """The client for asynchronous code: `async with AsyncClient() as client`."""

    def __init__(
        self,
        server: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 600.0,
        patience_s: float = 120.0,
    ) -> None:
        super().__init__(server, api_key=api_key, timeout_s=timeout_s, patience_s=patience_s)
        self._http = httpx.AsyncClient(headers=self._headers, timeout=self._timeout)

    async def remove(self, source: Source, **options: Unpack[Options]) -> Cutout:
        """Remove the background of one picture.

        Args:
            source: A path, the bytes of a file, an open file, a Pillow image, or an array of
                uint8 in RGB.
            options: Those of the API; `bg_image` is taken as `source` is.

        Raises:
            RemovalError: If it is refused, or there is no service.
            OSError: If the file cannot be read.
        """
        return await self.run(self.calls.remove(source, options))

    async def remove_batch(
        self, sources: Iterable[Source], **options: Unpack[Options]
    ) -> list[BatchItem]:
        """Remove the backgrounds of many pictures in one request; each has its result or error.

        Raises:
            RemovalError: If the request as a whole is refused.
        """
        return await self.run(self.calls.remove_batch(sources, options))

    async def remove_later(
        self,
        source: Source,
        *,
        idempotency_key: str | None = None,
        webhook_url: str | None = None,
        **options: Unpack[Options],
    ) -> TaskAccepted:
        """Have a picture taken on as a task, which outlives the request.

        Args:
            source: As of `remove`.
            idempotency_key: Your word for it: within a day it makes one task, however often sent.
            webhook_url: Address of yours that is told how it ends.
            options: Those of the API.

        Raises:
            RemovalError: If it is not taken on.
        """
        return await self.run(
            self.calls.remove_later(source, idempotency_key, webhook_url, options)
        )

    async def remove_batch_later(
        self,
        sources: Iterable[Source],
        *,
        idempotency_key: str | None = None,
        webhook_url: str | None = None,
        **options: Unpack[Options],
    ) -> list[TaskOfBatch]:
        """Have many pictures taken on, each as a task; see `remove_later`."""
        return await self.run(
            self.calls.remove_batch_later(sources, idempotency_key, webhook_url, options)
        )

    async def task(self, task_id: str) -> TaskStatus:
        """How far a task is."""
        return await self.run(self.calls.task(task_id))

    async def result(self, task_id: str, *, wait_s: float = 0.0, delete: bool = False) -> Cutout:
        """What a task made.

        Args:
            task_id: Of the task.
            wait_s: Seconds to wait until it is there.
            delete: Whether to delete the task once its result has come.

        Raises:
            RemovalError: `TASK_NOT_FINISHED`, or why nothing was made.
        """
        return await self.run(self.calls.result(task_id, wait_s, delete))

    async def delete_task(self, task_id: str) -> None:
        """Cancel a task, and delete everything of it."""
        await self.run(self.calls.delete_task(task_id))

    async def tasks(self) -> list[TaskStatus]:
        """The tasks of the key."""
        return await self.run(self.calls.tasks())

    async def webhook_secret(self) -> str:
        """What webhooks for the key are signed with."""
        return await self.run(self.calls.webhook_secret())

    async def backgrounds(self) -> Backgrounds:
        """The templates, and your own backgrounds."""
        return await self.run(self.calls.backgrounds())

    async def upload_background(self, source: Source, name: str = "") -> BackgroundInfo:
        """Keep a picture as a background of yours; needs a key."""
        return await self.run(self.calls.upload_background(source, name))

    async def background(self, background_id: str) -> BackgroundInfo:
        """What is known of one background."""
        return await self.run(self.calls.background(background_id))

    async def background_thumbnail(self, background_id: str) -> bytes:
        """A small JPEG of one background."""
        return await self.run(self.calls.background_thumbnail(background_id))

    async def background_picture(self, background_id: str) -> bytes:
        """One background as a JPEG: a template at 1600x1200, an upload as it is stored."""
        return await self.run(self.calls.background_picture(background_id))

    async def delete_background(self, background_id: str) -> None:
        """Delete one background of yours."""
        await self.run(self.calls.delete_background(background_id))

    async def models(self) -> list[ModelInfo]:
        """The models that can be chosen, the default one first."""
        return await self.run(self.calls.models())

    async def info(self) -> Info:
        """Every limit, format and option of the service."""
        return await self.run(self.calls.info())

    async def health(self) -> Health:
        """State of the service: healthy, degraded or unhealthy, with reasons."""
        return await self.run(self.calls.health())

    def remove_many(
        self,
        paths: Paths,
        out: str | os.PathLike[str],
        *,
        workers: int = 3,
        resume: bool = True,
        overwrite: bool = False,
        **options: Unpack[Options],
    ) -> AsyncGenerator[Done, None]:
        """Remove the backgrounds of files and folders, several at a time.

        Args:
            paths: Files, and folders, whose tree is kept.
            out: Folder for what is made.
            workers: How many are under way at once.
            resume: Whether what is there already, and newer than its source, is left as it is.
            overwrite: Whether what is there may be replaced.
            options: Those of the API.

        Returns:
            What came of each file, as it is done; what is wrong with one keeps no other.

        Raises:
            ValueError: If two files would become one, or one would replace a source.
        """
        return self.run_many(self.jobs_of(paths, out, resume, overwrite, options), workers)

    async def send(self, ask: Ask) -> Answer:
        """Send one request, once."""
        try:
            return answer_of(await self._http.request(**self.request_of(ask)))
        except httpx.RequestError as fault:
            raise self.loss_of(fault) from fault

    async def close(self) -> None:
        """Give the connections back; what waits ends."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()
