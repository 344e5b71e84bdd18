"""A server that speaks S3 for a test: moto, in an environment of its own, since it is large."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.support.server import free_port

_PACKAGES = ("--from", "moto[s3]==5.2.5", "--with", "flask>=3.1", "--with", "flask-cors>=6")
_START_S = 120  # it is downloaded once


class S3Server:
    """An S3 with one empty bucket, `bucket`; it can be stopped and started again, empty.

    Attributes:
        environment: What makes a client find it.
    """

    def __init__(self) -> None:
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.environment = {
            "AWS_ENDPOINT": self._url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "an-id",
            "AWS_SECRET_ACCESS_KEY": "a-secret",
            "AWS_REGION": "us-east-1",
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        uv = Path(sys.executable).with_name("uv")
        command = [uv, "tool", "run", *_PACKAGES, "moto_server", "-p", str(self._port)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        started = time.monotonic()
        while not self._has_bucket():
            assert self._process.poll() is None, "moto did not start"
            assert time.monotonic() - started < _START_S
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop it; everything in it is gone."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def _has_bucket(self) -> bool:
        try:
            return httpx.put(f"{self._url}/bucket", timeout=5).is_success
        except httpx.HTTPError:
            return False
