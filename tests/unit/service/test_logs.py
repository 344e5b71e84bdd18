"""One form for every line, and no caller who writes one."""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from service.logs import JsonFormatter, LogConfig, TextFormatter, set_up_logging
from service.startup import check_log_file

NAMES = ("", "service", "models", "bentoml", "circus", "uvicorn.error")
LINE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) public [\w.]+ .*"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(one, one.handlers[:], one.level, one.propagate) for one in loggers]
    yield
    logging.captureWarnings(False)
    for handler in logging.getLogger().handlers:
        if handler not in before[0][1]:
            handler.close()
    for one, handlers, level, propagate in before:
        one.handlers[:] = handlers
        one.setLevel(level)
        one.propagate = propagate


def lines_of(config: LogConfig, file: Path) -> list[str]:
    """Set up with a file, let one of each kind speak, and read."""
    bentomls = logging.getLogger("bentoml")
    bentomls.addHandler(logging.StreamHandler())
    bentomls.propagate = False
    set_up_logging(LogConfig(config.level, file, config.form, config.process))
    logging.getLogger("service.public").info("ready: %s", "u2netp")
    logging.getLogger("bentoml.worker.service").warning("BentoML speaks")
    logging.getLogger("uvicorn.error").error("uvicorn speaks")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("Python warns", stacklevel=1)
    try:
        raise RuntimeError("first\n2026-11-27T00:00:00.000Z INFO public forged second")
    except RuntimeError:
        logging.getLogger("models.serving.failover").exception("a batch failed")
    return file.read_text().splitlines()


def test_every_line_of_text_is_of_one_form_or_indented(tmp_path: Path) -> None:
    lines = lines_of(LogConfig(), tmp_path / "a.log")
    firsts = [line for line in lines if not line.startswith("    ")]
    assert len(firsts) == 5
    for line in firsts:
        assert re.fullmatch(LINE, line), line
    assert not any(line.startswith("2026-11-27T00:00:00") for line in lines)


def test_every_line_of_json_is_an_object_with_its_exception_in_it(tmp_path: Path) -> None:
    records = [json.loads(line) for line in lines_of(LogConfig(form="json"), tmp_path / "a.log")]
    assert [one["logger"] for one in records] == [
        "service.public",
        "bentoml.worker.service",
        "uvicorn.error",
        "py.warnings",
        "models.serving.failover",
    ]
    assert [one["level"] for one in records] == ["info", "warning", "error", "warning", "error"]
    assert all(one["process"] == "public" for one in records)
    for one in records:
        assert datetime.fromisoformat(one["time"]).utcoffset() == timedelta(0)
    assert records[0]["message"] == "ready: u2netp"
    assert "RuntimeError: first" in records[-1]["exception"]


@pytest.mark.parametrize("hostile", ["\r\n", "\x1b[31m", "\x00", "\x85", "\u2028", "\x7f", "\t"])
def test_no_control_character_reaches_the_log(hostile: str) -> None:
    record = logging.LogRecord("service.x", 20, "", 1, "GET %s", (f"/a{hostile}b",), None)
    text, structured = (
        TextFormatter("public").format(record),
        JsonFormatter("public").format(record),
    )
    assert len(structured.splitlines()) == 1
    assert all(line.startswith("    ") for line in text.splitlines()[1:])
    for form in (text, structured):
        assert all(character.isprintable() for character in form.replace("\n    ", ""))
    assert json.loads(structured)["message"] == f"GET /a{hostile}b"


def test_what_follows_a_line_break_is_indented() -> None:
    record = logging.LogRecord("service.x", 20, "", 1, "one\ntwo\nthree", (), None)
    assert TextFormatter("public").format(record).splitlines()[1:] == ["    two", "    three"]


def test_fields_become_keys_of_json_and_none_of_text() -> None:
    record = logging.LogRecord("service.x", 20, "", 1, "GET /x 200", (), None)
    record.fields = {"status": 200, "stages": {"decode": 1.5}}
    entry = json.loads(JsonFormatter("inference").format(record))
    assert (entry["status"], entry["stages"], entry["process"]) == (
        200,
        {"decode": 1.5},
        "inference",
    )
    assert TextFormatter("public").format(record).endswith("service.x GET /x 200")


def test_a_value_json_does_not_know_costs_no_line() -> None:
    record = logging.LogRecord("service.x", 20, "", 1, "x", (), None)
    record.fields = {"file": Path("/x"), "name": "a\udcffb"}
    assert json.loads(JsonFormatter("public").format(record))["file"] == "/x"


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"LOG_FILE: .*x\.log cannot be written"):
        check_log_file(tmp_path / "file" / "x.log")
