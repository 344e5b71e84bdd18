"""The command `birefnet`, run as a person runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.server import REPOSITORY

#: What the command is in an environment where nothing is installed but what it needs.
COMMAND = (sys.executable, "-m", "birefnet_client")


def surroundings(url: str = "", **more: str) -> dict[str, str]:
    """An environment that names a service, or none."""
    named = {"BIREFNET_URL": url} if url else {}
    paths = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY / "client")}
    return {**paths, **named, **more}


def birefnet(
    *words: str | Path, url: str = "", stdin: bytes = b"", cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        env=surroundings(url, **more),
        input=stdin,
        cwd=cwd,
        capture_output=True,
        timeout=120,
        check=False,
    )


def start(*words: str | Path, url: str = "", **more: str) -> subprocess.Popen[bytes]:
    """Start the command and return at once; it heeds an interrupt, also where the tests do not."""
    return subprocess.Popen(
        ["/usr/bin/env", "--default-signal=INT", *COMMAND, *map(str, words)],
        env=surroundings(url, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
