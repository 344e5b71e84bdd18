"""Pictures with known alpha -> a table of how close our cutouts and rembg's come, same weights.

    python -m scripts.rembg.quality --split test

Prints, per model, mean errors (0..1; IoU is better when larger) and their ratio, writes them as
JSON and saves the three worst pictures as PNG: source, truth, ours and rembg over grey.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.arrays import U8Array
from models.catalog import CATALOG
from models.matting.compositing import composite, cutout
from models.matting.foreground import estimate_foreground
from models.matting.refine import refine_alpha
from models.spec import ModelSpec
from scripts.command import Unusable, run_command
from scripts.download_model import DEFAULT_FOLDER
from scripts.evaluate import metrics
from scripts.evaluate.composites import DEFAULT_CACHE, Composite, fetch_packages, make_composites
from scripts.measuring.open_model import OpenModel, open_model
from scripts.rembg.environment import give_checkpoint, make_environment

#: What rembg can run with the same weights.
REMBG_MODELS = ("u2net", "u2netp")
MEASURES = ("alpha_band", "composite_band", "mae", "iou")
Scores = dict[str, float]


def main() -> int:
    """Measure, print, write."""
    arguments = _parse_arguments()
    unpacked = fetch_packages(arguments.cache)
    composites = list(make_composites(unpacked, arguments.split, arguments.count))
    report: dict[str, Any] = {"split": arguments.split, "count": len(composites), "models": {}}
    for name in arguments.model:
        model = open_model(name, arguments.weights, precision=arguments.precision)
        precision = model.engine.info.precision.value
        pairs = [(model.infer(one.source), one.source) for one in composites]
        model.engine.close()
        cutouts = {
            "ours": [_our_cutout(model, *pair) for pair in pairs],
            "plain": [_plain_cutout(*pair) for pair in pairs],
        }
        if name in REMBG_MODELS and not arguments.no_rembg:
            cutouts["rembg"] = _rembg_cutouts(model.spec, arguments, composites)
        scores = {who: _score_all(made, composites) for who, made in cutouts.items()}
        report["models"][name] = {"precision": precision, **_summarise(scores)}
        _print_table(name, precision, scores)
        _save_worst(arguments.output / f"{arguments.split}-{name}", composites, cutouts, scores)
    path = arguments.output / f"quality-{arguments.split}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written: {path} and the three worst pictures of each model beside it")
    return 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", nargs="+", choices=CATALOG, default=["u2net", "u2netp"])
    parser.add_argument("--precision", choices=("f32", "bf16", "int8"), help="else each one's own")
    parser.add_argument("--split", choices=("tune", "test"), default="test")
    parser.add_argument("--count", type=int, default=48, help="pictures")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--output", type=Path, default=DEFAULT_CACHE / "results")
    parser.add_argument("--rembg-python", type=Path, help="python that has rembg; else one is made")
    parser.add_argument("--weights", type=Path, default=DEFAULT_FOLDER, help="checkpoints' folder")
    parser.add_argument("--no-rembg", action="store_true")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    return arguments


def _our_cutout(model: OpenModel, alpha: U8Array, source: U8Array) -> U8Array:
    """What the service makes of the network's matte by default."""
    alpha = model.finish(alpha, source)
    return cutout(estimate_foreground(source, alpha), alpha)


def _plain_cutout(alpha: U8Array, source: U8Array) -> U8Array:
    """The least one can do: smooth upsampling and the source's own colours."""
    return cutout(source, refine_alpha(alpha, source, None))


def _rembg_cutouts(
    spec: ModelSpec, arguments: argparse.Namespace, composites: list[Composite]
) -> list[U8Array]:
    """Run rembg's own ``remove()`` in its own environment on the same pictures."""
    python = arguments.rembg_python or make_environment()
    home = arguments.cache / "rembg-home"
    give_checkpoint(spec, arguments.weights, home)
    with tempfile.TemporaryDirectory() as folder:
        pictures, made = Path(folder, "in"), Path(folder, "out")
        pictures.mkdir()
        made.mkdir()
        for one in composites:
            cv2.imwrite(str(pictures / f"{one.name}.png"), one.source[..., ::-1])
        worker = Path(__file__).with_name("quality_worker.py")
        command = ["env", f"U2NET_HOME={home}", str(python), str(worker), spec.name]
        command += [str(pictures), str(made)]
        subprocess.run(command, check=True)
        paths = [str(made / f"{one.name}.png") for one in composites]
        return [_read_rgba(path) for path in paths]


def _read_rgba(path: str) -> U8Array:
    bgra = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if bgra is None:
        raise Unusable(f"rembg wrote no picture at {path}")
    return np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA), dtype=np.uint8)


def _score_all(made: list[U8Array], composites: list[Composite]) -> list[Scores]:
    return [_score(one, truth) for one, truth in zip(made, composites, strict=True)]


def _score(made: U8Array, truth: Composite) -> Scores:
    band = metrics.edge_band(truth.alpha_u8)
    alpha = np.ascontiguousarray(made[..., 3])
    wanted = np.dstack([truth.foreground, truth.alpha_u8])
    return {
        "alpha_band": metrics.alpha_error(alpha, truth.alpha_u8, band),
        "composite_band": metrics.composite_error(made, wanted, truth.backgrounds, band),
        "mae": metrics.alpha_error(alpha, truth.alpha_u8),
        "iou": metrics.compare_masks(alpha, truth.alpha_u8).iou,
        "soft": float(truth.soft),
    }


def _mean(scores: list[Scores], measure: str) -> float:
    return float(np.mean([one[measure] for one in scores]))


def _summarise(scores: dict[str, list[Scores]]) -> dict[str, Scores]:
    return {who: {key: _mean(rows, key) for key in MEASURES} for who, rows in scores.items()}


def _print_table(name: str, precision: str, scores: dict[str, list[Scores]]) -> None:
    print(f"\n{name} ({precision}), {len(scores['ours'])} pictures")
    print(f"{'':24}{'ours':>9}{'plain':>9}{'rembg':>9}{'ours/rembg':>12}")
    for label, only_soft in (("", False), (" (soft)", True)):
        for measure in MEASURES:
            means = {
                who: _mean([row for row in rows if row["soft"] or not only_soft], measure)
                for who, rows in scores.items()
            }
            cells = "".join(f"{means.get(who, np.nan):9.4f}" for who in ("ours", "plain", "rembg"))
            ratio = means["ours"] / means["rembg"] if means.get("rembg") else np.nan
            print(f"{measure + label:24}{cells}{ratio:12.3f}")


def _save_worst(
    folder: Path,
    composites: list[Composite],
    cutouts: dict[str, list[U8Array]],
    scores: dict[str, list[Scores]],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    grey = np.array([128, 128, 128], np.uint8)
    order = np.argsort([-row["alpha_band"] for row in scores["ours"]])
    for rank, index in enumerate(order[:3], start=1):
        one = composites[index]
        truth = cutout(one.foreground, one.alpha_u8)
        shown = [truth, cutouts["ours"][index]]
        if "rembg" in cutouts:
            shown.append(cutouts["rembg"][index])
        row = np.hstack([one.source, *(composite(image, grey) for image in shown)])
        cv2.imwrite(str(folder / f"{rank}-{one.name}.png"), row[..., ::-1])


if __name__ == "__main__":
    run_command(main)
