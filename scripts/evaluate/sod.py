"""Mattes of a set of pictures in, pysodmetrics' measures out, by a Python of their own.

pysodmetrics brings another numpy and OpenCV than ours; `requirements-evaluate.lock` says which.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from scripts.evaluate.cases import CaseSet, read_matte, write_matte
from scripts.evaluate.scores import Scores, settle
from scripts.measuring import environments as own_environment
from scripts.measuring.processes import REPOSITORY

DEFAULT_FOLDER = own_environment.CACHE / "evaluate-venv"
_LOCK = REPOSITORY / "requirements-evaluate.lock"
_WORKER = Path(__file__).with_name("sod_worker.py")


def make_environment(folder: Path = DEFAULT_FOLDER) -> Path:
    """Make the environment, unless it is there.

    Args:
        folder: Where.

    Returns:
        Its Python.

    Raises:
        RuntimeError: If it could not be made.
    """
    install = ["--require-hashes", "-r", str(_LOCK)]
    return own_environment.make_environment(folder, "pysodmetrics", install)


def versions(python: Path) -> dict[str, str]:
    """Versions of what does the work in that environment."""
    names = ("pysodmetrics", "numpy", "scipy", "scikit-image", "opencv-python-headless")
    return own_environment.versions(python, names)


def score_all(
    python: Path, cases: CaseSet, mattes: Mapping[str, Path]
) -> dict[str, dict[str, Scores]]:
    """Measure the mattes of every contender.

    Args:
        python: Python of the environment.
        cases: The pictures.
        mattes: By contender, the folder of its mattes, ``<name of the picture>.png``.

    Returns:
        By contender and name, values of `SOD_MEASURES`.

    Raises:
        RuntimeError: If it fails; it has said why.
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
        told = own_environment.run(python, [_WORKER, truth, *folders.values()])
    measured: dict[str, dict[str, Scores]] = json.loads(told)
    return {who: measured[str(folder)] for who, folder in folders.items()}
