"""The scripted strokes on the photographs with masks drawn by hand put them right."""

from __future__ import annotations

import pytest

from scripts.evaluate.cases import example_cases
from scripts.strokes.__main__ import SCRIPTED
from scripts.strokes.faults import read_faults
from scripts.strokes.judge import try_out

FAULTS = list(read_faults(SCRIPTED, {case.name: case for case in example_cases()}))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_first_scripted_stroke_puts_the_matte_right(fault: object) -> None:
    trial = try_out(fault)  # type: ignore[arg-type]
    assert trial.before > 0.75
    assert trial.after <= 0.05
    assert trial.elsewhere_after <= 0.003
    assert trial.needed == 1
