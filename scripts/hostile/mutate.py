"""Damaged pictures through guard and decoder alone, thousands of each format, in a child process.

`python -m scripts.hostile.mutate --count 5000 --only tiff gif avif`

Each is read or refused as the caller's fault, in time. A finding is any other exception, a file
that takes too long, and one that ends the child, which a decoder in C can; its file is kept.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from scripts.arguments import positive
from scripts.command import run_command
from scripts.hostile.cost_meter import ACCEPTED, Cost, CostMeter
from scripts.hostile.mutations import mutate
from scripts.hostile.seeds import make_seeds
from scripts.measuring.machine import describe_machine
from scripts.measuring.processes import REPOSITORY
from service.errors import ImageError

_GIVE_UP = 4  # times the limit


@dataclass
class Tally:
    """What the files of one format came to.

    Attributes:
        outcomes: How many came to what.
        dearest: The most CPU seconds, and what took them.
        largest_mb: The most memory, in MiB.
        findings: What is wrong, in sentences.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    dearest: tuple[float, str] = (0.0, "")
    largest_mb: float = 0.0
    findings: list[str] = field(default_factory=list)

    def add(self, name: str, cost: Cost) -> None:
        """Take one file in."""
        self.outcomes[cost.outcome] += 1
        self.dearest = max(self.dearest, (cost.cpu_s, name))
        self.largest_mb = max(self.largest_mb, cost.peak_mb)


def try_format(prefix: str, options: argparse.Namespace, meter: CostMeter, folder: Path) -> Tally:
    """Damage the pictures of one format, so many times.

    Args:
        prefix: How the names of its seeds begin.
        options: Those of the command line.
        meter: Reads the files.
        folder: For the file that is read.
    """
    seeds, tally = make_seeds(), Tally()
    own = {name: data for name, data in seeds.items() if name.startswith(f"{prefix}-")}
    allowed = {ACCEPTED, *_codes(ImageError)}
    file = folder / "damaged"
    for number in range(options.count):
        random = Random(f"{options.seed}/{prefix}/{number}")  # noqa: S311  # to be repeated
        name = random.choice(list(own))
        data, done = mutate(own[name], list(seeds.values()), random)
        file.write_bytes(data)
        cost = meter.measure(file)
        tally.add(f"{name} {done}", cost)
        if cost.outcome not in allowed or cost.cpu_s > options.within:
            options.keep.mkdir(parents=True, exist_ok=True)
            kept = options.keep / f"{prefix}-{number}"
            kept.write_bytes(data)
            tally.findings.append(f"{cost.outcome}, {cost.cpu_s:.1f} s: {kept} ({name} {done})")
    return tally


def main(arguments: list[str] | None = None) -> int:
    """Parse, try every format, print; 1 if there was a finding."""
    options = _parse(arguments)
    print(*describe_machine().as_markdown(), f"- Seed {options.seed}", "", sep="\n")
    print(
        "| format | files | outcomes | most CPU s | most MB | findings |\n|---|---|---|---|---|---|"
    )
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="mutate-") as scratch,
        closing(CostMeter(REPOSITORY, _GIVE_UP * options.within)) as meter,
    ):
        for prefix in options.only or sorted({name.split("-")[0] for name in make_seeds()}):
            tally = try_format(prefix, options, meter, Path(scratch))
            outcomes = ", ".join(f"{n} {outcome}" for outcome, n in tally.outcomes.most_common())
            print(
                f"| {prefix} | {options.count} | {outcomes} | {tally.dearest[0]:.2f} "
                f"({tally.dearest[1]}) | {tally.largest_mb:.0f} | {len(tally.findings)} |",
                flush=True,
            )
            found += tally.findings
    for finding in found:
        print(f"FINDING {finding}")
    return int(bool(found))


def _codes(kind: type[ImageError]) -> set[str]:
    """Codes of a kind of error and of all kinds of it."""
    return {kind.code}.union(*map(_codes, kind.__subclasses__()))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=positive, default=1000, help="of each (default: 1000)")
    parser.add_argument("--only", nargs="*", metavar="FORMAT", help="jpeg, png, tiff ...; else all")
    seed = int.from_bytes(os.urandom(4))
    parser.add_argument("--seed", type=int, default=seed, help="default: another each time")
    parser.add_argument("--within", type=float, default=3.0, help="CPU seconds (default: 3)")
    parser.add_argument(
        "--keep", type=Path, default=Path("fuzz-findings"), metavar="FOLDER", help="for findings"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
