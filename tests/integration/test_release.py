"""What a release is built of, and how its folder is compared with its checksums."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.command import Unusable
from scripts.release.sources import unpack
from scripts.release.sums import the_one, verify, write_sums


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (folder / ".gitignore").write_text("ignored\n")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def test_what_is_built_is_the_commit_and_nothing_beside_it(
    repository: Path, tmp_path: Path
) -> None:
    (repository / "ignored").write_text("no part of the commit")
    sources = unpack(repository, tmp_path / "made")
    assert {file.name for file in sources.folder.iterdir()} == {"pyproject.toml", ".gitignore"}
    assert (sources.version, len(sources.commit)) == ("1.2.3", 40)


@pytest.mark.parametrize("file", ["pyproject.toml", "new.py"])
def test_a_checkout_with_changes_is_refused(file: str, repository: Path, tmp_path: Path) -> None:
    (repository / file).write_text("changed")
    with pytest.raises(Unusable, match=file):
        unpack(repository, tmp_path / "made")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda folder: (folder / "a.whl").write_text("other"), "a.whl"),
        (lambda folder: (folder / "a.whl").unlink(), "a.whl"),
        (lambda folder: (folder / "b.whl").write_text("more"), "b.whl"),
    ],
    ids=["another file", "a file too few", "a file too many"],
)
def test_a_folder_that_is_not_as_its_checksums_say_is_refused(
    spoil: object, named: str, tmp_path: Path
) -> None:
    (tmp_path / "a.whl").write_text("first")
    write_sums(tmp_path)
    verify(tmp_path)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)
    assert callable(spoil)
    spoil(tmp_path)
    with pytest.raises(Unusable, match=named):
        verify(tmp_path)


def test_one_file_is_one_file(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="has 0 files"):
        the_one(tmp_path, "*.whl")
