"""What a worker does, one for each share of the cores: reads, removes, writes, and tells.

It is the in-process remover of the command `birefnet`; nothing of a picture but its row leaves the
process otherwise than as its cutout.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore

import pyarrow as pa

from models.cores import use_only
from models.errors import BackgroundRemovalError
from service.blobs.blobs import storage_fault
from service.bulk.manifest import SCHEMA
from service.bulk.pictures import Job, Picture
from service.bulk.place import Place
from service.bulk.rows import FILE_ERROR, Row, failed

log = logging.getLogger(__name__)

_WAITING = 2  # pictures that are read or written while others are worked on


class Worker:
    """Makes cutouts; Ray calls it with the pictures of a table, and gets a table of their rows.

    Args:
        job: What is made, and where.

    Raises:
        RuntimeError: If it cannot start; says why.
        ModelError: If no engine opens.
    """

    def __init__(self, job: Job) -> None:
        use_only(job.threads)  # before what counts cores is imported
        from service.local import LocalRemover
        from service.settings_reader import read_settings

        chosen = {"model": job.model, "models": (), "model_path": None} if job.model else {}
        try:
            settings = read_settings().model_copy(update={**chosen, "num_workers": job.threads})
            self._remover = LocalRemover(settings)
        except SystemExit as refused:  # which would look like a wish to end
            raise RuntimeError(str(refused)) from refused
        self._most = int(settings.max_image_size_mb * 1024**2)
        self._options = job.options
        self._source, self._target = Place(job.source), Place(job.target)
        self._turns = Semaphore(job.threads)
        self._pool = ThreadPoolExecutor(job.threads + _WAITING)

    def __call__(self, pictures: pa.Table) -> pa.Table:
        """Make the cutouts of some pictures."""
        asked = [Picture(**one) for one in pictures.to_pylist()]
        rows = list(self._pool.map(self._row, asked))
        return pa.table([list(column) for column in zip(*rows, strict=True)], schema=SCHEMA)

    def _row(self, picture: Picture) -> Row:
        """Make one cutout; whatever is wrong with it is told, not raised."""
        try:
            if self._is_there(picture):
                return Row(picture.path, picture.target)
            return self._make(picture)
        except BackgroundRemovalError as refused:
            return failed(picture, refused.code, refused.detail)
        except FileNotFoundError:
            return failed(picture, FILE_ERROR, f"there is no {picture.path}")
        except (FileExistsError, PermissionError) as refused:
            return failed(picture, FILE_ERROR, str(refused))
        except Exception:
            log.exception("%s", picture.path)
            return failed(picture, BackgroundRemovalError.code, "the log of the worker says more")

    def _is_there(self, picture: Picture) -> bool:
        """Whether its cutout is there.

        Raises:
            FileExistsError: If what is there is older than the picture, so another's.
        """
        there = self._target.written(picture.target)
        if there is not None and there < picture.written - 1e-3:  # some storages cut it off
            raise FileExistsError(f"{picture.target} is older than its source; it is not replaced")
        return there is not None

    def _make(self, picture: Picture) -> Row:
        data = self._source.read(picture.path, self._most)
        with self._turns:
            file, _, told = self._remover.remove(data, self._options)
        try:
            self._target.write_new(picture.target, file)
        except OSError as refused:  # it will refuse all others, too
            raise storage_fault(refused) from refused
        took_ms, engine = float(told["X-Processing-Time-Ms"]), told["X-Engine"]
        return Row(
            picture.path, picture.target, None, None, took_ms, engine, told["X-Model-Version"]
        )
