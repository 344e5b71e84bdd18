"""Every call of the API, as steps that either client takes."""

from __future__ import annotations

import base64
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from birefnet_client.errors import NOT_OURS, RemovalError
from birefnet_client.exchange import Exchange, error_of, send_once
from birefnet_client.models import (
    BackgroundInfo,
    Backgrounds,
    BatchAccepted,
    BatchLine,
    Health,
    Info,
    ModelInfo,
    Models,
    Options,
    OwnTasks,
    Problem,
    TaskAccepted,
    TaskOfBatch,
    TaskStatus,
    WebhookSecret,
)
from birefnet_client.pictures import Picture, Source, read_picture
from birefnet_client.reading import read
from birefnet_client.result import (
    SUFFIXES,
    Cutout,
    CutoutInfo,
    info_of_headers,
    info_of_processing,
)
from birefnet_client.steps import Answer, Ask, Steps, Wait, Work

T = TypeVar("T")

_ASK_AGAIN_S = 0.25
_ASK_AT_LEAST_EVERY_S = 2.0


@dataclass(frozen=True)
class BatchItem:
    """What came of one picture of a batch.

    Attributes:
        index: Its place among the pictures, from 0.
        filename: Its name.
        cutout: What was made; None if nothing was.
        error: Why nothing was made.
    """

    index: int
    filename: str
    cutout: Cutout | None = None
    error: RemovalError | None = None


@dataclass(frozen=True)
class Calls:
    """The calls of one client.

    Attributes:
        exchange: How requests are repeated.
    """

    exchange: Exchange

    def remove(self, source: Source, options: Options) -> Steps[Cutout]:
        """Remove the background of one picture."""
        form = yield from _form([source], options)
        answer = yield from self.exchange.ask(Ask("POST", "/remove", *form))
        return _cutout_of(answer)

    def remove_batch(self, sources: Iterable[Source], options: Options) -> Steps[list[BatchItem]]:
        """Remove the backgrounds of many pictures in one request."""
        form = yield from _form(sources, options)
        asked = Ask("POST", "/remove-batch", *form, {"Accept": "application/x-ndjson"})
        answer = yield from self.exchange.ask(asked)
        lines = [_read(BatchLine, line, answer) for line in answer.body.splitlines()]
        items = [_item_of(line, answer) for line in lines if line.index is not None]
        return sorted(items, key=lambda item: item.index)

    def remove_later(
        self, source: Source, idempotency_key: str | None, webhook_url: str | None, options: Options
    ) -> Steps[TaskAccepted]:
        """Have a picture taken on as a task."""
        form = yield from _form([source], options)
        headers = _task_headers(idempotency_key, webhook_url)
        answer = yield from self.exchange.ask(Ask("POST", "/remove-async", *form, headers))
        return _read(TaskAccepted, answer.body, answer)

    def remove_batch_later(
        self,
        sources: Iterable[Source],
        idempotency_key: str | None,
        webhook_url: str | None,
        options: Options,
    ) -> Steps[list[TaskOfBatch]]:
        """Have many pictures taken on, each as a task."""
        form = yield from _form(sources, options)
        headers = _task_headers(idempotency_key, webhook_url)
        answer = yield from self.exchange.ask(Ask("POST", "/remove-batch-async", *form, headers))
        return _read(BatchAccepted, answer.body, answer).tasks

    def task(self, task_id: str) -> Steps[TaskStatus]:
        """How far a task is."""
        return (yield from self._get(TaskStatus, f"/status/{_word(task_id)}"))

    def result(self, task_id: str, wait_s: float, delete: bool) -> Steps[Cutout]:
        """What a task made, once it is there."""
        query = {"delete_after_download": "true"} if delete else {}
        pause, told = _ASK_AGAIN_S, (yield from self.task(task_id))
        while wait_s > 0 and told.status == "processing":
            yield Wait(min(pause, wait_s))
            wait_s -= pause
            pause = min(2 * pause, _ASK_AT_LEAST_EVERY_S)
            told = yield from self.task(task_id)
        if told.error is not None:  # its result would tell the same, as if it might pass
            raise _error_of_problem(told.error)
        asked = Ask("GET", f"/status/{_word(task_id)}/result", query=query)
        return _cutout_of((yield from self.exchange.ask(asked)))

    def delete_task(self, task_id: str) -> Steps[None]:
        """Cancel a task, and delete everything of it."""
        yield from self.exchange.ask(Ask("DELETE", f"/status/{_word(task_id)}"))

    def tasks(self) -> Steps[list[TaskStatus]]:
        """The tasks of the client's key."""
        return (yield from self._get(OwnTasks, "/tasks")).tasks

    def webhook_secret(self) -> Steps[str]:
        """What webhooks for the client's key are signed with."""
        return (yield from self._get(WebhookSecret, "/webhook-secret")).secret

    def backgrounds(self) -> Steps[Backgrounds]:
        """The backgrounds that can be chosen by their ids."""
        return (yield from self._get(Backgrounds, "/backgrounds"))

    def upload_background(self, source: Source, name: str) -> Steps[BackgroundInfo]:
        """Keep a picture as a background."""
        picture = yield from _opened(source)
        fields = {"name": name} if name else {}
        asked = Ask("POST", "/backgrounds", fields, (_part("image", picture),), may_repeat=False)
        answer = yield from self.exchange.ask(asked)
        return _read(BackgroundInfo, answer.body, answer)

    def background(self, background_id: str) -> Steps[BackgroundInfo]:
        """What is known of one background."""
        return (yield from self._get(BackgroundInfo, f"/backgrounds/{_word(background_id)}"))

    def background_thumbnail(self, background_id: str) -> Steps[bytes]:
        """A small JPEG of one background."""
        asked = Ask("GET", f"/backgrounds/{_word(background_id)}/thumbnail")
        return (yield from self.exchange.ask(asked)).body

    def background_picture(self, background_id: str) -> Steps[bytes]:
        """One background as a JPEG."""
        asked = Ask("GET", f"/backgrounds/{_word(background_id)}/picture")
        return (yield from self.exchange.ask(asked)).body

    def delete_background(self, background_id: str) -> Steps[None]:
        """Delete one background."""
        yield from self.exchange.ask(Ask("DELETE", f"/backgrounds/{_word(background_id)}"))

    def models(self) -> Steps[list[ModelInfo]]:
        """The models that can be chosen, the default one first."""
        return (yield from self._get(Models, "/models")).models

    def info(self) -> Steps[Info]:
        """Every limit, format and option."""
        return (yield from self._get(Info, "/info"))

    def health(self) -> Steps[Health]:
        """State of the service; asked once, for a state that passes is an answer, too."""
        answer = yield from send_once(Ask("GET", "/health"))
        if answer.status not in (200, 503) or b'"status"' not in answer.body:
            raise error_of(answer)
        return _read(Health, answer.body, answer)

    def _get(self, kind: type[T], path: str) -> Steps[T]:
        answer = yield from self.exchange.ask(Ask("GET", path))
        return _read(kind, answer.body, answer)


