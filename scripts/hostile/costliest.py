"""The dearest file of at most 10 MB: how much CPU time can one picture take?

`python -m scripts.hostile.costliest --minutes 30` measures guard and decoder alone on a table of
files made to be dear, then turns the numbers of their recipes, and the bytes of the dearest files,
for as long as it is given, and keeps what costs more. `--checkout FOLDER` measures another version,
and `--before FILE` puts its kept figures beside. Linux only.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from scripts.arguments import positive
from scripts.command import run_command
from scripts.hostile.cost_meter import CRASHED, KILLED, Cost, CostMeter
from scripts.hostile.costly_jpegs import jpeg_recipes
from scripts.hostile.costly_newer import avif_recipes, gif_recipes, tiff_recipes
from scripts.hostile.costly_others import bmp_recipes, webp_recipes
from scripts.hostile.costly_pngs import png_recipes
from scripts.hostile.mutations import mutate
from scripts.hostile.recipe import Recipe
from scripts.measuring.machine import Machine, describe_machine
from scripts.measuring.processes import REPOSITORY, stop_by_itself
from scripts.measuring.report import write_report

#: What the worst file may cost.
AIM_S = 3.0
_MARGIN_MINUTES = 30
_BYTES_SHARE = 0.25  # of the climb's steps
_RIVALS = 4
_ENCODER_FAULTS = (
    ArithmeticError,
    LookupError,
    MemoryError,
    OSError,
    StopIteration,
    ValueError,
    struct.error,
    zlib.error,
)
_SHOWN = 15
_TRIES = 2


@dataclass(frozen=True)
class Row:
    """One file measured.

    Attributes:
        recipe: Name of its recipe.
        numbers: What the recipe was given.
        n_bytes: Its length.
        cost: What it cost.
        damage: What was done to its bytes, if anything.
    """

    recipe: str
    numbers: dict[str, int]
    n_bytes: int
    cost: Cost
    damage: str = ""

    def as_markdown(self, earlier: Mapping[str, str] | None = None) -> str:
        """A row of a table, with what earlier figures say of the same recipe."""
        was = "" if earlier is None else f" {earlier.get(self.recipe, '')} |"
        size = f"{self.n_bytes / 1024:,.0f} KB"
        return f"| {self.recipe} | {size} |{was} {self.spoken()} | {self.cost.peak_mb:.0f} |"

    def spoken(self) -> str:
        """Outcome and CPU time."""
        spent = f"{self.cost.cpu_s:.2f}"
        return (
            f"{self.cost.outcome} | **{spent}**"
            if self.is_dear
            else f"{self.cost.outcome} | {spent}"
        )

    @property
    def is_dear(self) -> bool:
        """Whether it costs more than it may."""
        return self.cost.cpu_s > AIM_S


class Climb:
    """Keeps the dearest file of each recipe, refused or not: the time is spent either way.

    Args:
        meter: Measures.
        seed: Decides what is tried.
        folder: For the file under measurement.
    """

    def __init__(self, meter: CostMeter, seed: int, folder: Path) -> None:
        self._meter, self._file = meter, folder / "candidate"
        self._random = Random(seed)  # noqa: S311  # a search to repeat, not a secret
        self.best: dict[str, tuple[Row, bytes]] = {}
        self.accepted: Row | None = None  # the dearest of those
        self.tried = 0

    def measure(self, recipe: Recipe, numbers: dict[str, int]) -> Row:
        """Measure one file of a recipe."""
        return self._weigh(recipe.name, numbers, recipe.make(numbers))

    def run(self, known: list[Recipe], seconds: float) -> Iterator[Row]:
        """Search for so long; yields what costs more than its recipe's dearest so far."""
        by_name = {recipe.name: recipe for recipe in known}
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            dearest = self.best.get(recipe_name := self._choose(known))
            started_from = dearest[0].cost.cpu_s if dearest else 0.0
            row = self._step(by_name[recipe_name])
            if row is not None and row.cost.cpu_s > started_from:
                yield row

    def _choose(self, known: list[Recipe]) -> str:
        """Some recipe; a dear one more often."""
        rivals = self._random.sample(known, min(_RIVALS, len(known)))
        return max((r.name for r in rivals), key=self._cost_of)

    def _cost_of(self, name: str) -> float:
        return self.best[name][0].cost.cpu_s if name in self.best else 0.0

    def _step(self, recipe: Recipe) -> Row | None:
        """Turn some numbers or damage the dearest file's bytes; None where no file comes of it."""
        dearest = self.best.get(recipe.name)
        if dearest is not None and self._random.random() < _BYTES_SHARE:
            row, data = dearest
            changed, done = mutate(data, [kept for _, kept in self.best.values()], self._random)
            return self._weigh(recipe.name, row.numbers, changed, f"{row.damage} {done}".strip())
        numbers = dict(dearest[0].numbers) if dearest else recipe.defaults()
        for name in self._random.sample(
            list(numbers), self._random.randint(1, min(3, len(numbers)))
        ):
            numbers[name] = self._turned(numbers[name], recipe.bounds[name])
        try:
            return self.measure(recipe, numbers)
        except _ENCODER_FAULTS:  # for odd numbers
            return None

    def _turned(self, value: int, bounds: tuple[int, int, int]) -> int:
        _, least, most = bounds
        turned = self._random.choice(
            (
                self._random.randint(least, most),
                round(value * self._random.choice((0.5, 0.8, 1.25, 2.0))),
                value + self._random.choice((-1, 1)),
                most,
            )
        )
        return min(most, max(least, turned))

    def _weigh(self, name: str, numbers: dict[str, int], data: bytes, damage: str = "") -> Row:
        self.tried += 1
        self._file.write_bytes(data)
        cost = self._meter.measure(self._file)
        if cost.cpu_s > self._cost_of(name) and cost.outcome not in (KILLED, CRASHED):
            for _ in range(_TRIES - 1):  # others at work on the machine make everything dearer
                again = self._meter.measure(self._file)
                cost = min(cost, again, key=lambda measured: measured.cpu_s)
        row = Row(name, numbers, len(data), cost, damage)
        if cost.cpu_s > self._cost_of(name):
            self.best[name] = (row, data)
        if cost.is_accepted and (self.accepted is None or cost.cpu_s > self.accepted.cost.cpu_s):
            self.accepted = row
        return row


