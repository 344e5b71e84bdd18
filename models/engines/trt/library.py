"""Which TensorRT is installed: plain TensorRT, or TensorRT-RTX, its twin for desktop cards.

Finding one imports nothing. Loading one constructs nothing: without a driver, some of their objects
end the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from models.errors import EngineUnavailable
from models.installs import TENSORRT_INSTALL


@dataclass(frozen=True)
class Library:
    """One of the two libraries.

    Attributes:
        name: `tensorrt` or `tensorrt_rtx`.
        module: The Python module it is used through.
        version: Its full version.
    """

    name: str
    module: str
    version: str

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"

    def load(self) -> Any:
        """Import it.

        Raises:
            EngineUnavailable: If its parts are not all there; says what to install.
        """
        try:
            return import_module(self.module)
        except (ImportError, OSError) as missing:
            raise EngineUnavailable(
                f"{self.name} is installed in part only ({missing}); run: {TENSORRT_INSTALL}"
            ) from missing


# Best first: plain TensorRT times its kernels on the device, its twin compiles them there.
_MODULES: Mapping[str, tuple[str, ...]] = {
    "tensorrt": ("tensorrt",),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
#: Names of the two.
NAMES = tuple(_MODULES)
_DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "tensorrt": ("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt_cu13", "tensorrt_cu12"),
    "tensorrt_rtx": (
        "tensorrt-rtx",
        "tensorrt-rtx-cu13-bindings",
        "tensorrt-rtx-cu12-bindings",
    ),
}


def find_libraries() -> list[Library]:
    """What is installed, best first; nothing is imported."""
    found = []
    for name, modules in _MODULES.items():
        module = next((module for module in modules if find_spec(module)), None)
        number = _version_of(_DISTRIBUTIONS[name])
        if module is not None and number is not None:
            found.append(Library(name, module, number))
    return found


def find_library() -> Library:
    """The best that is installed.

    Raises:
        EngineUnavailable: If there is none; says what to install.
    """
    found = find_libraries()
    if not found:
        raise EngineUnavailable(f"TensorRT is not installed; run: {TENSORRT_INSTALL}")
    return found[0]


def _version_of(distributions: tuple[str, ...]) -> str | None:
    for distribution in distributions:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


class Complaints:
    """Filled by the logger that `make_logger` makes."""

    last = ""


def make_logger(trt: Any, complaints: Complaints) -> Any:
    """A logger that keeps errors; its class exists only once the library is loaded.

    Args:
        trt: TensorRT's Python module.
        complaints: Where the last error goes.
    """

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                complaints.last = message

    return Logger()
