"""From what was measured to a prediction, and what counts as close to it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.capacity.__main__ import main
from scripts.capacity.compare import Compared
from scripts.capacity.measure import costs_of
from scripts.capacity.prediction import Load
from scripts.command import Unusable
from scripts.measuring.report import begin_run

STAGES = {"guard": 0.001, "decode": 0.02, "fit": 0.004, "matte": 0.2, "refine": 0.03, "encode": 0.1}
CPU = {"public": 0.19, "inference": 0.36, "others": 0.03}
STEPS = ("prepare", "network", "finish")


def test_nothing_that_was_measured_is_lost() -> None:
    costs = costs_of(0.4, CPU, STAGES, 8)
    assert costs.core_s == pytest.approx(sum(CPU.values()))
    assert sum(getattr(costs, step).alone_s for step in STEPS) == pytest.approx(0.4)
    assert costs.prepare.core_s == pytest.approx(0.025 + 0.0325)
    assert costs.network.width == pytest.approx(1.8)
    assert costs.largest_batch == 8


def test_on_a_busy_machine_no_step_costs_less_than_nothing() -> None:
    """Stages that waited for a core: longer than the median picture, and than the cores worked."""
    costs = costs_of(0.3, {"public": 0.05, "inference": 0.36, "others": 0.01}, STAGES, 8)
    for step in STEPS:
        assert getattr(costs, step).core_s >= getattr(costs, step).alone_s * 0.9 > 0


def test_a_prediction_is_made_of_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = costs_of(0.4, CPU, STAGES, 8)
    steps = {step: vars(getattr(costs, step)) for step in STEPS}
    told = {"costs": {**steps, "threads": 2, "largest_batch": 8}}
    (tmp_path / "one.json").write_text(json.dumps(told))
    words = ["--costs", str(tmp_path / "one.json"), "--machines", "one", "--pictures", "200"]
    assert main([*words, "--per-second", "0.01", "2", "--output", str(tmp_path / "found")]) == 0
    slow, fast = json.loads((tmp_path / "found.json").read_text())["loads"]
    assert slow["p50_ms"] == pytest.approx(400, rel=0.01)
    assert fast["p95_ms"] > slow["p95_ms"]
    assert fast["cores"] == pytest.approx(2 * costs.core_s)
    assert "| 2 |" in capsys.readouterr().out


@pytest.mark.parametrize("text", [None, "", "[", "\udcff"])
def test_a_file_that_is_no_report_is_named(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "one.json"
    if text is not None:
        file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(Unusable, match=r"one\.json is no report"):
        main(["--costs", str(file), "--per-second", "1"])


def test_a_report_without_costs_is_named(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"costs": {"prepare": {}}}')
    with pytest.raises(Unusable, match="measure"):
        main(["--costs", str(tmp_path / "one.json"), "--per-second", "1"])


def test_a_prediction_is_close_within_a_fifth_in_everything() -> None:
    predicted = Load(2.0, 100.0, 200.0, 1.0)
    run = begin_run("a", [])
    compared = Compared(*run, "m", "e", "p", 2, 10, [], [predicted], [Load(2.0, 119.0, 161.0, 1.1)])
    assert compared.is_close
    assert not replace(compared, failed=["SHUTTING_DOWN"]).is_close
    for off in ({"p50_ms": 121.0}, {"p95_ms": 159.0}, {"cores": 0.7}):
        assert not replace(compared, measured=[replace(predicted, **off)]).is_close
