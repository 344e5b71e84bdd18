"""The command for keys: the key is printed once, and nothing else ever tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.command import Unusable
from scripts.keys import main
from service.access.key_file import read_key_file
from service.access.keys import KeyRing


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_a_key_is_made_listed_and_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys.json"
    at = ("--file", str(file))
    key = run(capsys, *at, "add", "--name", "Ada's shop", "--tier", "pro").strip()
    (entry,) = read_key_file(file)
    assert KeyRing([entry]).find(key) == entry
    assert (entry.name, entry.tier, entry.revoked) == ("Ada's shop", "pro", None)
    assert key not in file.read_text()

    listed = run(capsys, *at, "list")
    assert {entry.id, "pro", "Ada's"} <= set(listed.split())
    assert key[-43:] not in listed
    assert entry.sha256 not in listed

    assert entry.id in run(capsys, *at, "revoke", entry.id)
    (revoked,) = read_key_file(file)
    assert KeyRing([revoked]).find(key) is None
    assert "revoked" in run(capsys, *at, "list")
    run(capsys, *at, "revoke", entry.id)  # again
    assert read_key_file(file) == [revoked]


def test_the_file_is_the_settings_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIREFNET_KEYS_FILE", str(tmp_path / "keys.json"))
    run(capsys, "add", "--name", "somebody")
    assert [key.tier for key in read_key_file(tmp_path / "keys.json")] == ["free"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("list",), "cannot be read"),
        (("revoke", "0" * 12), "cannot be read"),
        (("add", "--name", "two\nlines"), "one line"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_makes_no_file(
    tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(Unusable, match=reason):
        main(["--file", str(tmp_path / "keys.json"), *words])
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_id_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--file", str(tmp_path / "keys.json"))
    run(capsys, *at, "add", "--name", "somebody")
    with pytest.raises(Unusable, match="no key has the id 'nobody'"):
        main([*at, "revoke", "nobody"])


def test_without_a_file_it_says_which_setting_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unusable, match="BIREFNET_KEYS_FILE"):
        main(["list"])
