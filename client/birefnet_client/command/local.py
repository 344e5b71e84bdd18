"""Removes backgrounds in this process, with what the service's own environment offers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from birefnet_client.command.backends import LocalRemover
from birefnet_client.errors import RemovalError
from birefnet_client.models import Options
from birefnet_client.pictures import Source, read_picture
from birefnet_client.result import Cutout, info_of_headers
from birefnet_client.running import Runner
from birefnet_client.steps import Steps, Work


def open_local(factory: Callable[[], LocalRemover]) -> InProcess:
    """Open it.

    Raises:
        RemovalError: If it cannot start: no model is registered, a setting is wrong.
    """
    try:
        return InProcess(factory())
    except SystemExit as refused:  # how the service itself ends then
        raise RemovalError("CANNOT_START", str(refused)) from refused
    except Exception as fault:
        raise _error_of(fault) from fault


class InProcess:
    """A remover in this process."""

    def __init__(self, remover: LocalRemover) -> None:
        self._remover = remover
        self.at_once = remover.at_once
        self.runner = Runner()
        self.close = remover.close

    def remove(self, source: Source, options: Options) -> Steps[Cutout]:
        """Remove the background of one picture."""
        picture = yield Work(lambda: read_picture(source))
        chosen: dict[str, Any] = dict(options)
        if (ground := chosen.get("bg_image")) is not None:
            chosen["bg_image"] = (yield Work(lambda: read_picture(ground))).data
        made: Cutout = yield Work(lambda: self._made(picture.data, chosen))
        return made

    def _made(self, data: bytes, options: dict[str, Any]) -> Cutout:
        try:
            file, media_type, headers = self._remover.remove(data, options)
        except Exception as fault:
            raise _error_of(fault) from fault
        told = {name.lower(): text for name, text in headers.items()}
        return Cutout(file, media_type, info_of_headers(told))


def _error_of(fault: Exception) -> RemovalError:
    """A fault as the service would tell it; one of ours stays what it is, for its traceback."""
    code = getattr(fault, "code", None)
    if not isinstance(code, str):
        raise fault
    detail = getattr(fault, "detail", str(fault))
    return RemovalError(code, str(detail), fields=getattr(fault, "fields", {}))