def main(arguments: list[str] | None = None) -> int:
    """Parse, measure, climb, print and write; 1 if a file is too dear or ends the process."""
    options = _parse(arguments)
    stop_by_itself(options.minutes + _MARGIN_MINUTES)
    machine = describe_machine()
    known = [*jpeg_recipes(), *png_recipes(), *webp_recipes(), *bmp_recipes()]
    known += [*tiff_recipes(), *gif_recipes(), *avif_recipes()]
    if options.only:
        known = [recipe for recipe in known if options.only in recipe.name]
    with (
        tempfile.TemporaryDirectory(prefix="costliest-") as scratch,
        closing(CostMeter(options.checkout.resolve(), options.give_up)) as meter,
    ):
        climb = Climb(meter, options.seed, Path(scratch))
        rows = []
        for recipe in known:
            rows.append(climb.measure(recipe, recipe.defaults()))
            print(rows[-1].as_markdown(), file=sys.stderr, flush=True)
        found = []
        for row in climb.run(known, 60.0 * options.minutes):
            found.append(row)
            print(f"{row.as_markdown()} {row.numbers} {row.damage}", file=sys.stderr, flush=True)
    best = max(climb.best.values(), key=lambda kept: kept[0].cost.cpu_s)
    report = _report(options, machine, rows, climb)
    print(report)
    if options.out:
        kept = {"rows": [asdict(row) for row in rows], "found": [asdict(row) for row in found]}
        write_report(options.out, report, kept)
    if options.keep:
        options.keep.write_bytes(best[1])
    return int(best[0].is_dear or any(row.cost.outcome == CRASHED for row in [*rows, *found]))


def _report(options: argparse.Namespace, machine: Machine, rows: list[Row], climb: Climb) -> str:
    before = json.loads(options.before.read_text())["rows"] if options.before else []
    known = [Row(**{**row, "cost": Cost(**row["cost"])}) for row in before]
    earlier = {row.recipe: row.spoken() for row in known} if known else None
    was = " before | CPU s |" if known else ""
    head = [
        f"| file | size |{was} outcome | CPU s | peak MB |",
        f"|---|---|{'---|---|' if known else ''}---|---|---|",
    ]
    lines = [
        f"# What one picture can cost, {datetime.now(UTC):%Y-%m-%d}",
        "",
        *machine.as_markdown(),
        f"- Guard and decoder in one thread; seed {options.seed}; {climb.tried} files measured",
        "",
        *head,
        *(row.as_markdown(earlier) for row in _dearest_first(rows)),
        "",
    ]
    found = _dearest_first([row for row, _ in climb.best.values()])
    if options.minutes:
        lines += [f"The dearest of each recipe after {options.minutes} minutes of search:", ""]
        lines += [*head, *(row.as_markdown(earlier) for row in found[:_SHOWN]), ""]
    for what, row in (("Dearest", found[0]), ("Dearest accepted", climb.accepted)):
        if row is not None:
            lines.append(
                f"{what}: {row.cost.cpu_s:.2f} s of CPU time, {row.n_bytes / 1024:,.0f} KB, "
                f"{row.cost.outcome}, {row.recipe} {row.numbers} {row.damage}".rstrip()
            )
    return "\n".join(lines) + "\n"


def _dearest_first(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: -row.cost.cpu_s)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--checkout", type=Path, default=REPOSITORY, metavar="FOLDER")
    parser.add_argument("--minutes", type=int, default=30, help="of search (default: 30)")
    parser.add_argument(
        "--give-up", type=float, default=60, metavar="S", help="CPU seconds (default: 60)"
    )
    parser.add_argument("--seed", type=positive, default=1, help="of the search (default: 1)")
    parser.add_argument("--only", metavar="WORD", help="recipes with this in their name")
    parser.add_argument("--before", type=Path, metavar="FILE", help="figures to put beside (JSON)")
    parser.add_argument("--out", type=Path, metavar="STEM", help="files to write, without suffix")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="for the dearest file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
