"""Bento service 2, `background_removal`: composition root, mounted routes, native endpoint."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Self

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.utils.analytics.usage_stats import do_not_track
from bentoml.validators import ContentType
from fastapi import FastAPI
from starlette.requests import Request

from models.errors import BackgroundRemovalError
from models.store.registered import RegisteredModel
from service.access.access import Access
from service.container_image import Flavour, describe_image
from service.environment import (
    distrust_forwarded_headers,
    refuse_conductor,
    send_nothing,
    show_token,
)
from service.http.app import create_app, problem_response
from service.http.dependencies import Services
from service.http.foreign_doors import create_foreign_doors
from service.http.metrics import Metrics, forget_dead_processes
from service.http.pages import create_page_app
from service.http.policies import PREFIX
from service.http.routes.info import describe
from service.http.routes.models import list_models
from service.http.routes.remove import answer_removal
from service.http.scrape import create_metrics_app
from service.inference import (
    LONGER_THAN_ANY_DEADLINE_S,
    NO_TRACING,
    create_inference,
    inference_services,
    log_config,
)
from service.logs import LogConfig, set_up_logging
from service.matting_client import BentoMattingClient
from service.processes.bentoml_patches import end_timers_with_requests
from service.processes.connections import ConnectionKeeper, tame_websockets
from service.processes.watchdog import replace_when_hung
from service.processes.workers import PUBLIC, end_with_supervisor, is_sibling, kill_sibling, serving
from service.removal.batch import open_batch_lane
from service.removal.options import RemovalOptions
from service.removal.ports import ServedModel
from service.resources import allowed_bytes
from service.settings_reader import read_settings
from service.shutdown import announce_stop
from service.startup import (
    check_extras,
    check_folder,
    check_keys_file,
    check_log_file,
    check_memory,
    check_storage,
    check_tasks,
    choose_models,
)
from service.supervision import check_own_address, prepare_supervisor
from service.tracing.opening import start_tracing
from service.wiring import configure, create_middlewares, create_services

log = logging.getLogger(__name__)

_WARM_UP_RETRY_S = 1.0

_settings = read_settings()
_models = inference_services(choose_models(_settings))
check_extras(_settings)
_config = configure(_settings)
_stopping = asyncio.Event()
end_timers_with_requests()
distrust_forwarded_headers()
send_nothing()
refuse_conductor()
show_token(_settings.inference_token)
do_not_track.cache_clear()  # it was asked as the command started, and remembers


@cache
def _metrics() -> Metrics:
    """Made in the process that serves, after BentoML has said where its workers count together."""
    forget_dead_processes(is_sibling)
    return Metrics()


_access = Access(_config.access, lambda: _metrics().count_fallback())


def _log_config(process: str, file: Path | None = None) -> LogConfig:
    return LogConfig(_settings.log_level, file, _settings.log_format, process)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """From the first byte served to the last."""
    end_with_supervisor()
    server = serving()
    stop_tracing = start_tracing(_settings.otlp_endpoint, _settings.trace_ratio, PUBLIC)
    announce_stop(_stopping, _finish_previews)
    if server is not None:
        tame_websockets(server.config, _config.remover.limits.max_bytes)
    models = [_served(name, model) for name, model in _models.items()]
    services = create_services(_config, models, _metrics().observe_stages, _access, _stopping)
    background = [
        asyncio.create_task(_begin(services)),
        asyncio.create_task(services.backgrounds.clean()),
    ]
    for name, model in zip(_models, models, strict=True):
        if not _is_elsewhere(name):
            watching = replace_when_hung(model.client.describe, kill_sibling)
            background.append(asyncio.create_task(watching))
    if server is not None:
        keeper = ConnectionKeeper(server, _config.connections, _stopping)
        background.append(asyncio.create_task(keeper.run()))
    app.state.services = services
    yield
    for task in background:
        task.cancel()
    tasks_ended = await services.tasks.close()
    await _access.close()
    await stop_tracing()
    if not await services.remover.close():
        log.error("imaging threads did not come back; this process ends without them")
        os._exit(1)  # the interpreter would wait for them for ever
    if not tasks_ended:
        log.warning("the queue of tasks did not answer to the end; nothing of it is lost")
        os._exit(0)


async def _finish_previews() -> None:
    """Have busy previews answer before the server closes them."""
    if (services := _services()) is not None:
        await services.previews.ended()


def _served(name: str, model: RegisteredModel) -> ServedModel:
    """A model as the routes see it, with the service that runs it."""
    service, wanted = getattr(bentoml.get_current_service(), name), model.spec.input
    client = BentoMattingClient(service, wanted.height, wanted.width)
    return ServedModel(model.spec, client)


def _is_elsewhere(name: str) -> bool:
    """Whether an inference service is no process of ours, so that its number says nothing here."""
    address = BentoMLContainer.remote_runner_mapping.get().get(name, "")
    return address.startswith("http")


async def _begin(services: Services) -> None:
    """Get ready for callers, and only then go on with tasks that wait."""
    await _warm_up(services)
    await services.tasks.run()


async def _warm_up(services: Services) -> None:
    """Run one full removal as soon as inference answers."""
    remover = services.remover
    while not remover.is_warm:
        try:
            await remover.warm_up()
        except BackgroundRemovalError as early:
            log.info("warming up: %s", early)
            await asyncio.sleep(_WARM_UP_RETRY_S)
        except Exception:
            log.exception("the warm-up failed, the service cannot become ready")
            return
    tags = ", ".join(model.tag for model in _models.values())
    log.info("ready: %s on http://%s:%d", tags, _settings.host, _settings.port)
    await open_batch_lane(remover)


# BentoML brings the files of Swagger UI for its own page, which loads scripts of third parties.
_SWAGGER_UI = Path(bentoml.__file__).parent / "_internal/server/static_content"
app = create_app(_lifespan, swagger_ui=_SWAGGER_UI, require_key=_settings.require_key)
#: The parts behind the routes; None until this process serves.
_services = partial(getattr, app.state, "services", None)


class RemovalInput(bentoml.IODescriptor, RemovalOptions):
    """The native endpoint's form, as its schema and the Python client see it.

    The request itself is read by the same code as the mounted route's: BentoML's own would write
    the file to disk, and would fetch a URL that a caller sends in its place.
    """

    image: Path
    bg_image: Path = Path()  # type: ignore[assignment]  # as a file in the schema; never read

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> Self:
        """Leave the body alone."""
        return cls.model_construct(image=Path())


class NoInput(bentoml.IODescriptor):
    """Of the native endpoints that only tell something; what is sent to them is not read."""

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> Self:
        """Leave the body alone."""
        return cls()


# BentoML finds the services it starts among the attributes of the one it serves.
_Inferences = type(
    "Inferences",
    (),
    {
        name: bentoml.depends(create_inference(_settings, model, name))
        for name, model in _models.items()
    },
)


@bentoml.asgi_app(create_page_app(), path="/")
@bentoml.asgi_app(create_foreign_doors(_services), path="/")
@bentoml.asgi_app(create_metrics_app(_services), path="/")
@bentoml.asgi_app(app, path=PREFIX)
@bentoml.service(
    name=PUBLIC,
    image=describe_image(bentoml.use_arguments(Flavour)),
    workers=1,
    threads=1,
    traffic={"timeout": LONGER_THAN_ANY_DEADLINE_S},
    endpoints={"livez": f"{PREFIX}/health"},
    http={"host": _settings.host, "port": _settings.port},
    logging={"access": {"enabled": False}},
    runner_probe={"enabled": False},  # a 500 where inference hangs; `__is_ready__` asks it
    tracing=NO_TRACING,
    metrics={"enabled": False},  # its labels are raw paths; ours are in service.http.metrics
)
class BackgroundRemoval(_Inferences):  # type: ignore[misc, valid-type]
    """Removes the background of a picture."""

    def __init__(self) -> None:
        set_up_logging(_log_config("public", _settings.log_file))

    @bentoml.on_deployment
    @staticmethod
    def check_surroundings() -> None:
        """In the supervisor: refuse what would make it start its workers over and over."""
        set_up_logging(_log_config("supervisor"))
        check_own_address(_settings)
        check_folder(_settings.cache_dir, "BIREFNET_CACHE_DIR")
        check_keys_file(_settings.keys_file)
        check_tasks(_settings.tasks, _settings.storage_url, _settings.tasks_key)
        check_storage(_settings.storage_url, _settings.keys_file)
        inference_logs = (log_config(_settings, name).file for name in _models)
        for file in (_settings.log_file, *inference_logs):
            if file is not None:
                check_log_file(file)
        if len(_models) > 1:
            check_memory(list(_models.values()), allowed_bytes())
        prepare_supervisor(_settings, _models.values())

    @bentoml.api(input_spec=RemovalInput)
    async def remove_background(
        self, ctx: bentoml.Context, image: Path, **options: Any
    ) -> Annotated[Path, ContentType("image/*")]:
        """Remove the background of one picture; the form and every limit are those of `/remove`."""
        request: Any = ctx.request
        try:
            response = await answer_removal(request, app.state.services)
        except BackgroundRemovalError as error:
            response = problem_response(request, error)
        ctx.response.status_code = response.status_code  # BentoML overwrites the response's own
        return response  # type: ignore[return-value]  # a finished response is sent as it is

    @bentoml.api(input_spec=NoInput)
    async def list_models(self) -> dict[str, Any]:
        """The models that callers can choose, as `GET /models` lists them."""
        return (await list_models(app.state.services)).model_dump()

    @bentoml.api(input_spec=NoInput)
    async def read_info(self) -> dict[str, Any]:
        """Every limit, format and option, as `GET /info` tells them."""
        return describe(app.state.services).model_dump()

    async def __is_ready__(self) -> bool:
        """Ready means one full removal has run, and inference answers."""
        return await app.state.services.health.is_ready()


for wrapper in create_middlewares(_config, _access, _metrics, _stopping):
    BackgroundRemoval.add_asgi_middleware(wrapper.cls, **wrapper.kwargs)
