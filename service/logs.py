"""Logging, set up once per process: standard error, and a rotating file if one is named."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_MAX_BYTES = 10_000_000
_KEPT_FILES = 3


@dataclass(frozen=True)
class LogConfig:
    """Where the log goes.

    Attributes:
        level: Lowest level written.
        file: File beside standard error, or None.
    """

    level: str = "info"
    file: Path | None = None


def set_up_logging(config: LogConfig) -> None:
    """Send the records of our packages to their places; may be called again.

    Raises:
        SystemExit: If the file cannot be written.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if config.file is not None:
        handlers.append(_open(config.file))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(_FORMAT))
    for name in ("service", "models"):
        logger = logging.getLogger(name)
        logger.handlers[:] = handlers
        logger.setLevel(config.level.upper())
        logger.propagate = False


def check_log_file(file: Path) -> None:
    """Find out before anything starts whether a log file can be written.

    Raises:
        SystemExit: With one sentence, if not.
    """
    _open(file).close()


def _open(file: Path) -> RotatingFileHandler:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return RotatingFileHandler(file, maxBytes=_MAX_BYTES, backupCount=_KEPT_FILES)
    except OSError as refused:
        raise SystemExit(
            f"The service cannot start:\n  LOG_FILE: {file} cannot be written ({refused.strerror})"
        ) from refused
