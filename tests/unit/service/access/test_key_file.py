"""The file of keys: whole or not at all, one writer at a time, the last good keys if it is bad."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.access.key_file import BrokenKeyFile, KeyFile, changing, read_key_file
from service.access.keys import KeyEntry, KeyTier, make_key


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def add(file: Path, name: str = "somebody", tier: KeyTier = "basic") -> tuple[str, KeyEntry]:
    with changing(file) as keys:
        key, entry = make_key(name, tier)
        keys.append(entry)
    return key, entry


def test_what_is_written_is_read_and_only_by_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    entries = [add(file, f"number {number}")[1] for number in range(3)]
    assert read_key_file(file) == entries
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)  # by mistake
    add(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"keys.json", "keys.json.lock"}


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    add(file)
    before = file.read_bytes()

    def spoil() -> None:
        with changing(file) as keys:
            keys.clear()
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        spoil()
    assert file.read_bytes() == before


def test_of_many_writers_none_loses_the_key_of_another(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    program = (
        "import sys; from pathlib import Path; from scripts.keys import main\n"
        "for number in range(5):\n"
        "    main(['--file', sys.argv[1], 'add', '--name', sys.argv[2]])"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(file), f"writer {number}"],
            cwd=Path(__file__).parents[4],
            stdout=subprocess.DEVNULL,
        )
        for number in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(read_key_file(file)) == 15


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_writes_stays_its_owners(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    add(file)
    os.chown(file, 1034, 1034)
    add(file)
    assert (file.stat().st_uid, file.stat().st_gid) == (1034, 1034)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read (No such file"),
        ("", "no file of API keys"),
        ("[]", "no file of API keys"),
        ('{"keys": [{}]}', "no file of API keys (keys.0.id: Field required"),
        ('{"keys": [], "more": 1}', "more"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BrokenKeyFile) as broken:
        read_key_file(file)
    assert reason in str(broken.value)
    assert len(str(broken.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", "SECRET"), ("sha256", "SECRET"), ("tier", "SECRET"), ("created", "SECRET")],
)
def test_what_is_wrong_is_named_and_not_repeated(tmp_path: Path, field: str, value: str) -> None:
    file = tmp_path / "keys.json"
    add(file)
    content = json.loads(file.read_text())
    content["keys"][0][field] = value
    file.write_text(json.dumps(content))
    with pytest.raises(BrokenKeyFile) as broken:
        read_key_file(file)
    assert f"keys.0.{field}" in str(broken.value)
    assert "SECRET" not in str(broken.value)


def test_an_id_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    add(file)
    content = json.loads(file.read_text())
    file.write_text(json.dumps({"keys": content["keys"] * 2}))
    with pytest.raises(BrokenKeyFile, match="two keys of one id"):
        read_key_file(file)


def test_a_change_is_seen_after_a_second_and_not_asked_for_before(tmp_path: Path) -> None:
    file, clock = tmp_path / "keys.json", Clock()
    first, _ = add(file)
    known = KeyFile(file, clock)
    assert known.find(first) is not None
    second, entry = add(file)
    assert known.find(second) is None
    clock.now += 1
    assert known.find(second) == entry
    assert known.find(first) is not None


def test_a_bad_file_keeps_the_last_good_keys_and_warns_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, clock = tmp_path / "keys.json", Clock()
    key, _ = add(file)
    good = file.read_bytes()
    known = KeyFile(file, clock)
    assert known.find(key) is not None
    assert known.fault is None
    for spoil in (lambda: file.write_text("{"), file.unlink):
        caplog.clear()
        spoil()
        with caplog.at_level(logging.WARNING):
            for _ in range(5):
                clock.now += 1
                assert known.find(key) is not None
        assert known.fault is not None
        assert len(caplog.records) == 1
        assert key not in caplog.text
    file.write_bytes(good)
    clock.now += 1
    assert known.find(key) is not None
    assert known.fault is None


def test_a_process_that_starts_on_a_bad_file_takes_no_key_and_says_so(tmp_path: Path) -> None:
    known = KeyFile(tmp_path / "keys.json", Clock())
    assert known.find("anything") is None
    assert known.fault is not None


def test_asking_costs_little_however_many_keys_there_are(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    with changing(file) as keys:
        keys += [make_key(f"number {number}", "free")[1] for number in range(2000)]
    known = KeyFile(file)
    known.refresh()
    started = time.perf_counter()
    for _ in range(2000):
        known.find("bgr_000000000000_" + "A" * 43)
    assert time.perf_counter() - started < 1.0
