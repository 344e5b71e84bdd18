"""Cut pictures out with rembg's defaults, inside rembg's own environment.

Started by `scripts.rembg.cutouts`. It replaces every PNG whose path it reads by its cutout, and
answers with a line of JSON. Only the standard library and rembg are there, nothing of this project.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Work until standard input ends, with one session for all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not come between our answers
    rembg: Any = importlib.import_module("rembg")
    session = rembg.new_session(arguments.model)
    for line in sys.stdin:
        picture = Path(line.rstrip("\n"))
        picture.write_bytes(rembg.remove(picture.read_bytes(), session=session))
        answers.write("{}\n")


if __name__ == "__main__":
    main()
