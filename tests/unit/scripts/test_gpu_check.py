"""The check for machines with a GPU, on a CPU: the same way through it, a tiny network."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from models.birefnet import build_birefnet
from models.birefnet.backbones import BACKBONES
from models.engine import Engine, EngineConfig
from models.errors import EngineIncompatible
from scripts.benchmark_network import make_scenes
from scripts.gpu_check import Check, _parse, main
from scripts.gpu_others import _opener_of
from scripts.gpu_plan import COMPILED, EAGER, GMACS_AT_1024, REFERENCE
from scripts.gpu_profile import PARTS
from scripts.gpu_report import Report, Row
from tests.support.graphs import write_graph

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="tests what happens on a CPU")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gpu") / "gpu.json"
    assert main(["--smoke", "--output", str(file)]) == 0
    return file


def rows_of(file: Path) -> dict[tuple[str, int], dict[str, Any]]:
    return {(row["case"], row["batch"]): row for row in json.loads(file.read_text())["rows"]}


def test_every_case_has_a_row_that_was_measured_or_says_why_not(output: Path) -> None:
    rows = rows_of(output)
    for case in EAGER + COMPILED:
        for batch in case.batches((1, 2)):
            assert (rows[case.name, batch]["status"] == "ok") == (
                rows[case.name, batch]["forward_ms"] is not None
            )


def test_the_reference_agrees_with_itself_in_batches(output: Path) -> None:
    row = rows_of(output)[REFERENCE.name, 2]
    assert row["error_max"] <= 1
    assert row["images_per_s"] == pytest.approx(2000 / row["forward_ms"])


def test_coarser_arithmetic_is_seen(output: Path) -> None:
    row = rows_of(output)["bf16 channels_last", 1]
    assert 0 < row["error_mean"] < 5


def test_what_cannot_run_here_says_why(output: Path) -> None:
    rows = rows_of(output)
    assert rows["f16 channels_last graph", 1]["status"] == "skipped: needs CUDA"
    assert "no f16 here" in rows["f16 channels_last", 1]["status"]
    assert "tensorrt" in json.loads(output.read_text())["not_run"]


def test_parts_and_operators_are_profiled(output: Path) -> None:
    found = json.loads(output.read_text())["profiles"]["tiny"]
    assert set(found["parts_ms"]) == set(PARTS)
    assert len(found["parts_ms"]["bb"]) == 2  # whole and half
    assert found["operators"][0]["ms"] > 0


def test_a_resumed_run_measures_nothing_again(output: Path) -> None:
    before = rows_of(output)[REFERENCE.name, 1]
    assert main(["--smoke", "--resume", "--output", str(output)]) == 0
    assert rows_of(output)[REFERENCE.name, 1] == before


def test_without_time_everything_is_skipped_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    assert main(["--smoke", "--budget-s", "0", "--output", str(file)]) == 0
    assert all(row["status"].startswith("skipped") for row in rows_of(file).values())


def test_a_machine_without_cuda_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--output", str(tmp_path / "gpu.json")]) == 1
    assert "--smoke" in capsys.readouterr().err


def test_skipped_rows_are_tried_again_and_failed_ones_are_not(tmp_path: Path) -> None:
    report = Report(tmp_path / "gpu.json")
    report.add(Row("tiny", "f16", 1, "skipped: 3 s left"))
    report.add(Row("tiny", "f16", 2, "failed: OutOfMemoryError"))
    again = Report.resume(report.file)
    assert not again.has("tiny", "f16", 1)
    assert again.has("tiny", "f16", 2)


def test_dear_compilations_are_made_for_few_batches() -> None:
    assert all(case.batches((1, 2, 4, 8)) == (1, 4) for case in COMPILED)
    assert all(case.batches((1, 2, 4, 8)) == (1, 2, 4, 8) for case in EAGER)


def test_scenes_differ_and_are_the_same_every_time() -> None:
    scenes = make_scenes(3, 64, 96)
    assert scenes.shape == (3, 64, 96, 3)
    assert scenes.std() > 30
    assert (scenes[0] != scenes[1]).mean() > 0.5
    assert (make_scenes(3, 64, 96) == scenes).all()


def test_the_networks_measured_by_default_have_their_cost_known() -> None:
    assert set(_parse([]).models) <= set(GMACS_AT_1024)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_cost_of_a_network_is_what_it_multiplies(backbone: str) -> None:
    with torch.device("meta"):
        network, picture = build_birefnet(backbone), torch.empty(1, 3, 1024, 1024)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(picture)
    assert GMACS_AT_1024[backbone] == round(counter.get_total_flops() / 2e9, 1)


@pytest.fixture
def check(tmp_path: Path) -> Check:
    report = Report(tmp_path / "gpu.json", {"peaks_tflops": {}})
    return Check(report, _parse(["--smoke"]), deadline=time.monotonic() + 600)


def test_a_failure_without_words_is_noted_by_its_kind(check: Check) -> None:
    with check._guard(Row("tiny", "f16", 1)):
        raise ValueError
    assert check._report.rows["tiny", "f16", 1].status == "failed: ValueError: no message"


def test_a_failure_of_many_lines_takes_one(check: Check) -> None:
    with check._guard(Row("tiny", "f16", 1)):
        raise ValueError("\n  CUDA error:\n  " + "x" * 500)
    status = check._report.rows["tiny", "f16", 1].status
    assert status.startswith("failed: ValueError: CUDA error: xxx")
    assert len(status) < 200


def test_a_row_that_catches_every_exception_ends_all_the_same(check: Check) -> None:
    with check._guard(Row("tiny", "export", 1), limit_s=0):
        for _ in range(20):
            try:
                time.sleep(1)
            except Exception:
                continue
    assert "TimeIsUp" in check._report.rows["tiny", "export", 1].status


def test_rows_keep_their_limit_after_one_within_is_done(check: Check) -> None:
    row, within = Row("tiny", "f16", 1), Row("tiny", "f16", 2)
    with check._guard(row, limit_s=0):
        with check._guard(within):
            pass
        time.sleep(20)
    assert "TimeIsUp" in check._report.rows[row.key].status
    assert within.key not in check._report.rows


def test_a_profile_that_broke_the_device_is_not_tried_again(check: Check) -> None:
    check._report.add(Row("tiny", f"profile of {REFERENCE.name}", 1, "failed: CUDA error"))
    check._profile("tiny", REFERENCE)
    assert "profiles" not in check._report.facts


def test_other_runtimes_come_before_what_takes_long_to_compile(tmp_path: Path) -> None:
    report = Report(tmp_path / "gpu.json", {"peaks_tflops": {}})
    no_time = time.monotonic()
    Check(report, _parse(["--smoke"]), no_time).run(lambda: ({"other": open_broken}, {}))
    order = [case for _, case, _ in report.rows]
    assert order.index("other") > order.index("f32 tf32")
    assert order.index("other") < order.index("f16 compiled")


def open_broken(graph: Path, config: EngineConfig) -> Engine:
    raise EngineIncompatible("this runtime takes nothing")


def write_small_graph(network: object, file: Path, height: int, width: int) -> None:
    write_graph(file.parent).rename(file)


def test_other_runtimes_are_measured_on_a_graph_and_may_fail(check: Check) -> None:
    check._measure_others(
        "tiny", {"broken": open_broken, "ort": _opener_of("onnxruntime")}, write_small_graph
    )
    rows = check._report.rows
    assert (rows["tiny", "ort", 2].predict_ms or 0) > 0
    assert rows["tiny", "ort", 2].forward_ms is None
    assert "takes nothing" in rows["tiny", "broken", 1].status
