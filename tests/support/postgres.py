"""A real Postgres of a test's own, in a temporary folder; it can be stopped and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.server import free_port

_USER = "postgres"  # it refuses to run as root
_BINARIES = Path("/usr/lib/postgresql/15/bin")


class PostgresServer:
    """Postgres with an empty database.

    Args:
        encoding: Of the database. SQL_ASCII is what a host without a locale gives it.

    Attributes:
        url: What `BIREFNET_TASKS` is set to.
    """

    def __init__(self, encoding: str = "UTF8") -> None:
        self._encoding = encoding
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._port = free_port()
        self.url = f"postgresql://{_USER}@127.0.0.1:{self._port}/{_USER}"

    def __enter__(self) -> Self:
        if os.getuid() == 0:
            shutil.chown(self._folder, pwd.getpwnam(_USER).pw_uid)
        made = ("--locale=C", "-E", self._encoding)
        self._run("initdb", "-D", str(self._folder / "data"), "-U", _USER, "-A", "trust", *made)
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if (self._folder / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._folder} -c fsync=off"
        log = str(self._folder / "log")
        self._run(
            "pg_ctl", "-D", str(self._folder / "data"), "-w", "-l", log, "-o", options, "start"
        )

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-m", "immediate", "stop")

    def _run(self, command: str, *arguments: str) -> None:
        words = [str(_BINARIES / command), *arguments]
        if os.getuid() == 0:
            words = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", *words]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=self._folder)
