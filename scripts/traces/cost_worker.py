"""One contender of `scripts.traces.cost`: does a removal for every line it is given.

Answers each with the CPU seconds that this process took for it. It runs in any checkout of this
repository, so it imports nothing of `scripts.traces`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

from models.catalog import find
from scripts.command import run_command
from scripts.rembg.stages import KnownMatte
from service.removal.bounds import RemoverConfig
from service.removal.options import RemovalOptions
from service.removal.ports import ServedModel
from service.removal.remover import BackgroundRemover


async def work(photo: Path, collector: str) -> None:
    """Serve until there are no more lines."""
    spec = find("u2netp")
    side = spec.input.height
    rows, columns = np.mgrid[:side, :side] - side / 2
    matte = np.where(np.hypot(rows, columns) < side / 3, 255, 0).astype(np.uint8)
    remover = BackgroundRemover([ServedModel(spec, KnownMatte(matte))], RemoverConfig(workers=1))
    data = photo.read_bytes()
    if collector:
        from service.tracing.opening import start_tracing

        start_tracing(collector, 1.0, "cost")
    while sys.stdin.readline():
        started = time.process_time()
        with _request(collector):
            await remover.remove(data, RemovalOptions())
        print(time.process_time() - started, flush=True)
    await remover.close()


def _request(collector: str) -> AbstractContextManager[object]:
    """What a request is in; nothing, where nothing is traced."""
    if not collector:
        return nullcontext()
    from service.tracing.spans import root

    return root("request")


def main(arguments: list[str] | None = None) -> None:
    """Parse and work."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("collector", nargs="?", default="", help="trace every removal to it")
    options = parser.parse_args(arguments)
    asyncio.run(work(options.photo, options.collector))


if __name__ == "__main__":
    run_command(main)
