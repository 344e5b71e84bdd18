"""``scripts.resolution`` makes true mattes, brings them back, and reports every one."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from scripts.measuring.report import begin_run
from scripts.resolution.__main__ import Resolution
from scripts.resolution.judge import FAULTS, WAYS, as_network, measure, try_out
from scripts.resolution.scenes import Scene, make_scenes
from scripts.resolution.shapes import blob, hair, holes, soft, wheel


@pytest.mark.parametrize("shape", [blob, hair, holes, soft, wheel])
def test_a_shape_is_the_same_each_time_and_has_all_of_alpha(shape: object) -> None:
    first, second = (shape(300, 400, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first, second)
    assert (first.min(), first.max()) == (0, 255)
    assert np.unique(first).size > 50


def test_a_network_s_faults_are_small_and_different() -> None:
    alpha = blob(300, 400, np.random.default_rng(1))
    small = [as_network(alpha, 128, fault) for fault in FAULTS]
    assert all(one.shape == (128, 128) for one in small)
    means = [float(one.mean()) for one in small]
    assert max(means) - min(means) < 1
    assert len({one.tobytes() for one in small}) == len(FAULTS)


def test_scenes_are_pictures_with_truth() -> None:
    for scene in islice(make_scenes(150, 200), 3):
        assert scene.source.shape == (150, 200, 3)
        assert scene.alpha_u8.shape == (150, 200)


def test_the_report_has_a_row_for_every_fault_and_a_column_for_every_way() -> None:
    alpha = blob(300, 400, np.random.default_rng(1))
    source = np.where(alpha[..., None] > 127, np.uint8((200, 60, 40)), np.uint8((70, 90, 120)))
    scene = Scene("a blob", source, alpha)
    trials = list(try_out(scene, 128))
    assert len(trials) == len(FAULTS) * len(WAYS)
    report = Resolution(*begin_run("scripts.resolution", []), trials, list(measure(scene, 128)))
    page = report.as_markdown()
    assert all(way in page for way in WAYS)
    assert all(f"matte {fault}" in page for fault in FAULTS)
    errors = {one.way: one.error for one in trials if one.fault == "blurred"}
    assert errors["unmixed"] < 0.5 * errors["cubic"]
