"""Measure what rembg spends around its network.

Runs in rembg's own environment: only the standard library, numpy and rembg. rembg's ``remove()``
with its own session class, whose ONNX session is a dummy that answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np


class DummyOnnxSession:
    """Answers with a matte it was given."""

    def __init__(self, matte: Path) -> None:
        alpha_u8 = np.load(matte)  # [S, S]
        self._answer = [(alpha_u8.astype(np.float32) / 255)[None, None]]  # [1, 1, S, S]

    def get_inputs(self) -> list[SimpleNamespace]:
        """One input."""
        return [SimpleNamespace(name="input")]

    def run(self, outputs: object, feed: object) -> list[Any]:
        """The matte, whatever is asked."""
        return self._answer


def main() -> None:
    """Print the CPU milliseconds of each repeat and their median, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("picture", type=Path)
    parser.add_argument("matte", type=Path, help=".npy, uint8 [S, S]")
    parser.add_argument("repeats", type=int)
    arguments = parser.parse_args()
    rembg: Any = importlib.import_module("rembg")
    sessions: Any = importlib.import_module("rembg.sessions")
    chosen = next(kind for kind in sessions.sessions_class if kind.name() == arguments.model)
    session = chosen.__new__(chosen)
    session.model_name = arguments.model
    session.inner_session = DummyOnnxSession(arguments.matte)
    data = arguments.picture.read_bytes()
    spent_ms = []
    for _ in range(arguments.repeats + 1):
        started = time.process_time()
        rembg.remove(data, session=session)
        spent_ms.append((time.process_time() - started) * 1e3)
    warm = spent_ms[1:]
    print(json.dumps({"median_ms": statistics.median(warm), "all_ms": warm}))


if __name__ == "__main__":
    main()
