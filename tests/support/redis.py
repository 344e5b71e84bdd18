"""A real Redis of a test's own, on a Unix socket in a temporary folder."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.support.certificates import make_certificate
from tests.support.server import free_port


class RedisServer:
    """Redis without a port and without files; it can be killed, stopped and started again.

    Args:
        tls: Whether it also listens on a port with TLS, which its url then names.

    Attributes:
        url: What `BIREFNET_REDIS_URL` is set to.
        certificate: Of TLS, for 127.0.0.1, signed by itself.
    """

    def __init__(self, tls: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self._socket = self._folder / "redis.sock"
        self._process: psutil.Popen | None = None
        self.url = f"redis+unix://{self._socket}"
        self.certificate = self._folder / "certificate.pem"
        self._tls: list[str] = []
        if tls:
            port, key = free_port(), self._folder / "key.pem"
            make_certificate(self.certificate, key)
            self.url = f"rediss://127.0.0.1:{port}/0"
            self._tls = ["--bind", "127.0.0.1", "--tls-port", str(port)]
            self._tls += ["--tls-cert-file", str(self.certificate), "--tls-key-file", str(key)]
            self._tls += ["--tls-auth-clients", "no", "--tls-ca-cert-file", str(self.certificate)]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    @property
    def process(self) -> psutil.Popen:
        """The process that was started last."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start it, empty, and wait until it listens."""
        words = [
            "--port",
            "0",
            "--unixsocket",
            str(self._socket),
            "--save",
            "",
            "--daemonize",
            "no",
        ]
        self._process = psutil.Popen(
            ["redis-server", *words, *self._tls], cwd=self._folder, stdout=subprocess.DEVNULL
        )
        for _ in range(200):
            asked = subprocess.run(
                ["redis-cli", "-s", str(self._socket), "ping"], capture_output=True, check=False
            )
            if asked.stdout.strip() == b"PONG":
                return
            assert self._process.poll() is None, "Redis did not start"
            time.sleep(0.05)
        raise AssertionError("Redis does not answer")

    def ask(self, *words: str) -> str:
        """What it answers to a command."""
        command = ["redis-cli", "-s", str(self._socket), *words]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

    def suspend(self) -> None:
        """Let it answer nothing and keep its connections."""
        self.process.suspend()

    def resume(self) -> None:
        """Let it answer again."""
        self.process.resume()

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.wait()
        self._socket.unlink(missing_ok=True)
