"""A folder of pictures with aiohttp, as fast as the service allows and no faster.

`python examples/batch.py portraits cutouts [http://localhost:55433]`

A hundred pictures take a little over three minutes where thirty a minute are allowed. What is
there already is left alone, so the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

import aiohttp

AT_ONCE = 3  # what the service lets one client have under way
TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10, sock_read=130)
TRIES = 5  # of a picture that the service is too busy for; a rate limit is waited for
PAUSE_S = 5.0  # where the service does not say how long
SUFFIXES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class Refused(Exception):
    """The service's words."""


class Pace:
    """When the next request may be sent; shared by all that is under way."""

    def __init__(self) -> None:
        self._not_before = 0.0

    async def wait(self) -> None:
        """Wait until it may."""
        while (left_s := self._not_before - time.time()) > 0:
            await asyncio.sleep(left_s)

    def pause(self, seconds: float) -> None:
        """Nobody sends anything for so long."""
        self._not_before = max(self._not_before, time.time() + seconds)

    def heed(self, answer: aiohttp.ClientResponse) -> None:
        """Wait as a refusal says, and after the last request that the minute allows."""
        told = answer.headers
        if answer.status in (429, 502, 503):
            wait_s = told.get("Retry-After", "")
            self.pause(float(wait_s) if wait_s.isdigit() else PAUSE_S)
        elif told.get("X-RateLimit-Remaining") == "0":
            self.pause(min(60.0, float(told["X-RateLimit-Reset"]) - time.time()))


async def remove_background(session: aiohttp.ClientSession, pace: Pace, picture: bytes) -> bytes:
    """The cutout of one picture.

    Raises:
        Refused: If the service does not take it, or was busy too often.
        aiohttp.ClientError: If there is no service.
    """
    tries = 0
    while True:
        await pace.wait()
        form = aiohttp.FormData({"smoothing": "true"})  # a new one each time: it is used up
        form.add_field("image", picture, filename="picture")
        try:
            async with session.post("/api/background-removal/remove", data=form) as answer:
                pace.heed(answer)
                body = await answer.read()
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError):
            pace.pause(PAUSE_S)
            status, reason = 503, "the connection was lost"
        else:
            if answer.status == 200:
                return body
            status, reason = answer.status, " ".join(body.decode(errors="replace").split())
        tries += status != 429
        if status not in (429, 502, 503) or tries == TRIES:
            raise Refused(reason)


async def remove_all(sources: list[Path], targets: Path, address: str) -> list[str]:
    """Send pictures; one that fails does not keep the others.

    Returns:
        One sentence for each that failed.
    """
    pictures, pace, faults = iter(sources), Pace(), []

    async def work(session: aiohttp.ClientSession) -> None:
        for source in pictures:
            target = targets / f"{source.name}.png"  # a.jpg and a.png stay two
            if target.exists():
                continue
            try:
                cutout = await remove_background(session, pace, source.read_bytes())
            except (Refused, TimeoutError) as fault:
                faults.append(f"{source.name}: {fault or 'no answer'}")
            else:
                part = target.with_suffix(".part")
                part.write_bytes(cutout)
                part.replace(target)  # whole, or not there

    targets.mkdir(parents=True, exist_ok=True)
    async with (
        aiohttp.ClientSession(address, timeout=TIMEOUT) as session,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(AT_ONCE):
            group.create_task(work(session))
    return sorted(faults)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Remove the background of a folder of pictures.")
    parser.add_argument("sources", type=Path, help="folder of pictures")
    parser.add_argument("targets", type=Path, help="folder for the cutouts; made if need be")
    parser.add_argument("address", nargs="?", default="http://localhost:55433")
    given = parser.parse_args()
    files = sorted(given.sources.iterdir()) if given.sources.is_dir() else []
    found = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not found:
        sys.exit(f"{given.sources}: no folder with pictures in it")
    failed: list[str] = []
    try:
        failed = asyncio.run(remove_all(found, given.targets, given.address))
    except* (aiohttp.ClientError, OSError, ValueError) as faults:
        sys.exit(f"{given.address}: {faults.exceptions[0]}")
    print(f"{len(found) - len(failed)} of {len(found)} are done")
    for fault in failed:
        print(fault, file=sys.stderr)
    sys.exit(1 if failed else 0)
