"""Requirements that do not fit ours in, a Python that has them out: an environment made once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.command import Unusable

CACHE = Path.home() / ".cache" / "birefnet-background-removal"


def make_environment(folder: Path, what: str, install: Sequence[str]) -> Path:
    """Make an environment, unless it is there with just these requirements.

    Args:
        folder: Where.
        what: What it holds, in words.
        install: Arguments of `pip install`.

    Returns:
        Its Python.

    Raises:
        Unusable: If it could not be made; pip has said why.
    """
    python = folder / "bin" / "python"
    done = folder / f"{_fingerprint(install)}.installed"
    if done.exists():
        return python
    print(f"making an environment for {what} in {folder}", file=sys.stderr)
    quiet = ["--quiet", "--disable-pip-version-check"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", *quiet, *install], check=True)
    except subprocess.CalledProcessError as failure:
        raise Unusable(f"could not make the environment for {what} in {folder}") from failure
    done.touch()
    return python


def versions(python: Path, names: Sequence[str]) -> dict[str, str]:
    """Versions of some of what an environment holds.

    Args:
        python: Its Python.
        names: Distributions.

    Returns:
        Version by distribution.

    Raises:
        Unusable: If it does not say.
    """
    program = (
        "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    )
    return dict(zip(names, run(python, ["-c", program, *names]).split(), strict=True))


def run(python: Path, arguments: Sequence[str | Path]) -> str:
    """Run a Python and wait.

    Args:
        python: The Python of an environment.
        arguments: Its arguments.

    Returns:
        What it printed.

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


def _fingerprint(install: Sequence[str]) -> str:
    """What is asked for, the contents of lock files included."""
    digest = hashlib.sha256()
    for argument in install:
        file = Path(argument)
        digest.update(file.read_bytes() if file.is_file() else argument.encode())
    return digest.hexdigest()[:16]
