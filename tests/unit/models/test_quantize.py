"""The 8-bit graph: same inputs and outputs, near the float one, only with its own calibration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.catalog import CATALOG
from models.errors import CheckpointError
from models.export.quantize import Calibration, quantize, read_calibration, tensors_to_measure
from models.spec import Precision

SIZE = 32


@pytest.fixture
def network() -> onnx.ModelProto:
    """Two branches of convolutions that meet in a Concat, one of them through pool and resize."""
    rng = np.random.default_rng(3)
    weights = {
        "w1": rng.normal(0, 0.3, (8, 3, 3, 3)),
        "w2": rng.normal(0, 0.2, (8, 8, 3, 3)),
        "w3": rng.normal(0, 0.1, (8, 16, 3, 3)),
    }
    same = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], **same),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2"], ["c2"], **same),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Resize", ["r2", "roi", "scales"], ["up"], mode="linear"),
        helper.make_node("Concat", ["r1", "up"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "w3"], ["y"], **same),
    ]
    graph = helper.make_graph(
        nodes,
        "u",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 8, SIZE, SIZE])],
        [
            *(numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()),
            numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
            numpy_helper.from_array(np.array([], np.float32), "roi"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    onnx.checker.check_model(model)
    return model


def run(model: onnx.ModelProto, outputs: list[str]) -> list[np.ndarray]:
    x = np.random.default_rng(5).normal(0, 1, (2, 3, SIZE, SIZE)).astype(np.float32)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return list(session.run(outputs, {"x": x}))


def measured(model: onnx.ModelProto, keep: frozenset[str] = frozenset()) -> Calibration:
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    names = tensors_to_measure(model, keep)
    for name in names:
        probe.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    values = run(probe, names)
    return Calibration({n: float(v.max()) for n, v in zip(names, values, strict=True)}, keep)


def test_the_quantised_network_is_close_to_the_float_one(network: onnx.ModelProto) -> None:
    quantised = quantize(network, measured(network))
    onnx.checker.check_model(quantised)
    (float_y,), (int_y,) = run(network, ["y"]), run(quantised, ["y"])
    assert np.abs(float_y - int_y).mean() < 0.02 * float_y.std()
    assert not np.array_equal(float_y, int_y)


def test_weights_are_bytes_and_the_original_is_not_changed(network: onnx.ModelProto) -> None:
    quantised = quantize(network, measured(network))
    kinds = {i.name: i.data_type for i in quantised.graph.initializer}
    assert (kinds["w2"], kinds["w3"]) == (TensorProto.INT8, TensorProto.INT8)
    assert kinds["w1"] == TensorProto.FLOAT  # three channels are not worth it
    assert all(i.data_type == TensorProto.FLOAT for i in network.graph.initializer)


def test_tensors_that_meet_in_a_concat_share_a_scale(network: onnx.ModelProto) -> None:
    quantised = quantize(network, measured(network))
    values = {i.name: numpy_helper.to_array(i) for i in quantised.graph.initializer}
    assert values["r1_scale"] == values["r2_scale"] == values["up_scale"]


def test_a_convolution_that_is_kept_stays_in_floating_point(network: onnx.ModelProto) -> None:
    keep = frozenset({"y"})
    quantised = quantize(network, measured(network, keep))
    kinds = {i.name: i.data_type for i in quantised.graph.initializer}
    assert (kinds["w2"], kinds["w3"]) == (TensorProto.INT8, TensorProto.FLOAT)


def test_another_networks_calibration_is_refused(network: onnx.ModelProto) -> None:
    with pytest.raises(CheckpointError, match="no range for tensor r1"):
        quantize(network, Calibration({}, frozenset()))


def test_every_model_that_may_run_in_8_bits_has_a_calibration() -> None:
    eligible = [spec.name for spec in CATALOG.values() if Precision.INT8 in spec.allowed_precisions]
    assert eligible
    for name in eligible:
        calibration = read_calibration(name)
        assert calibration.keep
        assert min(calibration.ranges.values()) > 0
    ranges = Path("models/export/ranges").glob("*.json")
    assert sorted(path.stem for path in ranges) == sorted(eligible)
