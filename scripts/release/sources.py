"""The files of one commit, and nothing else that lies about."""

from __future__ import annotations

import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from scripts.command import Unusable
from scripts.release.version import version_of


@dataclass(frozen=True)
class Sources:
    """A commit, unpacked.

    Attributes:
        folder: Its files.
        version: What it calls itself.
        commit: Its hash.
        committed_s: When it was made, in seconds since 1970; what is built takes this time.
    """

    folder: Path
    version: str
    commit: str
    committed_s: int


def unpack(repository: Path, folder: Path) -> Sources:
    """Unpack the commit that is checked out.

    Args:
        repository: A checkout.
        folder: A new, empty folder.

    Raises:
        Unusable: If the checkout has changes: what was built would be of no commit.
    """
    if changes := _git(repository, "status", "--porcelain").decode():
        raise Unusable(f"commit or remove what has changed first:\n{changes.rstrip()}")
    with tarfile.open(fileobj=io.BytesIO(_git(repository, "archive", "HEAD"))) as archive:
        archive.extractall(folder, filter="data")  # its modes: the same whatever the umask
    commit, at = _git(repository, "log", "-1", "--format=%H %ct").decode().split()
    return Sources(folder, version_of(folder), commit, int(at))


def _git(repository: Path, *words: str) -> bytes:
    return subprocess.run(
        ["git", *words], cwd=repository, check=True, stdout=subprocess.PIPE
    ).stdout
