"""How soon a live preview of the served Bento answers.

    python -m scripts.measuring.preview --model u2netp

Starts a service of its own. Prints the report and writes it with its figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx
import numpy as np
from httpx_ws import WebSocketSession, connect_ws

from scripts.command import run_command
from scripts.measuring.pictures import enlarge, find_photos, read_photo
from scripts.measuring.processes import REPOSITORY, our_service
from scripts.measuring.report import Report, begin_run
from scripts.measuring.table import table
from service.http.policies import PREFIX
from service.imaging.encode import encode_picture

_ROUNDS = 60
_LARGE_BYTES = 3_000_000

#: What a person does, the wish of a round: a slider of each kind, and one stroke more each time.
_WISHES: dict[str, Callable[[int], dict[str, object]]] = {
    "smoothing on and off": lambda n: {"options": {"smoothing": n % 2 == 0}},
    "feather 0.2 to 12 px": lambda n: {"options": {"feather": n / 5}},
    "shift -3 to 3 px": lambda n: {"options": {"shift_edge": n / 10 - 3}},
    "background colour": lambda n: {"options": {"bg_color": f"rgb({n},2,3)"}},
    "background blurred": lambda n: {"options": {"bg_blur": n / 10}},
    "shadow and outline": lambda n: {
        "options": {"bg_color": "white", "shadow": "contact", "outline": 1 + n / 100}
    },
    "one stroke more, 1 to 20": lambda n: {"strokes": _strokes(1 + n % 20)},
}


@dataclass(frozen=True)
class Waits:
    """How long one kind of wish took, in milliseconds, on the caller's side.

    Attributes:
        wish: What was wished.
        p50_ms: Half were sooner.
        p95_ms: 95 of 100 were sooner.
        kilobytes: Of the last answer.
    """

    wish: str
    p50_ms: float
    p95_ms: float
    kilobytes: float


@dataclass(frozen=True)
class PreviewReport(Report):
    """What was measured.

    Attributes:
        model: The model that was served.
        first_ms: From a picture of 3 megapixels to its small answer, and to its full one.
        waits: Small answers to wishes.
        message_ms: A message of 3 MB there and its refusal back: median and 95th percentile.
    """

    title: ClassVar[str] = "Live preview"
    model: str
    first_ms: tuple[float, float]
    waits: list[Waits]
    message_ms: tuple[float, float]

    def body(self) -> Iterable[str]:
        """The table."""
        small, full = self.first_ms
        median, high = self.message_ms
        yield f"{self.model}: a picture of 2048x1536 is shown small after {small:.0f} ms, and full"
        yield f"after {full:.0f} ms. A message of 3 MB that is no picture is refused after"
        yield f"{median:.0f} ms (95th percentile {high:.0f} ms). Small answers, 1024x768:"
        yield ""
        rows = [["wish", "p50 ms", "p95 ms", "kB"]]
        for one in self.waits:
            figures = (one.p50_ms, one.p95_ms, one.kilobytes)
            rows.append([one.wish, *(f"{figure:.0f}" for figure in figures)])
        yield from table(rows)


def main(arguments: list[str] | None = None) -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="u2netp")
    parser.add_argument("--output", type=Path, metavar="STEM", help="report, without suffix")
    options = parser.parse_args(arguments)
    run = begin_run("scripts.measuring.preview", arguments)
    photo = read_photo(find_photos(REPOSITORY / "examples" / "photos")[0])
    picture = encode_picture(enlarge(photo, 1536, 2048, 1), "jpeg").data
    with (
        tempfile.TemporaryDirectory() as scratch,
        our_service(options.model, Path(scratch) / "service.log") as server,
    ):
        address = server.url.partition("/api/")[0] + f"{PREFIX}/preview"
        with _open(address) as socket:
            first = _first(socket, picture)
            waits = [_wait(socket, name, wish) for name, wish in _WISHES.items()]
        with _open(address) as socket:
            message = _message(socket)
    report = PreviewReport(*run, options.model, first, waits, message)
    report.publish(options.output or report.stem("preview"))
    return 0


@contextmanager
def _open(address: str) -> Iterator[WebSocketSession]:
    socket: WebSocketSession
    with httpx.Client(timeout=60) as client, connect_ws(address, client) as socket:
        socket.receive_text(timeout=60)
        yield socket


def _answer(socket: WebSocketSession) -> dict[str, Any]:
    """The next message in words, once the bytes it announces are here, too."""
    told: dict[str, Any] = json.loads(socket.receive_text(timeout=60))
    if told["type"] == "picture":
        socket.receive_bytes(timeout=60)
    return told


def _first(socket: WebSocketSession, picture: bytes) -> tuple[float, float]:
    started = time.perf_counter()
    socket.send_bytes(picture)
    _answer(socket)
    small = time.perf_counter()
    _answer(socket)
    return (small - started) * 1e3, (time.perf_counter() - started) * 1e3


def _wait(socket: WebSocketSession, name: str, wish: Callable[[int], dict[str, object]]) -> Waits:
    times, told = [], {}
    for number in range(1, _ROUNDS + 1):
        started = time.perf_counter()
        socket.send_text(json.dumps({"seq": number, "full": False, **wish(number)}))
        told = _answer(socket)
        times.append((time.perf_counter() - started) * 1e3)
    median, high = np.percentile(times, (50, 95))
    size = sum(part["bytes"] for part in told["parts"]) / 1e3
    return Waits(name, float(median), float(high), size)


def _message(socket: WebSocketSession) -> tuple[float, float]:
    data, times = np.random.default_rng(1).bytes(_LARGE_BYTES), []
    for _ in range(20):
        started = time.perf_counter()
        socket.send_bytes(data)
        _answer(socket)
        times.append((time.perf_counter() - started) * 1e3)
    median, high = np.percentile(times, (50, 95))
    return float(median), float(high)


def _strokes(count: int) -> list[dict[str, object]]:
    """Short strokes all over the picture, always the same ones."""
    rng = np.random.default_rng(2)
    places = rng.uniform(0.1, 0.9, (count, 2))
    return [
        {
            "kind": ("keep", "remove")[number % 2],
            "points": [[float(x), float(y)], [float(x) + 0.06, float(y) + 0.02]],
            "radius": 0.012,
        }
        for number, (x, y) in enumerate(places)
    ]


if __name__ == "__main__":
    run_command(main)
