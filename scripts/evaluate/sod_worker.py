"""Print pysodmetrics' measures of folders of mattes as JSON, inside pysodmetrics' environment.

Only the standard library, numpy, OpenCV and pysodmetrics: nothing of this project is there. A
matte is not stretched to fill the range, as pysodmetrics would by itself: a matte grey all over is
to score like one.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any


def main() -> None:
    """Measure every matte that has a truth of the same name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth", type=Path, help="folder of true mattes (PNG)")
    parser.add_argument("mattes", type=Path, nargs="+", help="folders of mattes (PNG)")
    arguments = parser.parse_args()
    measured = {
        str(folder): {
            file.stem: _measure(folder / file.name, file)
            for file in sorted(arguments.truth.glob("*.png"))
        }
        for folder in arguments.mattes
    }
    print(json.dumps(measured))


def _measure(matte: Path, truth: Path) -> dict[str, float]:
    """Every measure of one matte, by the keys of `scripts.evaluate.scores.SOD_MEASURES`."""
    cv2: Any = importlib.import_module("cv2")
    sod: Any = importlib.import_module("py_sod_metrics")
    alpha = cv2.imread(str(matte), cv2.IMREAD_GRAYSCALE) / 255.0
    subject = cv2.imread(str(truth), cv2.IMREAD_GRAYSCALE) > 128
    structure, weighted, aligned = sod.Smeasure(), sod.WeightedFmeasure(), sod.Emeasure()
    error, effort = sod.MAE(), sod.HumanCorrectionEffortMeasure()
    for measure in (structure, weighted, aligned, error, effort):
        measure.step(pred=alpha, gt=subject, normalize=False)
    return {
        "s_measure": float(structure.get_results()["sm"]),
        "weighted_f": float(weighted.get_results()["wfm"]),
        "e_measure": float(aligned.get_results()["em"]["curve"].mean()),
        "sod_mae": float(error.get_results()["mae"]),
        "hce": float(effort.get_results()["hce"]),
    }


if __name__ == "__main__":
    main()
