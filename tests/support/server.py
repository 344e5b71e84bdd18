"""A real `bentoml serve` under test: started, asked, stopped, watched until nothing of it lives."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httpx
import psutil
from PIL import Image

from models.arrays import U8Array
from tests.support.pictures import make_noise, make_solid, save

REPOSITORY = Path(__file__).resolve().parents[2]
PREFIX = "/api/background-removal"
START_S = 90.0
STOP_S = 60.0
OURS = ("BIREFNET_", "LOG_", "BENTOML_")
BOUNDARY = "e2e-boundary"
NO_LIMITS = {
    "BIREFNET_RATE_LIMIT_PER_MINUTE": "0",
    "BIREFNET_RATE_LIMIT_PER_SECOND": "0",
    "BIREFNET_MAX_IN_FLIGHT_PER_CLIENT": "0",
}
#: Settings of a service with both models of the store of two.
BOTH = {"BIREFNET_MODELS": "u2netp, u2net", "BIREFNET_MODEL": "", "BIREFNET_ENGINE": "fake"}


class BentoServer:
    """One supervisor with its two workers, on a port, a home and a temporary folder of its own.

    Args:
        models: Folder of the registered models, shared by all servers of a session.
        environment: `BIREFNET_*` and `LOG_*` of this server; nothing of ours is inherited, and what
            is empty is not there.
        target: What is served; a Bento brings its own code.
        limits: Words for `ulimit`, such as `-n 256`, that hold for all processes.
        alone: Words for BentoML's `start-http-server`, which starts one service of several.

    Attributes:
        folder: Everything this server writes: `home`, `tmp`, `cache`, and the log.
        tmp: Its TMPDIR.
        port: Its port on 127.0.0.1.
    """

    def __init__(
        self,
        models: Path,
        environment: dict[str, str],
        target: str = "service.public:BackgroundRemoval",
        limits: str = "",
        alone: Sequence[str] = (),
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="e2e-"))  # short: a socket's path has 103 bytes
        self.tmp = self.folder / "tmp"
        self.tmp.mkdir()
        (self.folder / "home").mkdir()
        (self.folder / "home" / "models").symlink_to(models)
        self.port = int(environment.get("BIREFNET_PORT", free_port()))
        self._environment = environment
        self._target = target
        self._limits = limits
        self._command = ["bentoml", "serve"]
        if alone:
            self._command = ["bentoml_cli._internal.start", "start-http-server", *alone]
        self._log: IO[bytes] | None = None
        self._supervisor: psutil.Popen | None = None
        self._seen: dict[int, psutil.Process] = {}

    def __enter__(self) -> Self:
        """Start, and wait until pictures are served."""
        self.launch()
        try:
            self.wait_until_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and fail if something survives."""
        self.close()

    def launch(self) -> None:
        """Start the supervisor and return at once."""
        inherited = {k: v for k, v in os.environ.items() if not k.upper().startswith(OURS)}
        environment = {
            **inherited,
            "BENTOML_HOME": str(self.folder / "home"),
            "BENTOML_DO_NOT_TRACK": "True",
            "BIREFNET_PORT": str(self.port),
            "BIREFNET_CACHE_DIR": str(self.folder / "cache"),
            "BIREFNET_MODEL": "u2netp",
            "BIREFNET_STORAGE_URL": str(self.folder / "storage"),
            "PYTHONPATH": str(REPOSITORY),
            "TMPDIR": str(self.tmp),
            **self._environment,
        }
        if self._log is not None:  # launched before
            self._log.close()
        self._log = (self.folder / "serve.log").open("ab")
        self._supervisor = psutil.Popen(
            [*self._shell(), sys.executable, "-m", *self._command, self._target],
            cwd=self.folder,  # not the repository: a developer's .env there must not decide a test
            env={name: value for name, value in environment.items() if value},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def _shell(self) -> list[str]:
        """A shell that sets limits and becomes the command that follows."""
        return ["bash", "-c", f'ulimit {self._limits}; exec "$@"', "bash"] if self._limits else []

    def wait_until_ready(self, within_s: float = START_S) -> None:
        """Wait until `/readyz` says 200.

        Raises:
            AssertionError: With the log, if the supervisor ends or time is up.
        """
        self.wait_for(lambda: self.status_of("/readyz") == 200, within_s, "ready")

    def wait_for(self, condition: Callable[[], bool], within_s: float, name: str) -> float:
        """Wait until a condition holds; how many seconds it took."""
        started = time.monotonic()
        while not condition():
            assert self.supervisor.poll() is None, f"the server ended:\n{self.log()}"
            waited_s = time.monotonic() - started
            assert waited_s < within_s, f"not {name} after {within_s:g} s:\n{self.log()[-6000:]}"
            time.sleep(0.1)
        self.workers()
        return time.monotonic() - started

    @property
    def supervisor(self) -> psutil.Popen:
        """The process that was started."""
        assert self._supervisor is not None
        return self._supervisor

    def workers(self) -> dict[str, psutil.Process]:
        """The supervisor's workers, by the name of their service."""
        found = {}
        try:
            children = self.supervisor.children(recursive=True)
        except psutil.NoSuchProcess:
            return {}
        for child in children:
            self._seen[child.pid] = child
            try:
                words = child.cmdline()
            except psutil.Error:
                continue
            if "--service-name" in words:
                found[words[words.index("--service-name") + 1]] = child
        return found

    @property
    def public(self) -> psutil.Process:
        """The worker that speaks HTTP."""
        return self.workers()["background_removal"]

    @property
    def inference(self) -> psutil.Process:
        """The worker that runs the network."""
        return self.workers()["inference"]

    def url(self, path: str = f"{PREFIX}/remove") -> str:
        """Address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path: str) -> httpx.Response:
        """One GET on a connection of its own."""
        return httpx.get(self.url(path), timeout=10, verify=False)

    def status_of(self, path: str) -> int:
        """Status of a GET, 0 if nobody answers."""
        try:
            return self.get(path).status_code
        except httpx.HTTPError:
            return 0

    def health(self) -> dict[str, Any]:
        """What health says."""
        told: dict[str, Any] = self.get(f"{PREFIX}/health").json()
        return told

    def remove(
        self, data: bytes, *, path: str = f"{PREFIX}/remove", source: str | None = None, **form: Any
    ) -> httpx.Response:
        """Send one picture on a connection of its own.

        Args:
            data: The file.
            path: Where to.
            source: Loopback address to call from, to be another client.
            form: Fields beside the file; `headers` are headers.
        """
        headers = form.pop("headers", None)
        transport = httpx.HTTPTransport(local_address=source, verify=False)  # no TLS to set up
        with httpx.Client(transport=transport, timeout=60, headers=headers) as client:
            return client.post(self.url(path), files={"image": ("a.png", data)}, data=form)

    def send_task(self, data: bytes, **form: Any) -> str:
        """Have a task accepted; its id."""
        answer = self.remove(data, path=f"{PREFIX}/remove-async", **form)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["task_id"])

    def task(self, task_id: str) -> dict[str, Any]:
        """What is told of a task; `{}` if nobody answers."""
        try:
            answer = self.get(f"{PREFIX}/status/{task_id}")
        except httpx.HTTPError:
            return {}
        assert answer.status_code in (200, 503), answer.text
        told: dict[str, Any] = answer.json()
        return told if answer.status_code == 200 else {}

    def finish(self, *task_ids: str, within_s: float = 60) -> list[dict[str, Any]]:
        """Wait until tasks are finished; what is told of each."""
        give_up, told = time.monotonic() + within_s, [self.task(one) for one in task_ids]
        while any(one.get("status", "processing") == "processing" for one in told):
            assert time.monotonic() < give_up, f"{told}\n{self.log()[-6000:]}"
            time.sleep(0.2)
            told = [
                one if one.get("status") in ("completed", "failed") else self.task(task_id)
                for one, task_id in zip(told, task_ids, strict=True)
            ]
        return told

    def metrics(self) -> dict[str, float]:
        """Every sample of `/metrics`, by its name with labels."""
        samples = {}
        for line in self.get("/metrics").text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def log(self) -> str:
        """Everything the server has printed, without colours."""
        text = (self.folder / "serve.log").read_text(errors="replace")
        return re.sub(r"\x1b\[[0-9;]*m", "", text)

    def begin_upload(
        self, body: bytes, share: float, announced: int | None = None
    ) -> socket.socket:
        """Send the head of a removal and a share of its body; the caller closes the socket."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        head = (
            f"POST {PREFIX}/remove HTTP/1.1\r\nHost: test\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
            f"Content-Length: {len(body) if announced is None else announced}\r\n\r\n"
        )
        connection.sendall(head.encode() + body[: round(len(body) * share)])
        return connection

    def wait_for_end(self, within_s: float = STOP_S) -> int:
        """Wait until the supervisor has ended by itself; its exit status."""
        return int(self.supervisor.wait(within_s))

    def terminate(self) -> None:
        """Tell the supervisor to stop, as an operator would, and return at once."""
        self.workers()
        self.supervisor.send_signal(signal.SIGTERM)

    def stop(self, within_s: float = STOP_S) -> float:
        """Stop gracefully; how many seconds it took.

        Raises:
            AssertionError: If it takes longer, or a process survives.
        """
        started = time.monotonic()
        self.terminate()
        try:
            self.wait_for_end(within_s)
        except psutil.TimeoutExpired:
            raise AssertionError(f"not stopped in {within_s:g} s:\n{self.log()[-6000:]}") from None
        elapsed_s = time.monotonic() - started
        assert self.survivors(within_s=2) == []
        return elapsed_s

    def survivors(self, within_s: float) -> list[psutil.Process]:
        """Those of our processes that still live after so many seconds."""
        _, alive = psutil.wait_procs(list(self._seen.values()), timeout=within_s)
        return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]

    def close(self) -> None:
        """Stop whatever still runs, and remove the folder; fails if it had to be killed."""
        if self._supervisor is None:
            return
        stuck: list[psutil.Process] = []
        if self._supervisor.poll() is None:
            self.terminate()
            try:
                self.wait_for_end()
            except psutil.TimeoutExpired:
                stuck.append(self._supervisor)
        stuck += self.survivors(within_s=5)
        for process in stuck:
            process.kill()
        log = self.log()
        if self._log is not None:
            self._log.close()
        self._supervisor.wait(10)
        self._supervisor = None
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not stuck, f"had to be killed: {stuck}\n{log[-6000:]}"


Serve = Callable[..., AbstractContextManager[BentoServer]]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def slow_picture(seconds: float) -> bytes:
    """A picture that the fake engine takes so long for; see `models.engines.fake`."""
    return make_solid("PNG", 96, 96, (255, 0, round(seconds * 50)))


def mosaic_picture(height: int, width: int) -> bytes:
    """A large picture in a small file: long to decode and to encode, quick to send."""
    return save(Image.fromarray(mosaic_pixels(height, width)), "PNG", compress_level=1)


def mosaic_pixels(height: int, width: int) -> U8Array:
    """Tiles of 40 by 40 pixels, each of one colour."""
    tiles = make_noise(height // 40 + 1, width // 40 + 1)
    return tiles.repeat(40, axis=0).repeat(40, axis=1)[:height, :width].copy()


def multipart(data: bytes) -> bytes:
    """The body of a form with one file, for tests that send it in pieces."""
    head = (
        f"--{BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="image"; filename="a.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    )
    return head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
