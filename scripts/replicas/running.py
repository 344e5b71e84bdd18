"""One run two by two, from the pictures to the report."""

from __future__ import annotations

import tempfile
from pathlib import Path

from scripts.measuring.report import Run
from scripts.replicas.cluster import cluster
from scripts.replicas.course import DEADLINE_S, Director, Keys
from scripts.replicas.expected import make_known
from scripts.replicas.report import TwoByTwo, figures_of

_HEIGHT, _WIDTH = 360, 480
#: By how much a picture may differ where the network made it in another batch.
_LEVELS = {"fake": 0}
_LEVELS_OF_NETWORKS = 2
_KEYS = 16


def run_two_by_two(
    run: Run, model: str, engine: str, callers: int, asked: tuple[int, int]
) -> TwoByTwo:
    """Run it.

    Args:
        run: What the figures belong to.
        model: Name in the catalogue; registered already.
        engine: As of BIREFNET_ENGINE.
        callers: How many ask at once.
        asked: How many pictures, and how many tasks of the public that is killed.
    """
    with tempfile.TemporaryDirectory(prefix="two-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # Postgres has a user of its own
        known = make_known(_HEIGHT, _WIDTH, model, engine, folder / "expected")
        keys = Keys(folder / "keys.json", _KEYS + callers)
        settings = {
            "BIREFNET_ENGINE": engine,
            "BIREFNET_KEYS_FILE": str(keys.file),
            "BIREFNET_PROCESSING_TIMEOUT_SEC": str(DEADLINE_S),
        }
        with cluster(model, settings, folder) as running:
            levels = _LEVELS.get(engine, _LEVELS_OF_NETWORKS)
            director = Director(running, keys, known, callers, levels)
            figures = figures_of(director.direct(*asked))
    return TwoByTwo(*run, model=model, engine=engine, callers=callers, **figures)
