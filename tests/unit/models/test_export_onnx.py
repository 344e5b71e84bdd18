"""A published checkpoint in, a graph with bytes in and out."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from models.errors import CheckpointError
from models.export.onnx import attach_uint8_io
from tests.support.graphs import SIZE, make_spec, write_checkpoint


@pytest.mark.parametrize("opset", [11, 12, 13, 17])
def test_the_graph_takes_bytes_and_gives_bytes(opset: int, tmp_path: Path) -> None:
    model = attach_uint8_io(write_checkpoint(tmp_path, opset), make_spec())
    (image,), (alpha,) = model.graph.input, model.graph.output
    assert (image.name, alpha.name) == ("image", "alpha")
    for value, shape in ((image, ["N", SIZE, SIZE, 3]), (alpha, ["N", SIZE, SIZE])):
        kind = value.type.tensor_type
        assert kind.elem_type == onnx.TensorProto.UINT8
        assert [d.dim_param or d.dim_value for d in kind.shape.dim] == shape


def test_the_checkpoint_is_left_alone(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path)
    before = checkpoint.read_bytes()
    attach_uint8_io(checkpoint, make_spec())
    assert checkpoint.read_bytes() == before


def test_a_network_with_another_output_is_refused_by_name(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path, output="something")
    with pytest.raises(CheckpointError, match=r"is no Tiny: .*something"):
        attach_uint8_io(checkpoint, make_spec())


@pytest.mark.parametrize("content", [b"", b"not onnx at all", b"\x08\x08"], ids=repr)
def test_a_file_that_is_no_network_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "broken.onnx"
    file.write_bytes(content)
    with pytest.raises(CheckpointError):
        attach_uint8_io(file, make_spec())
