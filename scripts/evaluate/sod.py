"""Measure mattes with pysodmetrics, which runs in an environment of its own.

It brings another numpy and OpenCV than ours; `requirements-evaluate.lock` says which.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from scripts.evaluate.cases import CaseSet, read_matte, write_matte
from scripts.evaluate.scores import Scores, settle
from scripts.measuring.environments import Environment, run
from scripts.measuring.processes import REPOSITORY

ENVIRONMENT = Environment(
    what="pysodmetrics",
    folder="evaluate-venv",
    install=("--require-hashes", "-r", str(REPOSITORY / "requirements-evaluate.lock")),
    names=("pysodmetrics", "numpy", "scipy", "scikit-image", "opencv-python-headless"),
)
_WORKER = Path(__file__).with_name("sod_worker.py")


def score_all(
    python: Path, cases: CaseSet, mattes: Mapping[str, Path]
) -> dict[str, dict[str, Scores]]:
    """Measure mattes that lie in a folder per contender, as `cases.write_matte` writes them.

    Returns:
        By contender and name of the picture, values of `SOD_MEASURES`.

    Raises:
        Unusable: If it fails; it has said why.
    """
    with tempfile.TemporaryDirectory() as scratch:
        truth = Path(scratch, "truth")
        folders = {who: Path(scratch, str(number)) for number, who in enumerate(mattes)}
        for folder in (truth, *folders.values()):
            folder.mkdir()
        for case in cases:
            write_matte(truth, case.name, case.alpha_u8)
            for who, folder in folders.items():
                write_matte(folder, case.name, settle(read_matte(mattes[who], case.name), case))
        told = run(python, [_WORKER, truth, *folders.values()])
    measured: dict[str, dict[str, Scores]] = json.loads(told)
    return {who: measured[str(folder)] for who, folder in folders.items()}
