"""Measure the activation ranges an 8-bit graph needs.

`python -m scripts.evaluate.calibrate --model u2net`

Runs the float network over composites of the `tune` split and writes the range of each tensor into
`models/export/ranges/`. Clipping outliers was tried and moved the result further from f32.
Afterwards raise `GRAPH_VERSION` in `models/artifacts.py`, register anew, and check the precision
rule: `python -m scripts.evaluate --against plain --model u2net::int8`, then with `u2net::f32`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from models.arrays import U8Array
from models.catalog import find
from models.cores import usable_cores
from models.export.onnx import attach_uint8_io
from models.export.quantize import read_calibration, tensors_to_measure
from models.matting.preprocess import fit
from scripts.command import run_command
from scripts.download_model import DEFAULT_FOLDER, obtain
from scripts.evaluate.composites import DEFAULT_CACHE, fetch_packages, make_composites

_OUTPUT = Path("models/export/ranges")
_PICTURES = 48


def main() -> int:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="u2net")
    parser.add_argument("--weights", type=Path, default=DEFAULT_FOLDER, help="checkpoints' folder")
    arguments = parser.parse_args()
    spec = find(arguments.model)
    model = attach_uint8_io(obtain(spec, arguments.weights), spec)
    keep = read_calibration(spec.name).keep
    composites = make_composites(fetch_packages(DEFAULT_CACHE), "tune", _PICTURES)
    inputs = [fit(one.source, spec.input.height, spec.input.width) for one in composites]
    ranges = measure(model, tensors_to_measure(model, keep), inputs)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(pair)}" for name, pair in ranges.items())
    path = _OUTPUT / f"{spec.name}.json"
    path.write_text(f'{{\n"keep": {json.dumps(sorted(keep))},\n"ranges": {{\n{lines}\n}}\n}}\n')
    print(f"{path}: {len(ranges)} tensors over {len(inputs)} pictures")
    return 0


def measure(
    model: onnx.ModelProto, names: list[str], inputs: list[U8Array]
) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of tensors of a float graph over model inputs ``[H, W, 3]``.

    The tensors become outputs of the graph, which takes ``image`` uint8 ``[N, H, W, 3]``.
    """
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    low, high = dict.fromkeys(names, np.inf), dict.fromkeys(names, -np.inf)
    for one in inputs:
        for name, values in zip(names, session.run(names, {"image": one[None]}), strict=True):
            low[name] = min(low[name], float(values.min()))
            high[name] = max(high[name], float(values.max()))
    return {name: (round(low[name], 5), round(high[name], 5)) for name in names}


if __name__ == "__main__":
    run_command(main)
