"""Python client of the BiRefNet background removal service.

What is named here is loaded when it is first used: `birefnet --help` needs no HTTP.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from birefnet_client.version import __version__

if TYPE_CHECKING:
    from birefnet_client.async_client import AsyncClient
    from birefnet_client.client import Client
    from birefnet_client.errors import RemovalError
    from birefnet_client.folders import Done
    from birefnet_client.models import Options
    from birefnet_client.result import Cutout

__all__ = [
    "AsyncClient",
    "Client",
    "Cutout",
    "Done",
    "Options",
    "RemovalError",
    "__version__",
]

_HOMES = {
    "AsyncClient": "async_client",
    "Client": "client",
    "Cutout": "result",
    "Done": "folders",
    "Options": "models",
    "RemovalError": "errors",
}


def __getattr__(name: str) -> Any:
    """Load what is named."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
