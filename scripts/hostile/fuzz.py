"""Damaged pictures of every format, thousands of them, through a running service.

`python -m scripts.hostile.fuzz --base http://127.0.0.1:55433 --count 20000`

Whatever a caller sends, the service answers in time: with a cutout of the size it states, or with a
problem that is the caller's. Anything else is a finding, and its file is kept. The service must run
without rate limits (`BIREFNET_RATE_LIMIT_PER_MINUTE=0` and so on). A seed gives the same files.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import cv2
import numpy as np

from scripts.arguments import positive
from scripts.command import run_command
from scripts.hostile.mutations import mutate, split
from scripts.hostile.seeds import make_seeds
from scripts.measuring.processes import PREFIX

DEFAULT_BASE = "http://127.0.0.1:55433"
_GIVE_UP_S = 60.0
_TRIES = 3
_SLOWEST = 5
_PROGRESS = 1000  # files


@dataclass(frozen=True)
class Damaged:
    """One file to send.

    Attributes:
        number: Its place in the sequence.
        name: The picture it was, and what was done to it.
        data: The file.
    """

    number: int
    name: str
    data: bytes


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status; 0 if the connection ended without one, or nothing came in time.
        headers: Its headers.
        body: Its body.
        took_s: How long that took.
    """

    status: int
    headers: Message
    body: bytes
    took_s: float


@dataclass
class FuzzReport:
    """What a run came to, so far.

    Attributes:
        keep: Folder for the files of findings.
        outcomes: Answers by status and error code.
        slowest: The longest times in seconds, with names.
        findings: What is wrong, in sentences.
    """

    keep: Path
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, sent: Damaged, answer: Answer, fault: str | None) -> None:
        """Take one answer in; keep the file if something is wrong."""
        with self._lock:
            self.outcomes[f"{answer.status} {_code_of(answer)}".strip()] += 1
            if self.outcomes.total() % _PROGRESS == 0:
                done = f"{self.outcomes.total()} files, {len(self.findings)} findings"
                print(done, file=sys.stderr, flush=True)
            timed = [*self.slowest, (answer.took_s, f"{sent.number} {sent.name}")]
            self.slowest = sorted(timed, reverse=True)[:_SLOWEST]
            if fault is not None:
                self.keep.mkdir(parents=True, exist_ok=True)
                file = self.keep / f"{sent.number}.{sent.name.split('-')[0]}"
                file.write_bytes(sent.data)
                self.findings.append(f"{fault}: {file} ({sent.name})")


def damage(seeds: Mapping[str, bytes], seed: int, number: int) -> Damaged:
    """One file of a sequence, whatever came before.

    Args:
        seeds: Pictures by name.
        seed: Which sequence.
        number: Its place there.
    """
    random = Random(f"{seed}/{number}")  # noqa: S311  # a sequence to repeat, not a secret
    name = random.choice(list(seeds))
    changed, done = mutate(seeds[name], list(seeds.values()), random)
    return Damaged(number, f"{name} {done}", changed)


def fuzz(options: argparse.Namespace) -> FuzzReport:
    """Send damaged files, some at once, and judge every answer.

    Args:
        options: Those of the command line.

    Returns:
        What came back.
    """
    report, seeds = FuzzReport(options.keep), make_seeds()

    def work(share: int) -> None:
        with closing(_Connection(options.base)) as connection:
            for number in range(share, options.count, options.workers):
                sent = damage(seeds, options.seed, number)
                answer = _ask(connection, sent.data, options.within)
                report.add(sent, answer, find_fault(answer, options.within))

    with ThreadPoolExecutor(options.workers) as threads:
        list(threads.map(work, range(options.workers)))
    return report


def _ask(connection: _Connection, data: bytes, within_s: float) -> Answer:
    """Send a file; again, where others at work on the machine may have made it slow."""
    answer = connection.send(data)
    if answer.status == 0:  # perhaps the service closed the kept connection just then
        return connection.send(data)
    for _ in range(_TRIES - 1):
        if answer.took_s > within_s:
            answer = connection.send(data)
    return answer


