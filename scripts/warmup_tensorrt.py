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

from models.errors import BackgroundRemovalError
from models.matting.preprocess import fit
from models.store import resolve
from service.engine_wishes import wishes_of
from service.engines import ServedEngines
from service.settings import read_settings

_ROUNDS = 5
_GREY = 128


def main(arguments: list[str] | None = None) -> int:
    """Parse, warm, print; 1 when TensorRT does not run here."""
    settings = read_settings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=settings.model, help="name in the catalogue, or auto")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    options = parser.parse_args(arguments)
    asked = settings.model_copy(update={"use_tensorrt": True, "build_engine": "block"})
    try:
        model = resolve(options.model)
        engines = ServedEngines(wishes_of(asked), model)
    except BackgroundRemovalError as failure:
        print(f"warmup_tensorrt: {failure}", file=sys.stderr)
        return 1
    try:
        told = engines.describe()
        if told["engine"] != "tensorrt":
            print(f"warmup_tensorrt: {'; '.join(told['notes'])}", file=sys.stderr)
            return 1
        picture = np.full((1080, 1920, 3), _GREY, np.uint8)
        batch = fit(picture, model.spec.input.height, model.spec.input.width)[None]
        times = []
        for turn in range(options.rounds):
            started = time.perf_counter()
            engines.predict(batch)
            times.append((time.perf_counter() - started) * 1e3)
            print(f"round {turn + 1} of {options.rounds}: {times[-1]:.1f} ms")
        print(f"{told['runtime']} {told['precision']}: median {statistics.median(times):.1f} ms")
        print(f"GPU memory free: {engines.describe()['gpu_memory_free_mb']:.0f} MB")
    finally:
        engines.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
