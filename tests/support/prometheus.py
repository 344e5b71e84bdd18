"""A real Prometheus with the alerts of deploy/, which scrapes a server of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.server import free_port

_DEPLOYED = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"


class Prometheus:
    """One that runs.

    Args:
        port: Where it listens.
    """

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """What it answers to a query, series by series.

        Raises:
            httpx.HTTPError: If it refuses, or does not answer.
        """
        result: list[dict[str, Any]] = self._get("query", query=expr)["result"]
        return result

    def rules(self) -> list[dict[str, Any]]:
        """Every alert, with its health and state."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def wait_for(self, expr: str, within_s: float = 30.0) -> None:
        """Wait until a query has an answer."""
        over = time.monotonic() + within_s
        while time.monotonic() < over:
            try:
                if self.ask(expr):
                    return
            except httpx.HTTPError:
                pass  # it starts
            time.sleep(0.2)
        raise AssertionError(f"no answer to {expr}")

    def _get(self, what: str, **params: str) -> Any:
        answer = httpx.get(f"{self._url}/{what}", params=params, trust_env=False)
        return answer.raise_for_status().json()["data"]


@contextmanager
def scraping(port: int, folder: Path) -> Iterator[Prometheus]:
    """Prometheus with the files of deploy/, the server in the place of the replicas it looks for.

    Args:
        port: Of 127.0.0.1, where the server listens.
        folder: Where its files may lie.
    """
    shutil.copytree(_DEPLOYED, folder, dirs_exist_ok=True)
    file, own = folder / "prometheus.yaml", free_port()
    text = file.read_text().replace("scrape_interval: 15s", "scrape_interval: 1s")
    target = f'    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]\n'
    text, replaced = re.subn(r" +dns_sd_configs:\n.*\n", target, text)
    assert replaced == 1
    file.write_text(text.replace("global:\n", "global:\n  evaluation_interval: 1s\n"))
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{own}"], stdout=log, stderr=log
        )
        try:
            yield Prometheus(own)
        finally:
            process.kill()
            process.wait()
