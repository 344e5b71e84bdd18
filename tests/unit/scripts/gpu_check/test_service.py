"""The service in the check of a GPU: really served and asked, or a row that says why not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from scripts.gpu_check import service
from scripts.gpu_check.__main__ import main
from scripts.gpu_check.report import Report
from scripts.gpu_check.service import FIRST, LATER, ServedCase, ServiceCheck
from scripts.measuring.scraped import Scraped

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="tests what happens on a CPU")

OPTIONS = Namespace(smoke=True, no_service=False, models=["tiny"], enough_s=0.05)
#: What a machine has beside Python where nothing was installed but PyTorch.
BARE = (
    *("torch", "torchgen", "functorch", "numpy", "sympy", "mpmath", "networkx", "jinja2"),
    *("markupsafe", "filelock", "fsspec", "typing_extensions"),
)
METRICS = """\
# TYPE background_removal_stage_seconds histogram
background_removal_stage_seconds_sum{stage="decode"} 0.5
background_removal_stage_seconds_count{stage="decode"} 8.0
background_removal_stage_seconds_sum{stage="inference"} 1.25
bentoml_service_adaptive_batch_size_sum{method_name="predict",worker_index="1"} 12.0
bentoml_service_adaptive_batch_size_bucket{le="1.0",method_name="predict"} 2.0
bentoml_service_adaptive_batch_size_bucket{le="2.0",method_name="predict"} 3.0
bentoml_service_adaptive_batch_size_bucket{le="4.0",method_name="predict"} 5.0
bentoml_service_adaptive_batch_size_bucket{le="+Inf",method_name="predict"} 5.0
bentoml_service_adaptive_batch_size_count{method_name="predict"} 5.0
"""


def serve(folder: Path, left_s: float = 200.0) -> Report:
    """Only the services of a trial."""
    report = Report(folder / "gpu.json")
    ServiceCheck(report, OPTIONS, time.monotonic() + left_s, {}).run(FIRST)
    return report


def test_metrics_tell_stages_and_the_sizes_of_batches() -> None:
    found = Scraped.read(METRICS)
    assert found.stages_ms == {"decode": 500, "inference": 1250}
    assert found.batches == {"1.0": 2, "2.0": 1, "4.0": 2}
    assert found.batch_mean == pytest.approx(2.4)


def test_what_was_counted_before_does_not_count() -> None:
    later = METRICS.replace('="decode"} 0.5', '="decode"} 0.75').replace(" 12.0", " 16.0")
    later = later.replace("} 5.0", "} 6.0")
    spent = Scraped.read(later).since(Scraped.read(METRICS))
    assert spent.stages_ms == {"decode": 250}
    assert spent.batches == {"4.0": 1}
    assert spent.batch_mean == pytest.approx(4)
    assert Scraped.read("").batch_mean is None


def test_what_the_service_needs_and_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_NEEDS", ("numpy", "nobody_has_this"))
    rows = serve(tmp_path).served.values()
    assert [row.status for row in rows] == ["not measured: nobody_has_this not installed"] * 2
    assert not any(Report.resume(tmp_path / "gpu.json").has(*row.key) for row in rows)


def test_no_server_is_started_that_has_no_time(tmp_path: Path) -> None:
    began = time.monotonic()
    rows = serve(tmp_path, left_s=2.0).served.values()
    assert [row.status for row in rows] == ["skipped: 2 s left, 30 needed"] * 2
    assert time.monotonic() - began < 2


def test_every_way_to_serve_is_another() -> None:
    cases = [*FIRST, *LATER]
    assert len({case.name for case in cases}) == len({str(case.settings) for case in cases})


@pytest.mark.full
def test_the_whole_command_serves_and_asks(tmp_path: Path) -> None:
    assert main(["--smoke", "--output", str(tmp_path / "gpu.json")]) == 0
    report = Report.resume(tmp_path / "gpu.json")
    rows = list(report.served.values())
    assert [(row.status, row.clients) for row in rows] == [("ok", 1), ("ok", 4)]
    for row in rows:
        assert row.engine == "fake f32"
        # A service tries its batch sizes after its start, so there may be more than were asked for.
        assert row.requests <= round(sum(row.batches.values()) * (row.batch_mean or 0))
        assert 0 < (row.p50_ms or 0) <= (row.p95_ms or 0)
        assert row.stages_ms["decode"] > 0
    assert "| pvt_v2_b0 | no network | 96 x 64 | 4 |" in report.as_markdown()


@pytest.mark.full
@pytest.mark.parametrize(
    ("engine", "setting", "why"),
    [
        ("fake f32", "nonsense", "BIREFNET_ENGINE"),
        ("pytorch f16", "fake", "fake f32 serves; BIREFNET_ENGINE=fake"),
    ],
)
def test_a_service_that_is_not_what_was_asked_for_says_why(
    engine: str, setting: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = ServedCase("other", engine, {"BIREFNET_ENGINE": setting})
    monkeypatch.setattr(service, "_TRIAL", (case,))
    rows = serve(tmp_path).served.values()
    assert all(row.status.startswith("failed: Unusable: ") for row in rows)
    assert all(why in row.status for row in rows)


@pytest.mark.full
def test_a_machine_with_pytorch_alone_is_measured(tmp_path: Path, root: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for name in BARE:
        spec = find_spec(name)
        assert spec is not None, name
        origin = Path(str(spec.origin))
        place = origin.parent if origin.name == "__init__.py" else origin
        (site / place.name).symlink_to(place)
        for beside in (*place.parent.glob(f"{name}-*"), *place.parent.glob(f"{name}.libs")):
            (site / beside.name).symlink_to(beside)
    file = tmp_path / "gpu.json"
    command = [sys.executable, "-S", "-m", "scripts.gpu_check", "--smoke", "--output", str(file)]
    done = subprocess.run(
        [*command, "--packed", str(tmp_path)],
        cwd=root,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert any(row["status"] == "ok" for row in found["rows"])
    assert found["not_run"]["onnxruntime CUDA f16"] == "onnxruntime is not installed"
    for row in found["served"]:
        assert row["status"].startswith("not measured: bentoml, fastapi, httpx"), row
