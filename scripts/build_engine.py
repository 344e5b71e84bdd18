"""Build the TensorRT engine of a registered model for the GPU of this machine.

`python -m scripts.build_engine` keeps it in the cache folder, where the service finds it;
`--register` puts it into the BentoML model store as well; named under `models:` in `bentofile.yaml`
it travels in the Bento.
`--dry-run` says what would be built and whether it is there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from models.engine import EngineConfig
from models.engines.trt.build import PLANS_FOLDER, PlanBuilder, PlanRequest
from models.engines.trt.cache import PlanCache
from models.engines.trt.open import clear_crash_marker, request_plan
from models.errors import BackgroundRemovalError, EngineIncompatible
from models.serving.options import CUDA_BATCH
from models.store.plans import register_plan
from models.store.registered import RegisteredModel
from scripts.arguments import positive
from scripts.command import run_command
from service.settings_reader import read_settings
from service.startup import find_model

_NOT_THERE = "not there: would be built"


def main(arguments: list[str] | None = None) -> int:
    """Parse, build, print; 1 when it could not be done."""
    settings = read_settings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="name in the catalogue, or auto; else what is served")
    parser.add_argument("--cache-dir", type=Path, default=settings.cache_dir, metavar="FOLDER")
    parser.add_argument("--batch-size", type=positive, default=settings.batch_size or CUDA_BATCH)
    parser.add_argument("--dry-run", action="store_true", help="say what would be built")
    parser.add_argument("--again", action="store_true", help="build even if it is there")
    parser.add_argument("--register", action="store_true", help="into the model store as well")
    options = parser.parse_args(arguments)
    try:
        model = find_model(settings, options.model)
        request = _order(model, options)
        _describe(request)
        if options.dry_run:
            print(_state_of(request, options.cache_dir))
            return 0
        _build(model, request, options)
    except (BackgroundRemovalError, OSError) as failure:  # a full disk, a folder of somebody else's
        print(f"build_engine: {failure}", file=sys.stderr)
        return 1
    return 0


def _order(model: RegisteredModel, options: argparse.Namespace) -> PlanRequest:
    size = model.spec.input
    config = EngineConfig(size.height, size.width, max_batch=options.batch_size)
    return request_plan(model.files, config)


def _describe(request: PlanRequest) -> None:
    device, key = request.device, request.key
    capability = ".".join(map(str, device.compute_capability))
    print(f"device    {device.name}, compute capability {capability}, driver {device.driver}")
    print(f"library   {request.library.label}")
    print(f"network   {request.height} x {request.width}, {request.precision.value}")
    print(f"profiles  {', '.join(map(str, request.batches))}")
    print(f"key       {key.digest}")


def _state_of(request: PlanRequest, folder: Path) -> str:
    if not (folder / PLANS_FOLDER).is_dir():  # to look must not make it
        return _NOT_THERE
    cache = PlanCache(folder / PLANS_FOLDER)
    try:
        known = cache.find(request.key)
    except EngineIncompatible as broken:
        return f"there, but not usable ({broken}): would be built anew"
    return f"there: {len(known) / 1e6:.0f} MB" if known else _NOT_THERE


def _build(model: RegisteredModel, request: PlanRequest, options: argparse.Namespace) -> None:
    with tqdm(total=1, unit="step", disable=None) as bar:

        def show(phase: str, done: int, of: int) -> None:
            bar.set_description(phase)
            bar.total, bar.n = of, done
            bar.refresh()

        maker = PlanBuilder(options.cache_dir, show)
        if options.again:
            maker.forget(request)
            clear_crash_marker(options.cache_dir / PLANS_FOLDER, request)
        plan = maker.plan(request)
    manifest = maker.cache.manifest(request.key)
    print(f"engine    {len(plan) / 1e6:.0f} MB, built in {manifest.build_s:.0f} s")
    if options.register:
        print(f"tag       {register_plan(model.spec.name, plan, manifest)}")


if __name__ == "__main__":
    run_command(main)
