"""What the supervisor of our services does before it starts them, whichever of them it starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from models.store.registered import RegisteredModel
from service.environment import MODEL_TAGS, private_folders
from service.errors import CannotStart
from service.logs import LogConfig, set_up_logging
from service.processes.instance import open_instance
from service.processes.supervisor import tame_supervisor
from service.settings import Settings
from service.startup import check_address, check_folder


def prepare_supervisor(settings: Settings, models: Iterable[RegisteredModel]) -> None:
    """Have the supervisor that BentoML makes next be ours.

    Args:
        settings: What the operator asked for.
        models: What its workers need not look for again.
    """
    tags = " ".join(model.tag for model in models)
    instance = open_instance(private_folders(settings))
    tame_supervisor(instance, stop_within_s(settings), {MODEL_TAGS: tags})


def check_inference(settings: Settings, model: RegisteredModel, name: str) -> None:
    """In the supervisor of an inference service that was started without the public one.

    It is reached through the network then, and unpickles what it is sent.

    Args:
        settings: What the operator asked for.
        model: The model it runs.
        name: Name of the service.

    Raises:
        CannotStart: With one sentence, if it must not be started like this.
    """
    if command_line().get("service_name") != name:
        return
    set_up_logging(LogConfig(settings.log_level, None, settings.log_format, "supervisor"))
    if not settings.inference_token:
        raise CannotStart(
            "BIREFNET_INFERENCE_TOKEN is not set: an inference service of its own runs whatever "
            "code it is sent, by everybody who reaches it; set the same long secret here and for "
            "the public service"
        )
    check_own_address(settings)
    check_folder(settings.cache_dir, "BIREFNET_CACHE_DIR")
    prepare_supervisor(settings, [model])


def check_own_address(settings: Settings) -> None:
    """Find out whether we can listen; `--host` and `--port` win over settings.

    Raises:
        CannotStart: With one sentence, if not.
    """
    given = command_line()
    check_address(given.get("host") or settings.host, given.get("port") or settings.port)


def command_line() -> Mapping[str, Any]:
    """The options of BentoML's command that started us, by their names; empty in a test."""
    command = click.get_current_context(silent=True)
    return command.params if command else {}


def stop_within_s(settings: Settings) -> float:
    """Seconds a worker may take to stop: what the longest deadline allows, and a little more."""
    return 4 * settings.processing_timeout_sec + 30
