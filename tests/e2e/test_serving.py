"""One picture in, its cutout out, through the real processes and the real network."""

from __future__ import annotations

import base64
import re
import subprocess
import sys

import numpy as np

from models.arrays import U8Array
from tests.support.pictures import make_image, open_image
from tests.support.problems import assert_problem
from tests.support.server import NO_LIMITS, PREFIX, REPOSITORY, BentoServer


def _alpha(png: bytes) -> U8Array:
    image = open_image(png)
    assert (image.format, image.mode) == ("PNG", "RGBA")
    return np.asarray(image.getchannel("A"))


def test_health_says_what_really_serves(real_server: BentoServer) -> None:
    health = real_server.health()
    assert (health["status"], health["reasons"]) == ("healthy", [])
    assert (health["model"], health["architecture"]) == ("u2netp", "U2-Net-p")
    assert re.fullmatch(r"(openvino|onnxruntime) [a-z]+[0-9]+", health["engine"])
    assert (health["device"], health["tensorrt_enabled"]) == ("cpu", False)
    assert health["model_files_status"]["checkpoint"] is True


def test_health_admits_that_the_fake_engine_is_fake(fake_server: BentoServer) -> None:
    health = fake_server.health()
    assert (health["status"], health["engine"]) == ("degraded", "fake f32")
    assert any("no model runs" in reason for reason in health["reasons"])


def test_health_counts_the_removals_of_the_last_hour(real_server: BentoServer) -> None:
    before = real_server.health()["performance_metrics"]["requests_last_hour"]
    assert real_server.remove(make_image("PNG")).status_code == 200
    after = real_server.health()["performance_metrics"]
    assert after["requests_last_hour"] == before + 1
    assert after["avg_latency_ms"] > 0


def test_the_subject_is_opaque_and_the_corner_is_transparent(
    real_server: BentoServer, astronaut: bytes
) -> None:
    alpha = _alpha(real_server.remove(astronaut).content)
    assert alpha.shape == (512, 512)
    assert alpha[100:160, 200:250].min() > 240  # the face
    assert alpha[:40, :40].max() < 15
    assert 0.25 < (alpha > 127).mean() < 0.75


def test_a_cutout_comes_with_every_promised_header(
    real_server: BentoServer, astronaut: bytes
) -> None:
    answer = real_server.remove(astronaut, headers={"X-Request-ID": "e2e-1"})
    headers = answer.headers
    assert headers["content-type"] == "image/png"
    assert int(headers["content-length"]) == len(answer.content)
    assert re.fullmatch(
        r'attachment; filename="a_nobg_\d{8}_\d{6}\.png"', headers["content-disposition"]
    )
    assert 0 < float(headers["x-processing-time-ms"]) < 60_000
    assert headers["x-original-size"] == "512x512"
    assert headers["x-model-version"] == "u2netp"
    assert headers["x-engine"] == real_server.health()["engine"]
    assert headers["x-request-id"] == "e2e-1"
    assert "retry-after" not in headers


def test_base64_carries_the_same_picture(real_server: BentoServer, astronaut: bytes) -> None:
    plain = real_server.remove(astronaut)
    body = real_server.remove(astronaut, return_base64="true").json()
    kind, _, encoded = body["processed_image"].partition(",")
    assert (body["success"], kind) == (True, "data:image/png;base64")
    assert np.array_equal(_alpha(base64.b64decode(encoded)), _alpha(plain.content))
    info = body["processing_info"]
    assert (info["original_size"], info["output_size"]) == ("512x512", "512x512")
    assert (info["model_version"], info["edge_smoothing_applied"]) == ("u2netp", True)


def test_nothing_is_ready_before_one_removal_has_run(serve_cold: BentoServer) -> None:
    seen = []
    while not seen or seen[-1] != 200:
        assert serve_cold.supervisor.poll() is None, serve_cold.log()
        was_warm = "ready: u2netp" in serve_cold.log()
        seen.append(serve_cold.status_of("/readyz"))
        if seen[-1] not in (0, 200):
            early = serve_cold.get(f"{PREFIX}/health")
            if early.status_code == 503:
                assert early.json()["status"] == "unhealthy"
        elif seen[-1] == 200:
            assert was_warm or "ready: u2netp" in serve_cold.log()
    assert set(seen) <= {0, 200, 503}
    assert 503 in seen, "the server was never seen cold"


def test_unknown_paths_make_no_metric_series(fake_server: BentoServer) -> None:
    assert_problem(fake_server.get("/first-stranger"), "NOT_FOUND")
    fake_server.metrics()  # the scrape has series of its own
    before = set(fake_server.metrics())
    for number in range(20):
        assert_problem(fake_server.get(f"/stranger-{number}"), "NOT_FOUND")
        assert_problem(fake_server.get(f"{PREFIX}/stranger-{number}"), "NOT_FOUND")
    after = fake_server.metrics()
    assert not [name for name in after if "stranger" in name]
    assert set(after) - before == set()
    assert any('route="unmatched"' in name for name in after)


def test_the_public_service_imports_no_ml_runtime(model_store: object) -> None:
    program = (
        "import sys, service.public\n"
        "print([m for m in ('torch', 'openvino', 'onnxruntime', 'tensorrt') if m in sys.modules])"
    )
    home = {"BENTOML_HOME": str(model_store).removesuffix("/models"), **NO_LIMITS}
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env={"BIREFNET_MODEL": "u2netp", "PATH": "", "HOME": "/nonexistent", **home},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.stdout.strip(), found.returncode) == ("[]", 0), found.stderr
