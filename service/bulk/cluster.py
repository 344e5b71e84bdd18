"""Hands pictures to workers by Ray Data, and gives back their rows as they come.

Ray carries names and rows; pictures go between storage and worker. A worker that dies is replaced
and its pictures are done again, once; those that are left then are tried one by one.
"""

from __future__ import annotations

import logging
import math
import signal
import warnings
from collections.abc import Generator, Sequence

import pyarrow as pa
import ray
import ray.data
from ray.util.annotations import RayDeprecationWarning

from service.bulk.pictures import Job, Picture
from service.bulk.rows import ENDS_PROCESS, Row, failed
from service.bulk.worker import Worker
from service.environment import ray_cluster

_UNIT = 8  # pictures that are handed over together, and done again where a worker dies
_STORE_BYTES = 200 * 1024**2  # Ray's store, which holds names and rows
_ENDS = (
    "its process ended each time it was worked on, at last with no other picture beside it; "
    "it may need more memory than there is"
)


def connect(job: Job, cores: int, workers: int | None) -> int:
    """Join the cluster that the environment names, or make one of this machine.

    Args:
        job: What one worker needs.
        cores: Of this machine.
        workers: How many are asked for; None for as many as there is room.

    Returns:
        How many workers there will be.
    """
    try:
        return _join(job, cores, workers)
    finally:
        # Ray ends a process at once that is told to stop; ours first keeps its rows.
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _join(job: Job, cores: int, workers: int | None) -> int:
    if (address := ray_cluster()) is not None:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        there = ray.cluster_resources()
        room = there.get("GPU", 0) / job.gpus if job.gpus else there.get("CPU", 0) / job.threads
        return workers or max(1, int(room))
    workers = workers or max(1, cores // job.threads)
    ray.init(
        address="local",
        num_cpus=workers * job.threads + 1,  # with none to spare, Ray may wait for one for ever
        include_dashboard=False,
        object_store_memory=_STORE_BYTES,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    return workers


def disconnect() -> None:
    """End the workers, and a cluster that was made."""
    ray.shutdown()


def work(job: Job, pictures: Sequence[Picture], workers: int) -> Generator[Row]:
    """Do pictures; a row of each, in the order they are done.

    Raises:
        RayError: If no worker can start.
    """
    left = {picture.path: picture for picture in pictures}
    unit = max(1, min(_UNIT, math.ceil(len(left) / (4 * workers))))
    for size in (unit, 1):
        for row in _pass(job, list(left.values()), workers, size):
            if left.pop(row.path, None) is not None:
                yield row
        if not left:
            return
    for picture in left.values():
        yield failed(picture, ENDS_PROCESS, _ENDS)


def _pass(job: Job, pictures: Sequence[Picture], workers: int, unit: int) -> Generator[Row]:
    """Do pictures, `unit` at a time; those that end their worker twice have no row."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.max_errored_blocks = -1
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    tables = [
        pa.Table.from_pylist([one._asdict() for one in pictures[at : at + unit]])
        for at in range(0, len(pictures), unit)
    ]
    pool = ray.data.ActorPoolStrategy(
        size=min(workers, len(tables)),
        # What waits in a worker that dies counts as tried, too.
        max_tasks_in_flight_per_actor=1 if unit == 1 else None,
    )
    with warnings.catch_warnings():
        # These two have no other place in Ray 2.60; by default it would try for ever.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        rows = ray.data.from_arrow(tables).map_batches(
            Worker,
            fn_constructor_args=(job,),
            compute=pool,
            batch_format="pyarrow",
            batch_size=None,
            num_cpus=job.threads,
            num_gpus=job.gpus or None,
            max_restarts=-1,
            max_task_retries=1,
        )
    for table in rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from (Row(**one) for one in table.to_pylist())
