"""An option is one field and one step: form, schema, native endpoint and documentation follow."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.pictures import make_image
from tests.support.problems import assert_problem
from tests.support.server import NO_LIMITS, PREFIX, REPOSITORY, Serve

# Python imports it before anything else: what a change of two files would have written there.
CHANGE = """
import os
if os.environ.get("WITH_FADE"):
    from pydantic import Field
    import service.removal.options as options
    import service.removal.pipeline as pipeline

    class RemovalOptions(options.RemovalOptions):
        fade: float = Field(default=1.0, ge=0, le=1, description="Opacity of the subject")

    def fade(removal, clock):
        removal.alpha = (removal.alpha * removal.options.fade).astype("uint8")

    options.RemovalOptions = RemovalOptions
    wanted = lambda options: options.fade < 1
    pipeline.FINISH.insert(2, pipeline.Step(fade, when=wanted))
"""


def _changed(folder: Path) -> dict[str, str]:
    (folder / "sitecustomize.py").write_text(CHANGE)
    return {"PYTHONPATH": f"{folder}:{REPOSITORY}", "WITH_FADE": "1"}


def test_an_option_that_is_added_is_there_at_every_entrance(serve: Serve, tmp_path: Path) -> None:
    with serve(**_changed(tmp_path), **NO_LIMITS) as server:
        whole, faded = (
            server.remove(make_image("PNG")),
            server.remove(make_image("PNG"), fade="0.5"),
        )
        native = server.remove(make_image("PNG"), path="/remove_background", fade="0.5")
        opacity = [_opacity(answer.content) for answer in (whole, faded, native)]
        assert opacity[0] > 0
        assert opacity[1] == opacity[2]
        assert abs(opacity[1] / opacity[0] - 0.5) < 0.02
        wrong = assert_problem(server.remove(make_image("PNG"), fade="2"), "INVALID_REQUEST")
        assert "fade" in wrong["detail"]
        form = server.get(f"{PREFIX}/openapi.json").json()["paths"]["/remove"]["post"]
        schema = form["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert schema["properties"]["fade"]["description"] == "Opacity of the subject"
        routes = server.get("/schema.json").json()["routes"]
        native_schema = next(r for r in routes if r["route"] == "/remove_background")["input"]
        assert "fade" in native_schema["properties"]


def test_an_option_that_is_added_is_in_the_documentation(tmp_path: Path) -> None:
    program = "from scripts.write_docs import describe_options; print(describe_options())"
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **_changed(tmp_path)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "| `fade` | number ≥ 0 ≤ 1 | `1.0` | Opacity of the subject |" in told


def _opacity(file: bytes) -> float:
    return float(np.asarray(Image.open(io.BytesIO(file)))[..., 3].mean())