def _opened(source: Source) -> Steps[Picture]:
    picture: Picture = yield Work(lambda: read_picture(source))
    return picture


def _form(
    sources: Iterable[Source], options: Mapping[str, Any]
) -> Steps[tuple[dict[str, str], tuple[tuple[str, tuple[str, bytes]], ...]]]:
    """Fields and files of a form."""
    fields, files = {}, []
    for source in sources:
        files.append(_part("image", (yield from _opened(source))))
    for name, value in options.items():
        if name == "return_base64":
            raise TypeError("return_base64 is not needed: a Cutout has the bytes")
        if name == "bg_image" and value is not None:
            files.append(_part(name, (yield from _opened(value))))
        elif value is not None:
            fields[name] = _text(value)
    return fields, tuple(files)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _part(field: str, picture: Picture) -> tuple[str, tuple[str, bytes]]:
    name = os.fsencode(picture.name).decode("utf-8", "replace")  # a name may be no text at all
    return field, (name, picture.data)


def _task_headers(idempotency_key: str | None, webhook_url: str | None) -> dict[str, str]:
    """A task is sent with a word of its own, so that repeating the request makes no second one."""
    headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
    return {**headers, "Webhook-URL": webhook_url} if webhook_url else headers


def _word(text: str) -> str:
    """Something that stands in an address."""
    return quote(text, safe="") or "-"


def _read(kind: type[T], body: bytes, answer: Answer) -> T:
    try:
        return read(kind, json.loads(body))
    except ValueError as strange:
        detail = f"the answer is not what this client knows: {strange}"
        raise RemovalError(NOT_OURS, detail, status=answer.status) from strange


def _cutout_of(answer: Answer) -> Cutout:
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in SUFFIXES:
        raise RemovalError(
            NOT_OURS, f"the answer is {media_type}, no picture", status=answer.status
        )
    return Cutout(answer.body, media_type, info_of_headers(answer.headers))


def _item_of(line: BatchLine, answer: Answer) -> BatchItem:
    """One picture of a batch."""
    index, name = line.index or 0, line.filename or ""
    if line.error is not None:
        return BatchItem(index, name, error=_error_of_problem(line.error))
    head, _, encoded = (line.processed_image or "").partition(";base64,")
    request_id = answer.headers.get("x-request-id", "")
    info = CutoutInfo()
    if line.processing_info is not None:
        info = info_of_processing(line.processing_info, request_id)
    data = base64.b64decode(encoded)
    return BatchItem(index, name, Cutout(data, head.removeprefix("data:"), info))


def _error_of_problem(problem: Problem) -> RemovalError:
    wait_s = problem.fields.get("retry_after_seconds", problem.fields.get("retry_after"))
    return RemovalError(
        problem.error_code,
        problem.detail,
        request_id=problem.request_id,
        retry_after_s=wait_s if isinstance(wait_s, int | float) else None,
        fields=problem.fields,
    )
