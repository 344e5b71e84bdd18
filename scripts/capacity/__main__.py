"""Predict waiting times of public and inference services by simulation.

    python -m scripts.capacity --costs docs/benchmarks/2026-11-28-capacity-one-pair.json \
        --pairs 10 --per-second 10 20 --output docs/benchmarks/2026-11-28-capacity-plan

Costs are what `scripts.capacity.measure` has found; `scripts.capacity.compare` runs what is
predicted.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from scripts.arguments import positive
from scripts.capacity.prediction import Prediction, predict, read_report
from scripts.capacity.simulation import Costs, Layout, Plant
from scripts.command import run_command
from scripts.measuring.report import begin_run


def main(arguments: list[str] | None = None) -> int:
    """Parse, simulate, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--costs", type=Path, required=True, help="JSON of scripts.capacity.measure"
    )
    parser.add_argument("--pairs", type=positive, default=2)
    parser.add_argument("--cores", type=positive, default=2, help="of each machine")
    parser.add_argument(
        "--machines", choices=get_args(Layout), default="pair", help="what has a machine of its own"
    )
    parser.add_argument("--per-second", type=float, nargs="+", required=True)
    parser.add_argument("--pictures", type=positive, default=10_000)
    parser.add_argument("--output", type=Path, metavar="STEM", help="report, without suffix")
    options = parser.parse_args(arguments)
    run = begin_run("scripts.capacity", arguments)
    costs = Costs.read(read_report(options.costs))
    plant = Plant(options.pairs, options.pairs, options.cores, options.machines)
    loads = [predict(costs, plant, rate, options.pictures) for rate in options.per_second]
    prediction = Prediction(*run, costs=costs, plant=plant, loads=loads)
    if options.output:
        prediction.publish(options.output)
    else:
        print(prediction.as_markdown())
    return 0


if __name__ == "__main__":
    run_command(main)
