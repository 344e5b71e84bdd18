"""One picture, tried again with tenacity as long as trying can help.

`python examples/retry.py portrait.jpg cutout.png [http://localhost:55433]`

What is wrong with the picture stays wrong, so only 429, 502, 503 and lost connections are tried
again, after as many seconds as the service asks for.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import requests
from tenacity import RetryCallState, retry, retry_if_exception, stop_after_delay
from tenacity import wait_random_exponential as backoff

PASSING = (429, 502, 503)  # 504 took its whole time already, and would again
GIVE_UP_S = 300


def passes(fault: BaseException) -> bool:
    """Whether it may be gone the next time."""
    if isinstance(fault, requests.HTTPError):
        return fault.response.status_code in PASSING
    return isinstance(fault, requests.ConnectionError | requests.Timeout)


def pause_s(attempt: RetryCallState) -> float:
    """What the service asks for, else longer and longer, with chance in it."""
    fault = attempt.outcome.exception() if attempt.outcome else None
    answer = getattr(fault, "response", None)
    told = "" if answer is None else answer.headers.get("Retry-After", "")
    return float(told) if told.isdigit() else backoff(max=30)(attempt)


@retry(
    retry=retry_if_exception(passes), wait=pause_s, stop=stop_after_delay(GIVE_UP_S), reraise=True
)
def remove_background(picture: bytes, address: str) -> bytes:
    """The cutout of a picture; it is bytes, since a file would be at its end the second time."""
    answer = requests.post(
        f"{address}/api/background-removal/remove", files={"image": picture}, timeout=(5, 130)
    )
    answer.raise_for_status()
    return answer.content


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Remove the background of one picture, patiently.")
    parser.add_argument("source", type=Path, help="the picture")
    parser.add_argument("target", type=Path, help="the cutout, a PNG")
    parser.add_argument("address", nargs="?", default="http://localhost:55433")
    given = parser.parse_args()
    try:
        given.target.write_bytes(remove_background(given.source.read_bytes(), given.address))
    except requests.HTTPError as refused:
        sys.exit(f"{given.source}: {refused}: {' '.join(refused.response.text.split())}")
    except (requests.RequestException, OSError) as fault:
        sys.exit(f"{given.source}: {fault}")
