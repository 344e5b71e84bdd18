"""Predict pictures per second and waiting times of public and inference services by simulation.

    python -m scripts.capacity --prepare 0.02 --network 0.2 --finish 0.03 --per-second 2 4 6
    python -m scripts.capacity --prepare 0.02 --network 0.2 --finish 0.03 --shared --per-second 4

Costs are core seconds of one picture, as `/metrics` of one replica tell them: the growth of
`background_removal_process_cpu_seconds_total` over the growth of pictures.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from scripts.arguments import positive
from scripts.capacity.simulation import Costs, Plant, Simulation
from scripts.command import run_command
from scripts.measuring.table import table


def predict(costs: Costs, plant: Plant, per_second: float, pictures: int) -> dict[str, float]:
    """Median and 95 of 100, in milliseconds, of pictures that come at a rate."""
    took_s = Simulation(costs, plant).run(per_second, pictures)
    p50, p95 = (1e3 * float(one) for one in np.percentile(took_s, (50, 95)))
    return {"per_second": per_second, "p50_ms": p50, "p95_ms": p95}


def main(arguments: list[str] | None = None) -> int:
    """Parse, simulate, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prepare", type=float, required=True, help="core seconds before it")
    parser.add_argument("--network", type=float, required=True, help="core seconds of inference")
    parser.add_argument("--finish", type=float, required=True, help="core seconds after it")
    parser.add_argument("--pairs", type=positive, default=2)
    parser.add_argument("--cores", type=positive, default=2, help="of each machine")
    parser.add_argument("--shared", action="store_true", help="all on one machine")
    parser.add_argument("--per-second", type=float, nargs="+", required=True)
    parser.add_argument("--pictures", type=positive, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    costs = Costs(options.prepare, options.network, options.finish, cores_of_network=options.cores)
    plant = Plant(options.pairs, options.pairs, options.cores, options.shared)
    found = [predict(costs, plant, rate, options.pictures) for rate in options.per_second]
    if options.json:
        told: dict[str, Any] = {"costs": asdict(costs), "plant": asdict(plant), "loads": found}
        print(json.dumps(told, indent=1))
        return 0
    rows = [["pictures a second", "p50, ms", "p95, ms"]]
    rows += [[f"{f['per_second']:g}", f"{f['p50_ms']:.0f}", f"{f['p95_ms']:.0f}"] for f in found]
    print("\n".join(table(rows)))
    return 0


if __name__ == "__main__":
    run_command(main)
