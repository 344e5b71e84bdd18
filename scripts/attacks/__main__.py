"""Attacks on a service of any checkout, one figure each: what held before can be seen to hold now.

`python -m scripts.attacks` starts the service of this checkout anew for each attack, on loopback
only, and stops everything it has started. `--checkout FOLDER` attacks another version; `--json`
keeps the figures, and `--before` puts kept ones beside. Linux only; under 15 minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from scripts.arguments import positive
from scripts.attacks import callers as by_callers
from scripts.attacks import operators as by_operators
from scripts.attacks.callers import Figure
from scripts.command import run_command
from scripts.download_model import DEFAULT_FOLDER
from scripts.measuring.machine import describe_machine
from scripts.measuring.processes import REPOSITORY, ServerFailed, stop_by_itself
from scripts.measuring.table import table
from scripts.register_model import ensure

_MINUTES = 25
_MODEL = "u2netp"

Attack = Callable[[Path], list[Figure]]


def main(arguments: list[str] | None = None) -> int:
    """Parse, attack, print; 1 if a service did not even start."""
    options = _parse(arguments)
    stop_by_itself(_MINUTES)
    machine = describe_machine()
    ensure(_MODEL, DEFAULT_FOLDER)
    attacks = _attacks(options)
    figures: dict[str, list[Figure]] = {}
    for name in options.only or attacks:
        started = time.monotonic()
        try:
            figures[name] = attacks[name](options.checkout.resolve())
        except ServerFailed as failure:
            print(f"{name}: {failure}", file=sys.stderr)
            return 1
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    if options.json:
        kept = (
            json.loads(options.json.read_text()) if options.only and options.json.exists() else {}
        )
        kept |= {name: [asdict(figure) for figure in found] for name, found in figures.items()}
        options.json.write_text(json.dumps(kept, indent=2) + "\n")
    before = json.loads(options.before.read_text()) if options.before else {}
    print("\n".join([f"{datetime.now(UTC):%Y-%m-%d}", "", *machine.as_markdown(), ""]))
    print("\n".join(as_table(figures, before)))
    return 0


def as_table(
    figures: dict[str, list[Figure]], before: dict[str, list[dict[str, object]]]
) -> list[str]:
    """A table of what each attack measured, beside what an earlier run has kept, if any."""
    earlier = {
        (name, str(row["what"])): Figure(**row)  # type: ignore[arg-type]
        for name, rows in before.items()
        for row in rows
    }
    rows = [["attack", "measured", *(["before"] if before else []), "now"]]
    for name, found in figures.items():
        for figure in found:
            was = [_spoken(earlier.get((name, figure.what)))] if before else []
            rows.append([name, figure.what, *was, _spoken(figure)])
    return table(rows, words=len(rows[0]))


def _spoken(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.value is None:
        return "never"
    rounded = f"{figure.value:.0f}" if abs(figure.value) >= 100 else f"{figure.value:.3g}"
    return f"{rounded} {figure.unit}".strip()


def _attacks(options: argparse.Namespace) -> dict[str, Attack]:
    return {
        "listeners": by_callers.listeners,
        "clients": partial(by_callers.clients, n_clients=options.clients, seconds=200),
        "growth": partial(by_callers.growth, n_requests=options.requests, seconds=240),
        "uploads": by_callers.uploads,
        "silent": partial(by_callers.silent, seconds=40),
        "dear-pictures": by_callers.dear_pictures,
        "hang-up": by_operators.hang_up,
        "stop-twice": by_operators.stop_twice,
        "freeze": by_operators.freeze,
        "sweep": by_operators.sweep,
    }


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--checkout", type=Path, default=REPOSITORY, metavar="FOLDER")
    parser.add_argument("--clients", type=positive, default=20_000, help="of the attack `clients`")
    parser.add_argument("--requests", type=positive, default=30_000, help="of the attack `growth`")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="keep the figures there; --only replaces its own"
    )
    parser.add_argument("--before", type=Path, metavar="FILE", help="figures to put beside")
    names = list(_attacks(argparse.Namespace(clients=1, requests=1)))
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=str(names))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
