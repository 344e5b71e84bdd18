"""What must hold before anything starts, or the one sentence that says what does not."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import CannotStart
from service.settings import Settings
from service.startup import (
    check_address,
    check_extras,
    check_folder,
    check_log_file,
    check_storage,
    check_tasks,
)


def refusal(check: Callable[[], None]) -> str:
    """The sentence."""
    with pytest.raises(CannotStart) as refused:
        check()
    head, sentence = str(refused.value).splitlines()
    assert head == "The service cannot start:"
    return sentence.strip()


def test_a_port_that_is_taken_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal(lambda: check_address("127.0.0.1", port))
    assert re.fullmatch(
        rf"it cannot listen on 127.0.0.1:{port} \(Address already in use\); .*BIREFNET_PORT", said
    )
    check_address("127.0.0.1", port)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    said = refusal(lambda: check_folder(Path("/dev/null/x"), "BIREFNET_CACHE_DIR"))
    assert re.fullmatch(r"BIREFNET_CACHE_DIR: /dev/null/x is not a writable folder \(.*\)", said)
    check_folder(tmp_path / "new" / "folder", "BIREFNET_CACHE_DIR")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_a_log_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    said = refusal(lambda: check_log_file(Path("/dev/null/x.log")))
    assert re.fullmatch(r"LOG_FILE: /dev/null/x.log cannot be written \(.*\)", said)
    check_log_file(tmp_path / "x.log")


def test_a_storage_that_cannot_be_is_refused_where_somebody_may_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    keys = tmp_path / "keys.json"
    for address in ("/dev/null/x", "s3:///x", "gs://", "az://container"):
        said = refusal(lambda address=address: check_storage(address, keys))  # type: ignore[misc]
        assert said.startswith("BIREFNET_STORAGE_URL: ")
        check_storage(address, None)
    check_storage(str(tmp_path / "new" / "folder"), keys)
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o700
    check_storage("s3://bucket/prefix", keys)


def test_tasks_that_could_not_be_kept_are_refused_and_nothing_is_made_before_there_is_one(
    tmp_path: Path,
) -> None:
    check_tasks("sqlite", str(tmp_path / "a" / "b"), "")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    said = refusal(lambda: check_tasks("sqlite", str(tmp_path / "file" / "x"), ""))
    assert "BIREFNET_TASKS=off" in said
    check_tasks("off", str(tmp_path / "file" / "x"), "")
    assert "BIREFNET_STORAGE_URL" in refusal(lambda: check_tasks("postgresql://h/d", "s3://", ""))


def test_what_a_setting_needs_and_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_extras(Settings(otlp_endpoint="http://collector:4318", redis_url="redis://h"))
    for package in ("redis", "opentelemetry.proto"):
        monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    check_extras(Settings())
    said = refusal(lambda: check_extras(Settings(redis_url="redis://h")))
    assert said.startswith("BIREFNET_REDIS_URL: the package redis is not installed; run: ")
