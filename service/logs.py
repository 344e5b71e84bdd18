"""Logging, set up once per process: standard error, and a rotating file if one is named.

Every line has one form, whoever wrote it: ours, BentoML's, uvicorn's and Python's warnings. What a
caller chose (a path, a header) cannot look like a line of ours: in text, a control character is
written as its escape and a further line of a record is indented; in JSON a record is one line.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Literal

_MAX_BYTES = 10_000_000
_KEPT_FILES = 3
_OURS = ("service", "models")
# Loggers to which BentoML gives handlers and a format of its own.
_BENTOMLS = ("bentoml", "circus", "uvicorn.error")
# Line breaks of Unicode among them: some readers of a log break lines there, too.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class LogConfig:
    """Where the log goes, and in which form.

    Attributes:
        level: Lowest level written.
        file: File beside standard error, or None.
        form: `text`, or `json` for one object per line.
        process: Name of the process, which every line holds.
    """

    level: str = "info"
    file: Path | None = None
    form: Literal["text", "json"] = "text"
    process: str = "public"


class TextFormatter(logging.Formatter):
    """A record as `2026-11-27T02:53:10.644Z INFO public service.public ready: ...`.

    Args:
        process: Name of this process.
    """

    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)s {process} %(name)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """When it happened, in UTC."""
        return _time_of(record)

    def format(self, record: logging.LogRecord) -> str:
        """The record; what follows its first line is indented."""
        escaped = _CONTROL.sub(_escape, super().format(record))
        return escaped.replace("\n", "\n    ")


class JsonFormatter(logging.Formatter):
    """A record as a JSON object in one line; what `extra={"fields": ...}` held becomes its keys.

    Args:
        process: Name of this process.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The record, its exception in the key `exception`."""
        entry = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def set_up_logging(config: LogConfig) -> None:
    """Send the records of this process to their places; may be called again.

    Raises:
        OSError: If the file cannot be written.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if config.file is not None:
        handlers.append(open_log_file(config.file))
    form = JsonFormatter if config.form == "json" else TextFormatter
    for handler in handlers:
        handler.setFormatter(form(config.process))
    logging.getLogger().handlers[:] = handlers
    for name in (*_OURS, *_BENTOMLS):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in _OURS:
        logging.getLogger(name).setLevel(config.level.upper())
    logging.captureWarnings(True)


def open_log_file(file: Path) -> RotatingFileHandler:
    """Open a log file for appending; its folder is made if need be.

    Raises:
        OSError: If it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    return RotatingFileHandler(
        file,
        maxBytes=_MAX_BYTES,
        backupCount=_KEPT_FILES,
        encoding="utf-8",
        errors="backslashreplace",
    )


def _time_of(record: logging.LogRecord) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
