"""Pairs of services on hosts of a network, with callers who ask them for photographs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.capacity.callers import Callers
from scripts.replicas.cluster import Cluster, cluster
from scripts.replicas.course import Keys
from scripts.replicas.expected import make_pictures

HEIGHT, WIDTH = 768, 1024
_CALLERS = 64
_WARM = 24


@contextmanager
def pairs(number: int, model: str, engine: str) -> Iterator[tuple[Cluster, Callers]]:
    """So many pairs that have served some pictures, and their callers.

    Args:
        number: Of pairs.
        model: Name in the catalogue; registered already.
        engine: As of BIREFNET_ENGINE.
    """
    with tempfile.TemporaryDirectory(prefix="pairs-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # Postgres has a user of its own
        (folder / "pictures").mkdir()
        make_pictures(HEIGHT, WIDTH, folder / "pictures")
        pictures = [file.read_bytes() for file in sorted((folder / "pictures").iterdir())]
        keys = Keys(folder / "keys.json", _CALLERS)
        settings = {"BIREFNET_ENGINE": engine, "BIREFNET_KEYS_FILE": str(keys.file)}
        with cluster(model, settings, folder, number) as running:
            callers = Callers(running.url, [keys.take("pro") for _ in range(_CALLERS)], pictures)
            try:
                callers.one_by_one(_WARM * number)
                yield running, callers
            finally:
                callers.close()


def cpu_seconds(running: Cluster) -> dict[str, float]:
    """What publics, inferences and all the others have taken, callers among the others."""
    found = running.cpu_seconds()
    found["others"] += time.process_time()
    return found
