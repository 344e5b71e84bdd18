"""Compares a model in bf16 with float32 on this machine, as the service does after its first start.

    python -m scripts.judge_precision --model BiRefNet-general-lite

Prints which precision may serve, and why; nothing is kept. docs/engines.md has the rule.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import replace

from models.arrays import U8Array
from models.engine import Engine, EngineConfig, open_engine
from models.errors import BackgroundRemovalError
from models.serving.precision import Run, Verdict, compare, judge
from models.serving.trial import CANDIDATE
from models.spec import Precision
from models.store.registered import RegisteredModel, resolve
from scripts.command import run_command


def main(arguments: list[str] | None = None) -> int:
    """Parse, compare, print; 1 where it could not be done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="auto", help="name of a registered model, or auto")
    options = parser.parse_args(arguments)
    try:
        model = resolve(options.model)
        verdict = judge_model(model)
    except BackgroundRemovalError as fault:
        print(f"judge_precision: {fault}", file=sys.stderr)
        return 1
    took_s = verdict.comparison.took_s
    print(f"{model.tag}: {verdict.precision.value}; {verdict.reason} ({took_s:.0f} s)")
    return 0


def judge_model(model: RegisteredModel) -> Verdict:
    """Judge a model on this CPU.

    Args:
        model: A registered model.

    Raises:
        EngineError: If OpenVINO is missing, or this CPU does not compute in bf16.
    """
    size = model.spec.input.height, model.spec.input.width
    config = EngineConfig(*size, precision=Precision.F32, max_batch=1)
    with ExitStack() as opened:
        runs = [
            _run_on(opened.enter_context(closing(open_engine("openvino", model.files, one))))
            for one in (config, replace(config, precision=CANDIDATE))
        ]
        return judge(CANDIDATE, compare(runs[0], runs[1], *size))


def _run_on(engine: Engine) -> Run:
    def run(model_input: U8Array) -> tuple[U8Array, float]:
        started = time.perf_counter()
        return engine.predict(model_input[None])[0], time.perf_counter() - started

    return run


if __name__ == "__main__":
    run_command(main)
