"""A folder of pictures through BentoML's asynchronous client, a few at a time.

`python examples/async_client.py portraits cutouts [http://localhost:55433]`
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
from bentoml import AsyncHTTPClient
from bentoml.exceptions import BentoMLException

AT_ONCE = 3  # BIREFNET_MAX_IN_FLIGHT_PER_CLIENT: what the service lets one client have under way
START_S = 5.0  # until it gives up on a service that is not there; BentoML asks ceaselessly
PATIENCE_S = 15.0  # until the next try where it was too much for the minute
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


async def remove_backgrounds(sources: Path, targets: Path, address: str) -> list[str]:
    """Send every picture of a folder; what fails does not keep the others.

    Returns:
        One sentence for each picture that came to nothing.
    """
    pictures = iter(pictures_of(sources))
    targets.mkdir(parents=True, exist_ok=True)
    faults: list[str] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work(pictures, targets, address, faults))
    return sorted(faults)


def pictures_of(folder: Path) -> list[Path]:
    """The pictures of a folder, in alphabetical order; none if it is not there."""
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in files if file.suffix.lower() in SUFFIXES)


async def work(pictures: Iterator[Path], targets: Path, address: str, faults: list[str]) -> None:
    """Send one picture after the other.

    Each worker has a client of its own: a BentoML client closes the files of all its calls as soon
    as one of them ends.
    """
    async with AsyncHTTPClient(address, timeout=120, server_ready_timeout=START_S) as client:
        for source in pictures:
            try:
                cutout = await patiently(client, source)
                shutil.copyfile(cutout, targets / f"{source.name}.png")
            except (BentoMLException, httpx.HTTPError) as fault:
                faults.append(f"{source.name}: {fault}")


async def patiently(client: AsyncHTTPClient, source: Path) -> Path:
    """The cutout of one picture, waiting where the minute's share is used up."""
    while True:
        try:
            cutout: Path = await client.remove_background(image=source)
        except BentoMLException as refused:
            if refused.error_code != 429:
                raise
            await asyncio.sleep(PATIENCE_S)
        else:
            return cutout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Remove the background of a folder of pictures.")
    parser.add_argument("sources", type=Path, help=f"folder of pictures: {', '.join(SUFFIXES)}")
    parser.add_argument("targets", type=Path, help="folder for the cutouts; made if need be")
    parser.add_argument("address", nargs="?", default="http://localhost:55433")
    given = parser.parse_args()
    if not pictures_of(given.sources):
        sys.exit(f"{given.sources}: no folder with pictures in it ({', '.join(SUFFIXES)})")
    faults: list[str] = []
    try:
        faults = asyncio.run(remove_backgrounds(given.sources, given.targets, given.address))
    except* (BentoMLException, httpx.HTTPError, OSError) as failed:
        sys.exit(f"{given.address}: {failed.exceptions[0]}")
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)
