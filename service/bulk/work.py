"""Does what the command was asked for, and says how it ended."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import closing
from dataclasses import replace

from ray.exceptions import RayError
from tqdm import tqdm

from models.cores import usable_cores
from models.errors import BackgroundRemovalError
from service.bulk import cluster
from service.bulk.errors import Stopped, Usage
from service.bulk.manifest import MANIFEST, Manifest
from service.bulk.pictures import Job, Picture, name_targets
from service.bulk.place import Place
from service.bulk.rows import Row
from service.errors import CannotStart
from service.http.forms import options_of
from service.settings_reader import read_settings
from service.startup import find_model

DONE, SOME_FAILED = 0, 1

# What befalls one picture by these will befall all; none of them is kept as a row.
_ENDING = ("ENGINE_UNAVAILABLE", "STORAGE_FULL", "STORAGE_UNAVAILABLE")
_LINE_S = 30.0  # between two lines where there is no terminal


def work(job: Job, workers: int | None) -> int:
    """Do it; the exit status.

    Raises:
        InvalidRequest: If an option is none, or has no such value.
        BadStorage: If source or target cannot be used.
        Usage: If there is no picture, or the target is of another job.
        CannotStart: If there is no model.
        Stopped: If no worker can start, or the storage or all engines fail them.
        BackgroundRemovalError: If the storage fails us.
    """
    _check(job)
    source, target = Place(job.source), Place(job.target, make=True)
    job = replace(job, source=source.address, target=target.address)
    manifest = Manifest(target)
    done = manifest.begin(job)
    pictures = name_targets(source.pictures(leave_out=target), job.suffix)
    if not pictures:
        raise Usage(f"{job.source}: there is no picture")
    left = [one for one in pictures if one.path not in done]
    teller = _Teller(len(pictures), len(pictures) - len(left))
    try:
        if left:
            _do(job, left, workers, manifest, teller)
    finally:
        manifest.finish()
        teller.finish(f"{job.target}/{MANIFEST}")
    return SOME_FAILED if teller.counts["failed"] else DONE


def _check(job: Job) -> None:
    """See that workers will be able to start, before Ray does."""
    options_of(job.options)
    settings = read_settings()
    try:
        find_model(settings, job.model or None, verified=False)
    except BackgroundRemovalError as missing:
        raise CannotStart(missing) from missing


def _do(
    job: Job, pictures: list[Picture], workers: int | None, manifest: Manifest, teller: _Teller
) -> None:
    workers = cluster.connect(job, usable_cores(), workers)
    try:
        with closing(cluster.work(job, pictures, workers)) as rows:
            for row in rows:
                if row.code in _ENDING:
                    raise Stopped(f"{row.detail} [{row.code}]")
                manifest.note([row])
                teller.tell(row)
    except RayError as fault:
        raise Stopped(str(fault)) from fault
    finally:
        cluster.disconnect()


class _Teller:
    """Counts what is done, and tells it on standard error: a bar, or a line now and then.

    Args:
        total: How many pictures there are.
        before: How many of them were done by an earlier run.
    """

    def __init__(self, total: int, before: int) -> None:
        self._total = total
        self.counts = Counter[str]({"before": before})
        every_s = 0.2 if sys.stderr.isatty() else _LINE_S
        self._bar = tqdm(total=total, initial=before, unit="picture", mininterval=every_s)

    def tell(self, row: Row) -> None:
        """Tell of one picture."""
        state = "failed" if row.code else "done" if row.engine else "there"
        self.counts[state] += 1
        if row.code:
            shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in row.path)
            self._bar.write(f"birefnet-batch: {shown}: {row.detail} [{row.code}]", sys.stderr)
        self._bar.update()

    def finish(self, manifest: str) -> None:
        """Tell the sums."""
        self._bar.close()
        counts = self.counts
        left = self._total - sum(counts.values())
        told = f"{counts['done']} done, {counts['before'] + counts['there']} were there"
        told += f", {counts['failed']} failed" + (f", {left} left" if left else "")
        print(f"birefnet-batch: {told}; {manifest}", file=sys.stderr, flush=True)
