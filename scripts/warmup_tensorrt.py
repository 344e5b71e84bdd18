"""Build the TensorRT engine if it is missing, check it, and run it until it is warm.

What the service would do at its first start, done before it: in an image's build, or after an
update of the driver. Without a GPU it says why and ends with 1.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np

from models.errors import BackgroundRemovalError, EngineUnavailable
from models.matting.preprocess import fit
from models.serving.served import ServedEngines
from models.store.registered import RegisteredModel
from scripts.arguments import positive
from scripts.command import run_command
from service.settings_reader import read_settings
from service.startup import find_model

_ROUNDS = 5
_GREY = 128
# Whatever else the settings prefer: this is about TensorRT.
_ASKED = {"engine": "tensorrt", "use_tensorrt": True, "build_engine": "block"}


def main(arguments: list[str] | None = None) -> int:
    """Parse, warm, print; 1 when TensorRT does not run here."""
    settings = read_settings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="name in the catalogue, or auto; else what is served")
    parser.add_argument("--rounds", type=positive, default=_ROUNDS)
    options = parser.parse_args(arguments)
    try:
        model = find_model(settings, options.model)
        engines = ServedEngines(settings.model_copy(update=_ASKED).engine_options, model)
        try:
            _warm(engines, model, options.rounds)
        finally:
            engines.close()
    except (BackgroundRemovalError, OSError) as failure:  # a folder that cannot be written
        print(f"warmup_tensorrt: {failure}", file=sys.stderr)
        return 1
    return 0


def _warm(engines: ServedEngines, model: RegisteredModel, rounds: int) -> None:
    """Run it, and print what every round took.

    Raises:
        EngineUnavailable: If it is not TensorRT that runs.
        InferenceFailed: If nothing does.
    """
    told = engines.describe()
    if not told.engine.is_tensorrt:
        raise EngineUnavailable("; ".join(told.notes) or f"{told.engine.name} runs instead")
    picture = np.full((1080, 1920, 3), _GREY, np.uint8)
    batch = fit(picture, model.spec.input.height, model.spec.input.width)[None]
    times = []
    for turn in range(rounds):
        started = time.perf_counter()
        outcome = engines.predict(batch)
        times.append((time.perf_counter() - started) * 1e3)
        if outcome.retried_on_cpu:
            raise EngineUnavailable(f"TensorRT failed; {outcome.engine.label} did round {turn + 1}")
        print(f"round {turn + 1} of {rounds}: {times[-1]:.1f} ms")
    ran = f"{told.engine.runtime} {told.engine.precision.value}"
    print(f"{ran}: median {statistics.median(times):.1f} ms")
    print(f"GPU memory free: {engines.describe().gpu_memory_free_mb:.0f} MB")


if __name__ == "__main__":
    run_command(main)
