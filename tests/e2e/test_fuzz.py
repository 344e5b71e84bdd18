"""Two thousand damaged pictures: each is answered in time, and never with a fault of ours."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from scripts.hostile import fuzz as fuzz_pictures
from tests.support.server import NO_LIMITS, Serve

# The fake engine takes up to 5 s for a picture whose first pixel happens to ask for it.
WITHIN_S = 11


@pytest.mark.full
@pytest.mark.timeout(900)
def test_damaged_pictures_are_the_callers_fault(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = os.environ.get("FUZZ_SEED", str(int(time.time())))
    with serve(**NO_LIMITS) as server:
        workers = server.workers()
        status = fuzz_pictures.main(
            [
                *("--base", server.url(""), "--count", "2000", "--seed", seed),
                *("--within", str(WITHIN_S), "--keep", str(tmp_path)),
            ]
        )
        told = capsys.readouterr().out
        print(told)
        assert status == 0, told
        assert server.workers() == workers, "a worker had to be replaced"
        assert "Traceback" not in server.log()
    for outcome in ("200", "400 CORRUPT_IMAGE", "400 INVALID_FORMAT"):
        assert f" {outcome}\n" in told
