"""Run two public and two inference services on hosts of a network, and kill half of them.

    python -m scripts.replicas --output docs/benchmarks/2026-11-28-two-by-two
    python -m scripts.replicas --engine fake --requests 300 --tasks 0

Callers with the project's client ask for pictures without a pause while a third pair joins, and an
inference and a public are killed. Every answer is compared with what the service makes of the same
picture without a network. Needs root, HAProxy, Redis and Postgres.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.arguments import positive
from scripts.command import run_command
from scripts.measuring.processes import stop_by_itself
from scripts.measuring.report import begin_run
from scripts.replicas.network import go_into_own_network

_MINUTES = 30


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, print; 1 if something is not as promised."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="u2netp", help="registered already")
    parser.add_argument("--engine", default="auto", help="as of BIREFNET_ENGINE")
    parser.add_argument("--requests", type=positive, default=1000)
    parser.add_argument("--callers", type=positive, default=8)
    parser.add_argument("--tasks", type=int, default=12, help="of the public that is killed")
    parser.add_argument("--output", type=Path, metavar="STEM", help="report, without suffix")
    options = parser.parse_args(arguments)
    go_into_own_network()
    stop_by_itself(_MINUTES)
    run = begin_run("scripts.replicas", arguments)
    from scripts.replicas.running import run_two_by_two  # with the client, which is found by now

    report = run_two_by_two(
        run, options.model, options.engine, options.callers, (options.requests, options.tasks)
    )
    if options.output:
        report.publish(options.output)
    else:
        print(report.as_markdown())
    for fault in report.faults:
        print(fault, file=sys.stderr)
    return 1 if report.faults else 0


if __name__ == "__main__":
    run_command(main)
