"""Environments for packages that do not fit into ours: made once, and run from ours."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.command import Unusable

CACHE = Path.home() / ".cache" / "birefnet-background-removal"
_VERSIONS = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"


@dataclass(frozen=True)
class Environment:
    """A Python with packages of its own.

    Attributes:
        what: What it holds, in words.
        folder: Its name in the cache.
        install: Arguments of `pip install`.
        names: Distributions whose versions matter.
    """

    what: str
    folder: str
    install: tuple[str, ...]
    names: tuple[str, ...]

    def make(self) -> Path:
        """Make it, unless it is there with just these requirements.

        Returns:
            Its Python.

        Raises:
            Unusable: If it could not be made; pip has said why.
        """
        folder = CACHE / self.folder
        python, done = folder / "bin" / "python", folder / f"{self._fingerprint()}.installed"
        if done.exists():
            return python
        print(f"making an environment for {self.what} in {folder}", file=sys.stderr)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            subprocess.run([*pip, *self.install], check=True)
        except subprocess.CalledProcessError as failure:
            reason = f"could not make the environment for {self.what} in {folder}"
            raise Unusable(reason) from failure
        done.touch()
        return python

    def versions(self, python: Path) -> dict[str, str]:
        """Version of each of its `names`, as a Python has it that was made so or brought along.

        Raises:
            Unusable: If it does not say.
        """
        found = run(python, ["-c", _VERSIONS, *self.names]).split()
        return dict(zip(self.names, found, strict=True))

    def _fingerprint(self) -> str:
        """What is asked for, the contents of lock files included."""
        digest = hashlib.sha256()
        for argument in self.install:
            file = Path(argument)
            digest.update(file.read_bytes() if file.is_file() else argument.encode())
        return digest.hexdigest()[:16]


def run(python: Path, arguments: Sequence[str | Path]) -> str:
    """Run a Python with arguments and wait for what it prints.

    Raises:
        Unusable: If it fails; what it said is on standard error.
    """
    try:
        told = subprocess.run(
            [str(python), *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True
        )
    except subprocess.CalledProcessError as failure:
        raise Unusable(f"{python} failed with exit status {failure.returncode}") from failure
    return told.stdout
