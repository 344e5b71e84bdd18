"""One picture through the client BentoML makes of the running service.

`python examples/sync_client.py portrait.jpg cutout.png [http://localhost:55433]`
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import httpx
from bentoml import SyncHTTPClient
from bentoml.exceptions import BentoMLException

START_S = 5.0  # until it gives up on a service that is not there; BentoML asks ceaselessly


def remove_background(source: Path, target: Path, address: str) -> None:
    """Send a picture, keep its cutout.

    Args:
        source: JPEG, PNG, WebP, BMP, TIFF, GIF or AVIF.
        target: Where the cutout goes, a PNG with an alpha channel.
        address: Of the service.

    Raises:
        BentoMLException: If the service refuses the picture; its `error_code` is the HTTP status.
    """
    with SyncHTTPClient(address, timeout=120, server_ready_timeout=START_S) as client:
        cutout = client.remove_background(image=source, smoothing=True)
        shutil.copyfile(cutout, target)  # it lies in a folder that goes with the client


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Remove the background of one picture.")
    parser.add_argument("source", type=Path, help="JPEG, PNG, WebP, BMP, TIFF, GIF or AVIF")
    parser.add_argument("target", type=Path, help="the cutout, a PNG")
    parser.add_argument("address", nargs="?", default="http://localhost:55433")
    given = parser.parse_args()
    if not given.source.is_file():
        sys.exit(f"{given.source}: there is no such file")
    try:
        remove_background(given.source, given.target, given.address)
    except (BentoMLException, httpx.HTTPError, OSError) as fault:
        sys.exit(f"{given.source}, sent to {given.address}: {fault}")
    print(given.target)
