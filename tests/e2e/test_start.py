"""What the service refuses to start with, in one sentence; and what it starts with and admits.

Every other such sentence: `tests/unit/service/test_settings.py` and `test_startup.py`, and
`tests/integration/test_model_choice.py`.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.support.pictures import make_image
from tests.support.problems import assert_problem
from tests.support.server import NO_LIMITS, BentoServer, Serve, slow_picture


def _refusal(models: Path, environment: dict[str, str]) -> str:
    """What the service says when it refuses; fails if it does not, or rambles."""
    server = BentoServer(models, environment)
    server.launch()
    try:
        status = server.wait_for_end(30)
        said = server.log().strip().splitlines()
    finally:
        server.close()
    assert status == 1
    assert said[0] == "The service cannot start:", said
    assert len(said) == 2, said
    return said[1].strip()


def test_it_refuses_to_start_with_settings_it_does_not_know_in_one_sentence(
    model_store: Path,
) -> None:
    said = _refusal(model_store, {"BIREFNET_ENGNE": "fake"})
    assert said == "BIREFNET_ENGNE is not a setting; did you mean BIREFNET_ENGINE?"


def test_it_refuses_to_start_on_a_port_that_is_taken(model_store: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = _refusal(model_store, {"BIREFNET_PORT": str(port)})
    assert re.fullmatch(
        rf"it cannot listen on 127.0.0.1:{port} \(Address already in use\); .*", said
    )


@pytest.mark.parametrize(
    ("variable", "value"), [("LOG_FILE", "/dev/null/x.log"), ("BIREFNET_CACHE_DIR", "/dev/null/x")]
)
def test_it_refuses_to_start_where_it_cannot_write(
    model_store: Path, variable: str, value: str
) -> None:
    assert _refusal(model_store, {variable: value}).startswith(f"{variable}: {value} ")


def test_it_refuses_to_start_without_the_file_of_keys_it_was_told(
    model_store: Path, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    said = _refusal(model_store, {"BIREFNET_KEYS_FILE": str(file)})
    assert said == (
        f"BIREFNET_KEYS_FILE: {file} cannot be read (No such file or directory); "
        "python -m scripts.keys add makes it"
    )


def test_it_ends_where_no_engine_can_be_opened(model_store: Path) -> None:
    server = BentoServer(model_store, {"BIREFNET_ENGINE": "openvino", "BIREFNET_PRECISION": "int8"})
    server.launch()
    try:
        server.wait_for_end(30)
        assert "int8 is not available here" in server.log()  # u2netp has no 8-bit graph
        assert server.survivors(within_s=2) == []
    finally:
        server.close()


def test_less_than_was_asked_for_is_served_and_admitted(serve: Serve) -> None:
    settings = {
        "BIREFNET_ENGINE": "onnxruntime",
        "BIREFNET_DEVICE": "cuda",
        "BIREFNET_USE_TENSORRT": "true",
        "BIREFNET_MODEL": "auto",
    }
    with serve(**settings) as server:
        health = server.get("/api/background-removal/health")
        told = health.json()
        assert (health.status_code, told["status"]) == (200, "degraded")
        assert (told["engine"], told["device"], told["model"]) == (
            "onnxruntime f32",
            "cpu",
            "u2netp",
        )
        reasons = "\n".join(told["reasons"])
        assert "BIREFNET_DEVICE=cuda, but" in reasons
        assert "BIREFNET_USE_TENSORRT=true has no effect on a CPU" in reasons
        assert "only a light model is registered: u2netp" in reasons
        assert server.remove(make_image("PNG")).headers["x-engine"] == "onnxruntime f32"


@pytest.mark.full
def test_the_precision_asked_for_is_the_one_that_runs(serve: Serve) -> None:
    with open("/proc/cpuinfo") as info:
        if "avx512_bf16" not in (flags := info.read()) and "amx_bf16" not in flags:
            pytest.skip("this CPU has no bf16")
    with serve(BIREFNET_ENGINE="openvino", BIREFNET_PRECISION="bf16") as server:
        assert server.health()["engine"] == "openvino bf16"
        assert server.remove(make_image("PNG")).headers["x-engine"] == "openvino bf16"


@pytest.mark.full
def test_the_log_file_and_the_deadline_do_what_they_say(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "logs" / "service.log"
    settings = {"LOG_FILE": str(file), "LOG_LEVEL": "debug", "BIREFNET_PROCESSING_TIMEOUT_SEC": "1"}
    settings["BIREFNET_BATCH_SIZE"] = "1"  # less than BentoML takes by itself
    with serve(**settings, **NO_LIMITS) as server:
        assert server.remove(make_image("PNG"), headers={"X-Request-ID": "quick"}).is_success
        late = assert_problem(server.remove(slow_picture(2)), "PROCESSING_TIMEOUT")
    assert late["detail"] == "Processing timeout exceeded 1 seconds"
    assert 1 <= late["elapsed_seconds"] < 2
    assert late["suggested_action"] == "Reduce image size or retry with smaller image"
    assert {path.name for path in file.parent.iterdir()} == {"service.log", "service.inference.log"}
    lines = file.read_text()
    assert re.search(r"POST /api/background-removal/remove 200 .* id=quick\n", lines)
    assert re.search(r"stages of quick in ms: .*decode=.*encode=", lines)
    assert "error=PROCESSING_TIMEOUT" in lines
    assert "serving u2netp" in file.with_name("service.inference.log").read_text()
