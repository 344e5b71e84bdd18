"""What a TensorRT complained of last: the only way to learn why a call of it failed."""

from __future__ import annotations

from typing import Any


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
