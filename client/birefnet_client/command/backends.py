"""Who removes the backgrounds: a service over HTTP, or what this environment offers itself."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Protocol

from birefnet_client.address import names_server
from birefnet_client.command.arguments import Usage
from birefnet_client.models import Options
from birefnet_client.pictures import Source
from birefnet_client.result import Cutout
from birefnet_client.running import Runner
from birefnet_client.steps import Steps

#: Where an environment offers itself; see `LocalRemover`.
GROUP = "birefnet.backend"

_FIRST_S = 5.0


class LocalRemover(Protocol):
    """What an entry point gives when it is called without arguments."""

    at_once: int

    def remove(
        self, data: bytes, options: Mapping[str, object]
    ) -> tuple[bytes, str, Mapping[str, str]]:
        """Make a file of a picture: its bytes, its media type, and the headers of the API.

        Raises:
            Exception: With `code`, `detail` and `fields`, where the picture is to blame.
        """

    def close(self) -> None:
        """Give everything back."""


class Backend(Protocol):
    """What the command needs of either."""

    at_once: int
    runner: Runner

    def remove(self, source: Source, options: Options) -> Steps[Cutout]:
        """Remove the background of one picture."""

    def close(self) -> None:
        """Give everything back."""


def open_backend(server: str | None, patience_s: float) -> Backend:
    """Open what is asked for: over HTTP where an address is given, else what is here.

    Raises:
        RemovalError: If there is no service, or no model.
        Usage: If the address or the key cannot be one.
    """
    if not server and not names_server():
        for offered in entry_points(group=GROUP):
            from birefnet_client.command.local import open_local

            return open_local(offered.load())
    try:
        return OverHttp(server, patience_s)
    except (OSError, ValueError) as wrong:  # a key's file, the address, the key
        raise Usage(str(wrong)) from wrong


class OverHttp:
    """A service.

    Raises:
        RemovalError: If none answers within five seconds.
    """

    at_once = 3  # what a service lets one client have under way

    def __init__(self, server: str | None, patience_s: float) -> None:
        from birefnet_client.client import Client

        with Client(server, patience_s=min(patience_s, _FIRST_S)) as first:
            first.info()
        client = Client(server, patience_s=patience_s)
        self.runner: Runner = client
        self.remove: Any = client.calls.remove
        self.close = client.close
