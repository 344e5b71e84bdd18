"""Compare engines on models, sizes and batches: latency, throughput, memory and error of each.

`python -m scripts.benchmark --model seeded:swin_v1_t --engines openvino onnxruntime pytorch`
prints a table and writes it, with every number as JSON, under docs/benchmarks/. Each row is a
process of its own; they take turns, so that other work on the machine hits all of them alike.
A row is an engine and, after colons, in any order: a precision, a form of the graph (`operator`,
`decomposed`), a variant of the engine (`scripts.benchmark.worker.VARIANTS`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.arrays import U8Array
from models.errors import BackgroundRemovalError
from models.matting.preprocess import fit
from scripts.benchmark.files import Subject, find_subject
from scripts.benchmark.report import Group, Report, Row, spread_of
from scripts.benchmark.rows import Contender
from scripts.command import Unusable, run_command
from scripts.measuring.child import Child, ChildFailed
from scripts.measuring.errors import error_of
from scripts.measuring.pictures import find_photos, read_photo
from scripts.measuring.processes import REPOSITORY, stop_by_itself
from scripts.measuring.report import begin_run, say

_FEWEST_TURNS = 2


class Match:
    """Contenders on one model at one batch size.

    Args:
        subject: The model.
        pictures: One batch ``[N, H, W, 3]``.
        options: The command line.
        scratch: Folder for pictures, mattes and logs.
    """

    def __init__(
        self, subject: Subject, pictures: U8Array, options: argparse.Namespace, scratch: Path
    ) -> None:
        self._subject, self._options, self._scratch = subject, options, scratch
        self._batch = len(pictures)
        np.save(scratch / "pictures.npy", pictures)
        self.group = Group(
            model=subject.name,
            caveat=subject.caveat,
            height=subject.height,
            width=subject.width,
            batch=len(pictures),
            reference=f"{subject.reference} f32",
        )

    def play(self, contenders: Sequence[Contender], deadline: float) -> Group:
        """Open all, then let them take turns until there are enough or no time is left."""
        reference = self._reference()
        players: list[tuple[Row, Child]] = []
        try:
            for contender in contenders:
                row = Row(contender.label)
                self.group.rows.append(row)
                if contender.form not in (None, *self._subject.graphs):
                    row.failure = "this model comes in one form only"
                    continue
                players.append((row, self._start(contender)))
                self._open(*players[-1], reference)
            for turn in range(self._options.turns):
                if turn >= _FEWEST_TURNS and time.monotonic() > deadline:
                    break
                shift = turn % max(len(players), 1)
                for row, worker in players[shift:] + players[:shift]:
                    _take_turn(row, worker)
        finally:
            for _, worker in players:
                worker.stop()
        return self.group

    def _open(self, row: Row, worker: Child, reference: U8Array | None) -> None:
        say(f"{self._subject.name} x{self._batch}: opening {row.label}")
        try:
            row.opened = worker.answer()
            if reference is not None:
                row.error = error_of(np.load(self._alpha(row.label)), reference)
        except ChildFailed as failed:
            row.failure = str(failed)

    def _reference(self) -> U8Array | None:
        """Mattes of the reference engine in f32 on the CPU, in a process that is gone after.

        None if it fails: how fast the others are can still be told.
        """
        engine = self._subject.reference
        worker = self._start(Contender("reference", engine, "f32"), device="cpu")
        try:
            worker.answer()
        except ChildFailed as failed:
            self.group.failure = str(failed)
            return None
        finally:
            worker.stop()
        mattes: U8Array = np.load(self._alpha("reference"))
        self.group.spread = spread_of(mattes)
        return mattes

    def _start(self, contender: Contender, device: str | None = None) -> Child:
        files = self._subject.files_in(contender.form)
        task = {
            "engine": contender.engine,
            "variant": contender.variant,
            "files": {name: str(file) if file else None for name, file in vars(files).items()},
            "config": {
                "height": self._subject.height,
                "width": self._subject.width,
                "precisions": [precision.value for precision in self._subject.precisions],
                "precision": contender.precision,
                "threads": self._options.threads,
                "max_batch": self._batch,
                "device": device or self._options.device,
                "pin_memory": True,
                "cudnn_benchmark": True,
            },
            "pictures": str(self._scratch / "pictures.npy"),
            "alpha": str(self._alpha(contender.label)),
        }
        command = [sys.executable, "-m", "scripts.benchmark.worker", json.dumps(task)]
        return Child(command, self._alpha(contender.label).with_suffix(".log"))

    def _alpha(self, label: str) -> Path:
        return self._scratch / f"{label.replace(':', '-')}.npy"


def main(arguments: list[str] | None = None) -> int:
    """Parse, measure, print and write; 1 if anything failed."""
    options = _parse(arguments)
    stop_by_itself(options.minutes + 5)
    deadline = time.monotonic() + 60 * options.minutes
    find_photos(options.photos)  # before the work that would be in vain
    report = Report(*begin_run("scripts.benchmark", arguments))
    stem = options.out or report.stem("engines")
    forms = sorted({c.form for c in options.engines if c.form})
    failed = False
    for model in options.model:
        for size in options.size:
            with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
                try:
                    subject = find_subject(model, size, forms, Path(folder))
                except (BackgroundRemovalError, Unusable) as failure:
                    print(f"benchmark: {model}: {failure}", file=sys.stderr)
                    failed = True
                    continue
                for batch in options.batch:
                    pictures = make_batch(batch, subject.height, subject.width, options.photos)
                    match = Match(subject, pictures, options, Path(folder))
                    report.groups.append(match.play(options.engines, deadline))
                    report.write(stem)
    if report.groups:
        report.publish(stem)
    return int(failed or any(group.failed for group in report.groups))


def make_batch(count: int, height: int, width: int, photos: Path) -> U8Array:
    """Photographs of a folder as model inputs ``[count, height, width, 3]``.

    Where there are fewer photographs, some come mirrored or upside down.
    """
    files = find_photos(photos)
    flips = (
        (slice(None), slice(None)),
        (slice(None), slice(None, None, -1)),
        (slice(None, None, -1), slice(None)),
    )
    batch = np.empty((count, height, width, 3), np.uint8)
    for i, item in enumerate(batch):
        photo = read_photo(files[i % len(files)])[flips[i // len(files) % len(flips)]]
        item[:] = fit(np.ascontiguousarray(photo), height, width)
    return batch


def _take_turn(row: Row, worker: Child) -> None:
    if row.failure is not None:
        return
    try:
        answer = worker.ask("run")
    except ChildFailed as failed:
        row.failure = str(failed)
        return
    row.times_ms.append(answer["ms"])
    row.cpu_ms.append(answer["cpu_ms"])
    row.peak_mb = answer["peak_mb"]
    say(f"{row.label}: {answer['ms']:.0f} ms")


def _contenders(words: str) -> list[Contender]:
    try:
        return [Contender.parse(label) for label in words.split(",")]
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from wrong


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", nargs="+", default=["seeded:swin_v1_t"], metavar="NAME")
    parser.add_argument(
        "--engines", type=_contenders, default="openvino,onnxruntime,pytorch", metavar="ROW,ROW"
    )
    parser.add_argument("--size", nargs="+", type=int, default=[1024], help="of a seeded model")
    parser.add_argument("--batch", nargs="+", type=int, default=[1], metavar="N")
    parser.add_argument("--turns", type=int, default=9, help="how often each row runs")
    parser.add_argument("--threads", type=int, default=0, help="0: one per core")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--photos", type=Path, default=REPOSITORY / "examples" / "photos")
    parser.add_argument("--out", type=Path, metavar="STEM", help="files to write, without suffix")
    parser.add_argument("--minutes", type=int, default=30, help="take no more turns after so long")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
