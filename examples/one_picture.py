"""One picture with requests, and what the service tells of it.

`python examples/one_picture.py portrait.jpg cutout.png [http://localhost:55433]`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import requests

TIMEOUT_S = (5, 130)  # to connect; for the answer, which large pictures may take two minutes to


def remove_background(source: Path, target: Path, address: str) -> dict[str, str]:
    """Send a picture, keep its cutout.

    Returns:
        What the headers tell, by name.

    Raises:
        requests.RequestException: If nobody answers or the picture is refused; a refusal has the
            service's words.
    """
    with source.open("rb") as picture:
        answer = requests.post(
            f"{address}/api/background-removal/remove",
            files={"image": (source.name, picture)},  # the service sees itself which format it is
            data={"smoothing": "true"},
            timeout=TIMEOUT_S,
        )
    if not answer.ok:
        raise requests.HTTPError(refusal(answer), response=answer)
    target.write_bytes(answer.content)
    return {
        "processing time": f"{answer.headers['X-Processing-Time-Ms']} ms",
        "original size": answer.headers["X-Original-Size"],
        "model": answer.headers["X-Model-Version"],
        "cutout": f"{len(answer.content) / 1024:.1f} KB",
    }


def refusal(answer: requests.Response) -> str:
    """Why, in the service's words; a proxy before it may say less."""
    try:
        problem = answer.json()
        return f"{problem['detail']} [{problem['error_code']}, {problem['request_id']}]"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Remove the background of one picture.")
    parser.add_argument("source", type=Path, help="the picture")
    parser.add_argument("target", type=Path, help="the cutout, a PNG")
    parser.add_argument("address", nargs="?", default="http://localhost:55433")
    given = parser.parse_args()
    try:
        told = remove_background(given.source, given.target, given.address)
    except (requests.RequestException, OSError) as fault:
        sys.exit(f"{given.source}: {fault}")
    for name, value in told.items():
        print(f"{name}: {value}")
