"""Send pictures to a running service at a given concurrency and count what came back, by status.

`python -m scripts.measuring.load --image examples/photos/coffee.jpg --requests 100`

The service must run with its limits off (`BIREFNET_RATE_LIMIT_PER_MINUTE=0` and so on), else it is
the limits that are measured; refused requests are counted as what they are, never as successes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import field as dataclass_field
from pathlib import Path

import httpx
import numpy as np

from scripts.arguments import positive
from scripts.command import Unusable, run_command

_ROUTE = "/api/background-removal/remove"
DEFAULT_URL = f"http://127.0.0.1:55433{_ROUTE}"


@dataclass(frozen=True)
class LoadReport:
    """What a load came to; latencies in milliseconds, of successful requests only."""

    total_requests: int
    successful: int
    statuses: dict[str, int]
    concurrency: int
    total_time_s: float
    throughput: float
    avg_latency_ms: float
    p50_latency_ms: float
    p95_latency_ms: float
    p99_latency_ms: float


@dataclass(frozen=True)
class Form:
    """How a service wants its picture.

    Attributes:
        field: Name of the file's part.
        values: Other parts.
    """

    field: str = "image"
    values: Mapping[str, str] = dataclass_field(default_factory=dict)


OUR_FORM = Form()


async def load(
    url: str,
    images: list[Path],
    requests: int,
    concurrency: int,
    timeout_s: float = 120.0,
    form: Form = OUR_FORM,
) -> LoadReport:
    """Send files in turn to an address that takes the form, so many in all, so many at once.

    Returns:
        What came back. A broken connection counts under the name of its error.
    """
    bodies = [(path.name, path.read_bytes()) for path in images]
    statuses: Counter[str] = Counter()
    latencies: list[float] = []
    turns = iter(range(requests))

    async def work(client: httpx.AsyncClient) -> None:
        for turn in turns:
            started = time.perf_counter()
            try:
                file = {form.field: bodies[turn % len(bodies)]}
                answer = await client.post(url, files=file, data=form.values)
                statuses[str(answer.status_code)] += 1
                if answer.is_success:
                    latencies.append((time.perf_counter() - started) * 1e3)
            except httpx.HTTPError as broken:
                statuses[type(broken).__name__] += 1

    limits = httpx.Limits(max_connections=concurrency)
    started = time.perf_counter()
    async with httpx.AsyncClient(limits=limits, timeout=timeout_s) as client:
        await asyncio.gather(*(work(client) for _ in range(concurrency)))
    return _report(statuses, latencies, concurrency, time.perf_counter() - started)


def _removal_url(given: str) -> str:
    """The address that takes pictures, where only the service's was given."""
    try:
        url = httpx.URL(given)
    except httpx.InvalidURL as fault:
        raise Unusable(f"no address: {fault}") from fault
    if url.scheme not in ("http", "https") or not url.host:
        raise Unusable(f"{given} is no address of a service, such as {DEFAULT_URL}")
    return str(url.copy_with(path=_ROUTE) if url.path in ("", "/") else url)


def _why_nothing(url: str, statuses: Mapping[str, int]) -> str:
    """A sentence for a load of which nothing succeeded."""
    if not any(status.isdecimal() for status in statuses):
        return f"nobody answers at {url} ({', '.join(statuses)}); start the service: make serve"
    hint = {
        "404": "no pictures are taken at that address",
        "429": "the service's rate limits are on: BIREFNET_RATE_LIMIT_PER_MINUTE=0 and so on",
    }
    reasons = [hint[status] for status in statuses if status in hint]
    return f"nothing succeeded at {url}, by status: {dict(statuses)}" + "".join(
        f"; {reason}" for reason in reasons
    )


def _report(
    statuses: Counter[str], latencies: list[float], concurrency: int, elapsed_s: float
) -> LoadReport:
    p50, p95, p99 = np.percentile(latencies, (50, 95, 99)) if latencies else (0.0, 0.0, 0.0)
    return LoadReport(
        total_requests=sum(statuses.values()),
        successful=len(latencies),
        statuses=dict(statuses),
        concurrency=concurrency,
        total_time_s=round(elapsed_s, 2),
        throughput=round(len(latencies) / elapsed_s, 2),
        avg_latency_ms=round(float(np.mean(latencies)) if latencies else 0.0, 1),
        p50_latency_ms=round(float(p50), 1),
        p95_latency_ms=round(float(p95), 1),
        p99_latency_ms=round(float(p99), 1),
    )


def main(arguments: list[str] | None = None) -> int:
    """Parse, load, print; 1 if anything but successes came back.

    Raises:
        Unusable: If nothing did succeed: there is nothing to report then.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default=DEFAULT_URL, help=f"default: {DEFAULT_URL}")
    parser.add_argument("--image", type=Path, action="append", required=True)
    parser.add_argument("--requests", type=positive, default=100)
    parser.add_argument("--concurrency", type=positive, default=10)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    url = _removal_url(options.url)
    report = asyncio.run(load(url, options.image, options.requests, options.concurrency))
    if not report.successful:
        raise Unusable(_why_nothing(url, report.statuses))
    if options.json:
        print(json.dumps(asdict(report), indent=2))
    else:
        for name, value in asdict(report).items():
            print(f"{name.replace('_', ' '):16} {value}")
    return 0 if report.successful == report.total_requests else 1


if __name__ == "__main__":
    run_command(main)
