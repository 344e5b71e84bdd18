"""What a strongly typed parser refuses, and in which words it is told of.

TensorRT-RTX stands for TensorRT: the same parser, but for the plugins it has not.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

from models.engines.trt.build import PlanBuilder
from models.errors import EngineBuildFailed
from tests.support.plans import make_request, needs_rtx

pytestmark = [pytest.mark.tensorrt, needs_rtx]

SIZE = 8
REFUSED = {
    "Transpose: .* has type UInt8": """
        transposed_before_cast (uint8[N,8,8,3] image) => (float16[N,3,8,8] out) {
            planes = Transpose <perm = [0, 3, 1, 2]> (image)
            out = Cast <to = 10> (planes)
        }""",
    "DeformConv: .*Plugin not found": """
        operator_without_kernel (float[N,1,8,8] image, float[N,2,8,8] offset)
        => (float[N,1,8,8] out) <float[1,1,1,1] weight = {1}> {
            out = DeformConv (image, weight, offset)
        }""",
    "GridSample: .*`input` type is Half and `grid` type is Float": """
        half_image_float_grid (float16[N,1,8,8] image, float[N,8,8,2] grid)
        => (float16[N,1,8,8] out) {
            out = GridSample (image, grid)
        }""",
    "Sub: .*types Half and Float": """
        mixed_types (uint8[N,8,8,3] image) => (float16[N,8,8,3] out) <float[1] mean = {0.5}> {
            half = Cast <to = 10> (image)
            out = Sub (half, mean)
        }""",
}

TAKEN = """
    cast_before_transposed (uint8[{batch},8,8,3] image) => (float16[{batch},3,8,8] out) {{
        half = Cast <to = 10> (image)
        out = Transpose <perm = [0, 3, 1, 2]> (half)
    }}"""


def write_graph(file: Path, text: str) -> Path:
    header = '<ir_version: 10, opset_import: ["" : 20]>'
    onnx.save(parser.parse_model(header + text), str(file))
    return file


@pytest.mark.parametrize("reason", REFUSED)
def test_what_the_parser_refuses_is_told_with_its_operator(tmp_path: Path, reason: str) -> None:
    graph = write_graph(tmp_path / "graph.onnx", REFUSED[reason])
    with pytest.raises(
        EngineBuildFailed, match=f"^TensorRT does not take the graph: {reason}"
    ) as told:
        PlanBuilder(tmp_path / "cache").plan(make_request(graph, SIZE))
    assert "\n" not in str(told.value)


def test_the_same_cast_before_it_is_transposed_becomes_a_plan(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph.onnx", TAKEN.format(batch="N"))
    assert PlanBuilder(tmp_path / "cache").plan(make_request(graph, SIZE))


def test_what_parses_and_cannot_be_built_is_told_with_the_builders_reason(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph.onnx", TAKEN.format(batch=2))
    with pytest.raises(EngineBuildFailed, match=r"^TensorRT built nothing: .*profile"):
        PlanBuilder(tmp_path / "cache").plan(make_request(graph, SIZE, batches=(1,)))


def test_what_is_no_graph_is_refused_in_words(tmp_path: Path) -> None:
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"no graph")
    with pytest.raises(EngineBuildFailed, match=r"^TensorRT does not take the graph: [^:]"):
        PlanBuilder(tmp_path / "cache").plan(make_request(graph, SIZE))
