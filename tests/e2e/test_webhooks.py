"""Webhooks of a real server whose processes are killed: every event comes, and is one event."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_tasks import MANY
from tests.support.keys import issue_key
from tests.support.server import PREFIX, Serve, slow_picture

pytestmark = [pytest.mark.full, pytest.mark.slow]

_TASKS = 40
_KILLS = 2


class _Receiver(ThreadingHTTPServer):
    """Notes the id of each event; answers slowly, so that a kill may come in between."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.ids.append(self.headers["Webhook-Id"])
        time.sleep(0.2)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    made = _Receiver()
    serving = threading.Thread(target=made.serve_forever)
    serving.start()
    yield made
    made.shutdown()
    serving.join()
    made.server_close()


def test_every_event_comes_however_often_processes_are_killed(
    serve: Serve, receiver: _Receiver, tmp_path: Path
) -> None:
    file, at = tmp_path / "keys.json", f"127.0.0.1:{receiver.server_port}"
    headers = {"X-API-Key": issue_key(file)[0], "Webhook-URL": f"http://{at}/"}
    settings = {"BIREFNET_WEBHOOKS": "true", "BIREFNET_WEBHOOK_SERVERS": at}
    with serve(**MANY, **settings, BIREFNET_KEYS_FILE=str(file)) as server:

        def send(_: int) -> str:
            return server.send_task(slow_picture(0.1), headers=headers)

        with ThreadPoolExecutor(4) as callers:
            tasks = list(callers.map(send, range(_TASKS)))
        for _ in range(_KILLS):
            time.sleep(3)
            server.public.kill()
            time.sleep(2)
            server.wait_until_ready()
        server.finish(*tasks, within_s=120)
        server.wait_for(lambda: len(set(receiver.ids)) == _TASKS, 90, "told of every task")
        time.sleep(8)  # whatever would come again
        assert httpx.get(server.url(f"{PREFIX}/health"), timeout=5).status_code == 200
    times = Counter(receiver.ids)
    assert len(times) == _TASKS
    assert max(times.values()) <= 1 + _KILLS, "more than one more for each kill"
    print(f"{len(receiver.ids) - _TASKS} deliveries more than events")