def find_fault(answer: Answer, within_s: float) -> str | None:
    """What is wrong with an answer to any file whatever, or None."""
    if answer.status == 0:
        return f"no answer: {answer.body.decode()}"
    if answer.took_s > within_s:
        return f"took {answer.took_s:.1f} s"
    if answer.status == 200:
        return _fault_of_cutout(answer)
    if answer.status == 429:
        return "429, for the service limits its callers"
    if not 400 <= answer.status < 500:
        return f"status {answer.status}"
    return _fault_of_problem(answer)


def _fault_of_problem(answer: Answer) -> str | None:
    try:
        problem = json.loads(answer.body)
    except ValueError:
        return f"status {answer.status} without JSON"
    if not isinstance(problem, dict) or any(isinstance(v, dict) for v in problem.values()):
        return "a problem that is not flat"
    for name in ("detail", "error_code", "request_id"):
        if not (isinstance(problem.get(name), str) and problem[name]):
            return f"a problem without {name}"
    if problem["request_id"] != answer.headers["x-request-id"]:
        return "a problem with another request's identifier"
    return None


def _fault_of_cutout(answer: Answer) -> str | None:
    cutout = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_UNCHANGED)
    if cutout is None or split(answer.body)[-1][4:8] != b"IEND":
        return "200 without a whole PNG"
    size = "x".join(map(str, cutout.shape[1::-1]))
    if cutout.shape[2:] != (4,) or size != answer.headers["x-original-size"]:
        return f"a cutout {cutout.shape} where {answer.headers['x-original-size']} was stated"
    return None


class _Connection:
    """A kept connection to the service, opened anew where it was closed."""

    def __init__(self, base: str) -> None:
        address = urlsplit(base)
        kind = (
            http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(address.netloc, timeout=_GIVE_UP_S)

    def send(self, data: bytes) -> Answer:
        """Ask for a removal."""
        edge = hashlib.sha256(data).hexdigest()
        head = f'--{edge}\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        body = head.encode() + data + f"\r\n--{edge}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
        started = time.monotonic()
        try:
            self._connection.request("POST", f"{PREFIX}/remove", body, headers)
            answer = self._connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as broken:
            self._connection.close()
            said = f"{type(broken).__name__} {broken}".encode()
            return Answer(0, Message(), said, time.monotonic() - started)
        return Answer(answer.status, answer.headers, told, time.monotonic() - started)

    def health(self) -> str:
        """What the service says of itself."""
        self._connection.request("GET", f"{PREFIX}/health")
        return str(json.loads(self._connection.getresponse().read())["status"])

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()


def main(arguments: list[str] | None = None) -> int:
    """Parse, fuzz, print; 1 if there was a finding, 2 if there is nobody to ask."""
    options = _parse(arguments)
    print(f"seed {options.seed}", flush=True)
    try:
        with closing(_Connection(options.base)) as connection:
            before = connection.health()
        started = time.monotonic()
        report = fuzz(options)
        with closing(_Connection(options.base)) as connection:
            after = connection.health()
    except (OSError, http.client.HTTPException) as failure:
        print(f"{options.base} does not answer: {failure}", file=sys.stderr)
        return 2
    print(f"{report.outcomes.total()} files in {time.monotonic() - started:.0f} s")
    for outcome, number in report.outcomes.most_common():
        print(f"{number:7} {outcome}")
    for took_s, name in report.slowest:
        print(f"{took_s:7.2f} s {name}")
    print(f"health {before} before, {after} after; {len(report.findings)} findings")
    for finding in report.findings:
        print(f"FINDING {finding}")
    return int(bool(report.findings) or before != after)


def _code_of(answer: Answer) -> str:
    """Error code of a problem; empty for anything else."""
    try:
        return str(json.loads(answer.body)["error_code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--base", default=DEFAULT_BASE, help=f"default: {DEFAULT_BASE}")
    parser.add_argument("--count", type=positive, default=2000, help="files (default: 2000)")
    seed = int.from_bytes(os.urandom(4))
    parser.add_argument("--seed", type=int, default=seed, help="default: another each time")
    parser.add_argument("--workers", type=positive, default=2, help="at once (default: 2)")
    parser.add_argument("--within", type=float, default=5.0, help="seconds (default: 5)")
    parser.add_argument(
        "--keep", type=Path, default=Path("fuzz-findings"), metavar="FOLDER", help="for findings"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
