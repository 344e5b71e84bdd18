"""Judges on the user's own machine and weights whether a faster precision may serve.

The catalogue's rule (docs/engines.md): beside float32, the error of alpha in the band around the
edge grows by no more than 3%. On pictures that code makes, since true mattes are needed. A picture
counts where float32 itself is right: elsewhere a model guesses, and any rounding changes the guess.
"""

from __future__ import annotations

import hashlib
import json
import platform
import statistics
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from models.arrays import U8Array
from models.artifacts import GRAPH_VERSION, write_atomically
from models.matting.edge_band import alpha_error, edge_band
from models.matting.preprocess import fit
from models.matting.refine import refine_alpha
from models.serving.composites import make_composite
from models.spec import EDGE_ERROR_LIMIT, Precision

_MOST = 12
_FEWEST = 4  # whatever the time: on two, u2netp would have passed
_BUDGET_S = 30.0
#: Error in the band, 0..1, up to which float32 is right on a picture: u2net and u2netp always are,
#: modnet where it sees people, random weights never.
_RIGHT = 0.12
_SPEEDUP = 1.15

#: Runs one model input ``[H, W, 3]``: its matte ``[H, W]``, and the seconds that took.
Run = Callable[[U8Array], tuple[U8Array, float]]


@dataclass(frozen=True)
class Comparison:
    """One precision beside float32, on the same pictures.

    Attributes:
        tried: How many pictures were.
        pictures: How many of them count, since float32 is right on them.
        error: Mean error of alpha in the edge band in float32, 0..1; 0 where none counts.
        increase: By what share the other precision's is larger; negative if it is smaller.
        speedup: Float32's time over the other's; medians of one pass each.
        took_s: What both took, in seconds.
    """

    tried: int
    pictures: int
    error: float
    increase: float
    speedup: float
    took_s: float


@dataclass(frozen=True)
class Verdict:
    """Which precision shall serve, and why.

    Attributes:
        precision: The one.
        reason: One sentence with the figures; fit to be shown to anybody.
        comparison: The figures.
    """

    precision: Precision
    reason: str
    comparison: Comparison


def judge(candidate: Precision, comparison: Comparison) -> Verdict:
    """Apply the rule.

    Args:
        candidate: The faster precision that was compared.
        comparison: What was measured.
    """
    name, told = candidate.value, _told(comparison)
    if comparison.pictures * 2 < comparison.tried:
        right = f"float32 is right on {comparison.pictures} of {comparison.tried} pictures"
        return Verdict(Precision.F32, f"{name} is not judged: {right}", comparison)
    if comparison.increase > EDGE_ERROR_LIMIT:
        return Verdict(Precision.F32, f"{name} costs too much: {told}", comparison)
    if comparison.speedup < _SPEEDUP:
        return Verdict(Precision.F32, f"{name} gains too little: {told}", comparison)
    return Verdict(candidate, f"{name} keeps the edges: {told}", comparison)


def compare(reference: Run, candidate: Run, height: int, width: int) -> Comparison:
    """Run pictures in float32 and in another precision, by turns.

    As many pictures as half a minute of computing allows: four at least, twelve at most.

    Args:
        reference: Runs float32.
        candidate: Runs the other.
        height: Rows of the model input, in pixels.
        width: Columns of the model input, in pixels.
    """
    errors: tuple[list[float], list[float]] = ([], [])
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(_MOST):
        case = make_composite(number)
        model_input, band = fit(case.picture, height, width), edge_band(case.alpha_u8)
        for run, error, seconds in zip((reference, candidate), errors, times, strict=True):
            alpha, took_s = run(model_input)
            seconds.append(took_s)
            error.append(alpha_error(refine_alpha(alpha, case.picture, None), case.alpha_u8, band))
        took_s = sum(times[0]) + sum(times[1])
        if number + 1 >= _FEWEST and took_s > _BUDGET_S:
            break
    right = [pair for pair in zip(*errors, strict=True) if pair[0] <= _RIGHT]
    f32, other = map(sum, zip(*right, strict=True)) if right else (0.0, 0.0)
    return Comparison(
        tried=len(errors[0]),
        pictures=len(right),
        error=f32 / max(1, len(right)),
        increase=other / f32 - 1 if f32 else 0.0,
        speedup=statistics.median(times[0]) / statistics.median(times[1]),
        took_s=took_s,
    )


def verdict_file(folder: Path, made_of: str) -> Path:
    """Where a verdict is kept: it holds for one model, one kind of CPU and one OpenVINO.

    Args:
        folder: Folder for all of them.
        made_of: Hash of what the model is made of.
    """
    runtime = version("openvino") if find_spec("openvino") else ""
    machine = hashlib.sha256(f"{runtime} {_cpu()}".encode()).hexdigest()
    return folder / f"{made_of[:32]}-g{GRAPH_VERSION}-{machine[:16]}.json"


def read_verdict(file: Path) -> Verdict | None:
    """A verdict that was kept; None if there is none, or it is damaged."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(file.read_text())
        comparison = Comparison(**kept["comparison"])
        return Verdict(Precision(kept["precision"]), str(kept["reason"]), comparison)
    return None


def keep_verdict(file: Path, verdict: Verdict) -> None:
    """Keep a verdict, whole or not at all."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(file, json.dumps(asdict(verdict), indent=2))


def _told(comparison: Comparison) -> str:
    return (
        f"error at the edges {comparison.increase:+.1%} beside float32's {comparison.error:.3f} "
        f"(limit {EDGE_ERROR_LIMIT:+.0%}), {comparison.speedup:.2f} times as fast (at least "
        f"{_SPEEDUP:g}), {comparison.pictures} pictures"
    )


def _cpu() -> str:
    """Model and instruction sets of the CPU, as Linux tells them; else what Python knows."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        known = {line.partition(":")[0].strip(): line for line in lines}
        return " ".join(known.get(name, "") for name in ("model name", "flags", "Features"))
    return f"{platform.machine()} {platform.processor()}"
