"""What the process that exports a checkpoint's half-precision graph says when it cannot.

What it writes when it can: `test_birefnet_export.py`, and `test_tensorrt_plan.py` for a network of
full size.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from models.export.half import main
from tests.support.checkpoints import make_state, write


def failure(capsys: pytest.CaptureFixture[str]) -> str:
    """The reason on standard output, all there is."""
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert list(told) == ["failure"]
    return str(told["failure"])


@pytest.mark.parametrize("content", [b"no tensors", b""], ids=["something else", "empty"])
def test_a_file_that_is_no_checkpoint_is_told(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.pth").write_bytes(content)
    assert main([str(tmp_path / "mine.pth"), "64", "64", str(tmp_path / "graph.onnx")]) == 1
    assert "mine.pth" in failure(capsys)
    assert not (tmp_path / "graph.onnx").exists()


def test_what_the_exporter_raises_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write(make_state("pvt_v2_b0"), tmp_path)
    assert main([str(checkpoint), "0", "64", str(tmp_path / "graph.onnx")]) == 1
    assert "from 64 that are multiples of 32, not 0 x 64" in failure(capsys)


def test_a_checkpoint_of_another_network_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write({"fc.weight": torch.ones(2, 2)}, tmp_path)
    assert main([str(checkpoint), "64", "64", str(tmp_path / "graph.onnx")]) == 1
    assert "is no BiRefNet" in failure(capsys)


def test_a_weight_beyond_the_range_of_halves_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = make_state("pvt_v2_b0")
    name = next(key for key in state if key.endswith("patch_embed1.proj.weight"))
    state[name] = torch.full(state[name].shape, 1e6)
    assert main([str(write(state, tmp_path)), "1024", "1024", str(tmp_path / "graph.onnx")]) == 1
    assert "float16" in failure(capsys)
    assert not (tmp_path / "graph.onnx").exists()
