"""What a removal reserves is at least what it takes, whatever its options."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.server import REPOSITORY

# In a process of its own: the peak of another test's memory must not count.
PROGRAM = """
import json, sys
import cv2
import numpy as np
from service.imaging.guard import ImageLimits, inspect
from service.removal.background import Background
from service.removal.options import RemovalOptions
from service.removal.pipeline import FINISH, PREPARE, Removal, run
from service.removal.memory import bytes_of
from service.removal.threads import StageClock
from tests.support.matting import INPUT_SIZE, SPEC
from tests.support.pictures import make_noise, save
from PIL import Image

def status(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

cv2.setNumThreads(1)
chosen = json.loads(sys.argv[1])
data = save(Image.fromarray(make_noise(2000, 3000)), "JPEG", quality=80)
if chosen.pop("behind", False):
    chosen["bg_image"] = data
options, header = RemovalOptions(**chosen), inspect(data, ImageLimits())
behind = Background(data, "bg_image", ImageLimits()) if options.bg_image else None
if behind is not None:
    behind.inspect()
removal = Removal(data, header, options, SPEC, behind)
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
clock = StageClock(100)
run(PREPARE, removal, clock)
y, x = np.mgrid[0:INPUT_SIZE, 0:INPUT_SIZE] - INPUT_SIZE / 2
removal.alpha = np.clip((INPUT_SIZE / 3 - np.hypot(y, x)) * 40, 0, 255).astype(np.uint8)
run(FINISH, removal, clock)
print(json.dumps([status("VmHWM") - before, bytes_of(removal)]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"preset": "studio"},
        {"bg_blur": 1, "outline": 2},
        {"behind": True, "bg_blur": 1, "color_match": 0.4},
        {"background_id": "bokeh-warm", "bg_blur": 1},
        {"size": "5000x4000", "bg_color": "red", "shadow": "drop", "outline": 2},
        {"output": "parts"},
        {"format": "webp"},
        {"format": "avif", "size": "4000x4000"},
    ],
    ids=lambda options: " ".join(options),
)
def test_a_removal_takes_no_more_than_it_reserves(options: dict[str, Any]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(options)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    taken, reserved = json.loads(done.stdout)
    assert 0.25 * reserved < taken < 1.1 * reserved
