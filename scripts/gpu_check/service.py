"""The service itself, end to end: a server's processes, and callers who send it pictures.

Needs all that the service needs; `python -m scripts.gpu_check.pack` packs it for a machine where
nothing can be installed.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.command import Unusable
from scripts.gpu_check.limit import TimeIsUp, time_limit
from scripts.gpu_check.report import Report
from scripts.gpu_check.served_row import NOT_MEASURED, ServedRow
from scripts.gpu_check.turns import Turns
from scripts.measuring.seeded_network import seeded_network

if TYPE_CHECKING:
    from models.birefnet import BiRefNet
    from scripts.measuring.processes import Server

_NEEDS = ("bentoml", "fastapi", "httpx", "psutil", "cv2", "simplejpeg", "onnx", "safetensors")
_START_S = 90.0  # what a server may take to start, its model's registration included
_LEAST_START_S = 30.0  # do not begin with less
_ROW_S = 40.0
_LAST_LINES = 2
_WARM_UPS = 2
_FEWEST, _MOST = 5, 20  # requests of one caller
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ServedCase:
    """One way to serve a network.

    Attributes:
        name: How tables call it.
        engine: What health must call it; anything else has taken its place.
        settings: `BIREFNET_*` beside the model.
        needs: Modules of its runtime.
    """

    name: str
    engine: str
    settings: Mapping[str, str]
    needs: tuple[str, ...] = ()


_CPU = {"BIREFNET_DEVICE": "cpu", "BIREFNET_PROCESSING_TIMEOUT_SEC": "120"}
_GPU = {"BIREFNET_DEVICE": "cuda", "BIREFNET_ENGINE": "pytorch"}
#: The GPU against the same machine without it.
FIRST = (
    ServedCase("pytorch f16", "pytorch f16", _GPU),
    ServedCase(
        "CPU, openvino f32", "openvino f32", {**_CPU, "BIREFNET_ENGINE": "openvino"}, ("openvino",)
    ),
)
#: Where time is left: whether imaging holds the GPU up, and what else the CPU has.
LATER = (
    ServedCase(
        "pytorch f16, 8 imaging threads", "pytorch f16", {**_GPU, "BIREFNET_NUM_WORKERS": "8"}
    ),
    ServedCase(
        "CPU, openvino bf16",
        "openvino bf16",
        {**_CPU, "BIREFNET_ENGINE": "openvino", "BIREFNET_PRECISION": "bf16"},
        ("openvino",),
    ),
    ServedCase(
        "CPU, onnxruntime f32",
        "onnxruntime f32",
        {**_CPU, "BIREFNET_ENGINE": "onnxruntime"},
        ("onnxruntime",),
    ),
)
#: Size of the pictures, and requests under way at a time.
LOADS = (("1080p", 1), ("12 MP", 1), ("1080p", 4), ("1080p", 16))
_TRIAL = (ServedCase("no network", "fake f32", {**_CPU, "BIREFNET_ENGINE": "fake"}),)
_TRIAL_LOADS = (("96 x 64", 1), ("96 x 64", 4))
_TRIAL_SIZES = {"96 x 64": (96, 64)}
_TRIAL_MODEL = "pvt_v2_b0"  # the smallest that can be registered


class ServiceCheck:
    """Serves networks in one way after another, and asks.

    Args:
        report: Where rows go.
        options: The command line.
        deadline: When to stop, on the monotonic clock.
        networks: Those that are made already, by name.
    """

    def __init__(
        self,
        report: Report,
        options: argparse.Namespace,
        deadline: float,
        networks: Mapping[str, BiRefNet],
    ) -> None:
        self._report, self._turns = report, Turns(report, deadline)
        self._networks, self._enough_s = networks, 3 * options.enough_s
        self._trial = options.smoke
        models = (_TRIAL_MODEL,) if self._trial else tuple(options.models)
        self._models = () if options.no_service else models
        self._loads = _TRIAL_LOADS if self._trial else LOADS

    def run(self, cases: Sequence[ServedCase]) -> None:
        """Measure cases, each with every network; a trial has one of its own instead.

        Args:
            cases: Of `FIRST` and `LATER`.
        """
        # Short, as a socket's path has 103 bytes at most; registered once, for all cases.
        with tempfile.TemporaryDirectory(prefix="gpu-", ignore_cleanup_errors=True) as folder:
            for case in _TRIAL if self._trial else cases:
                for model in self._models:
                    self._measure_case(model, case, Path(folder))

    def _measure_case(self, model: str, case: ServedCase, folder: Path) -> None:
        rows = [ServedRow(model, case.name, size, clients) for size, clients in self._loads]
        missing = [name for name in (*_NEEDS, *case.needs) if find_spec(name) is None]
        if missing:
            why = f"{NOT_MEASURED} {', '.join(missing)} not installed"
            rows = [replace(row, status=why) for row in rows]
        rows = self._turns.to_do(rows, _LEAST_START_S)
        if not rows:
            return
        with self._turns.guard(*rows, limit_s=_START_S + _ROW_S * len(rows)):
            pictures = self._pictures(folder)
            with self._serve(model, case, folder) as (server, engine):
                for row in rows:
                    if self._turns.to_do([row], _ROW_S / 4):
                        with self._turns.guard(row, limit_s=_ROW_S):
                            asked = replace(row, engine=engine)
                            self._report.add(self._ask(server, asked, pictures[row.size]))

    def _pictures(self, folder: Path) -> dict[str, list[Path]]:
        """Two photographs in each size, made once."""
        from scripts.measuring.pictures import SIZES, PictureKind, find_photos, make_pictures

        photos = find_photos(ROOT / "examples" / "photos")[:2]
        sizes = _TRIAL_SIZES if self._trial else SIZES
        made = {}
        for size, (width, height) in sizes.items():
            kind = PictureKind("JPEG", width, height)
            files = sorted(folder.glob(f"*_{width}x{height}.jpeg"))
            made[size] = files or make_pictures(photos, kind, folder)
        return made

    @contextmanager
    def _serve(self, model: str, case: ServedCase, folder: Path) -> Iterator[tuple[Server, str]]:
        """A server and the engine that health names; refused if it is another than wanted."""
        import httpx

        from scripts.measuring.processes import ServerFailed, our_service

        settings = {
            "BENTOML_HOME": str(folder),
            "BIREFNET_CACHE_DIR": str(folder / "cache"),
            "BIREFNET_MODEL_PATH": str(self._checkpoint(model, folder)),
            "BIREFNET_STORAGE_URL": str(folder / "storage"),
            **case.settings,
        }
        log = folder / "serve.log"
        with ExitStack() as stack:
            try:
                with time_limit(_START_S):
                    server = stack.enter_context(our_service("auto", log, settings))
                    health = httpx.get(server.health_url, timeout=10).json()
            except (ServerFailed, TimeIsUp) as failure:
                raise Unusable(f"it did not start: {_last_words(log)}") from failure
            if health["engine"] != case.engine:
                raise Unusable(f"{health['engine']} serves; {'; '.join(health['reasons'])}")
            yield server, health["engine"]

    def _checkpoint(self, model: str, folder: Path) -> Path:
        """The file of a network, written once."""
        from safetensors.torch import save_file

        file = folder / f"{model}.safetensors"
        if not file.exists():
            network = self._networks.get(model) or seeded_network(model)
            save_file(network.state_dict(), file)
        return file

    def _ask(self, server: Server, row: ServedRow, pictures: list[Path]) -> ServedRow:
        """Send pictures for a while and fill the row.

        Raises:
            Unusable: If a picture did not come back.
        """
        from scripts.measuring.load import load
        from scripts.measuring.scraped import Scraped

        alone = asyncio.run(load(server.url, pictures, _WARM_UPS, 1))
        enough = int(self._enough_s * 1e3 / max(alone.p50_latency_ms, 1.0))
        requests = max(_FEWEST, row.clients, min(_MOST * row.clients, 2 * enough))
        before = Scraped.of(server)
        came = asyncio.run(load(server.url, pictures, requests, row.clients))
        if came.successful != came.total_requests:
            raise Unusable(f"not all pictures came back, by status: {came.statuses}")
        spent = Scraped.of(server).since(before)
        return replace(
            row,
            requests=requests,
            p50_ms=came.p50_latency_ms,
            p95_ms=came.p95_latency_ms,
            images_per_s=came.throughput,
            batch_mean=spent.batch_mean,
            batches=spent.batches,
            stages_ms={name: ms / requests for name, ms in spent.stages_ms.items()},
        )


def _last_words(log: Path) -> str:
    """What a server said last, beside that it was asked whether it serves."""
    lines = log.read_text(errors="replace").splitlines()
    said = [line.strip() for line in lines if "access_log" not in line]
    return " ".join(said[-_LAST_LINES:])
