from __future__ import annotations

from dataclasses import fields, replace

import pytest

from models.engines.trt.plan import PlanKey, PlanManifest
from models.errors import EngineIncompatible
from models.spec import Precision
from tests.support.plans import DEVICE

KEY = PlanKey.of("a" * 64, "tensorrt 11.4.0.106", DEVICE, Precision.F16, (1, 4, 8))
OTHER = {
    "source": "b" * 64,
    "library": "tensorrt 11.4.0.107",
    "gpu": "NVIDIA L4",
    "compute_capability": (8, 9),
    "driver_major": "580",
    "cuda_major": 13,
    "precision": Precision.F32,
    "batches": (1, 2, 4, 8),
    "build_version": 0,
}


def test_every_part_of_the_key_has_a_case_below() -> None:
    assert set(OTHER) == {field.name for field in fields(PlanKey)}


@pytest.mark.parametrize("part", OTHER)
def test_a_plan_is_another_where_one_part_of_its_key_differs(part: str) -> None:
    assert replace(KEY, **{part: OTHER[part]}).digest != KEY.digest


def test_driver_and_cuda_count_by_their_major_version() -> None:
    updated = replace(DEVICE, cuda_version=12080, driver="550.90.07")
    assert PlanKey.of("a" * 64, KEY.library, updated, Precision.F16, (1, 4, 8)) == KEY


def test_a_manifest_survives_being_written() -> None:
    manifest = PlanManifest(KEY, "c" * 64, "d" * 64, 1234, 56.7)
    assert PlanManifest.from_metadata(manifest.as_metadata()) == manifest


@pytest.mark.parametrize(
    "metadata", [{}, {"key": {}}, {"key": None}, {"key": {"batches": "x", "precision": "f7"}}]
)
def test_what_is_no_manifest_is_refused(metadata: dict[str, object]) -> None:
    with pytest.raises(EngineIncompatible):
        PlanManifest.from_metadata(metadata)
