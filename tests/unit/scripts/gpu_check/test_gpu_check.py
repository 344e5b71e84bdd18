"""The check for machines with a GPU, on a CPU: the same way through it, a tiny network."""

from __future__ import annotations

import json
import re
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from models.artifacts import CHECKPOINT_FILE, ModelFiles
from models.birefnet import build_birefnet
from models.birefnet.backbones import BACKBONES
from models.engine import Engine, open_engine
from models.engines.fake import FakeEngine
from models.engines.trt.open import MACHINE, request_plan
from models.errors import EngineIncompatible
from scripts.command import Unusable
from scripts.gpu_check import rows
from scripts.gpu_check.__main__ import main
from scripts.gpu_check.others import Opener, Subject, build_and_open, look_around
from scripts.gpu_check.plan import COMPILED, EAGER, GMACS_AT_1024, REFERENCE, share_of_peak
from scripts.gpu_check.profile import PARTS
from scripts.gpu_check.report import Report, Row
from scripts.gpu_check.rows import Check
from scripts.measuring.seeded_network import make_scenes
from tests.support.fake_cuda import FakeDevice
from tests.support.fake_machine import put_in_device
from tests.support.fake_tensorrt import LIBRARY, install_fake_tensorrt
from tests.support.graphs import write_graph
from tests.support.plans import write_mean_graph

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="tests what happens on a CPU")


MEASURED_BY_DEFAULT = ("swin_v1_t", "swin_v1_l")
SMOKE = {"models": ["tiny"], "side": 64, "batches": [1, 2], "enough_s": 0.05}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gpu") / "gpu.json"
    assert main(["--smoke", "--no-service", "--output", str(file)]) == 0
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
    assert {"tensorrt f16", "tensorrt_rtx f16"} <= set(json.loads(output.read_text())["not_run"])


def test_parts_and_operators_are_profiled(output: Path) -> None:
    found = json.loads(output.read_text())["profiles"]["tiny"]
    assert set(found["parts_ms"]) == set(PARTS)
    assert len(found["parts_ms"]["bb"]) == 2  # whole and half
    assert found["operators"][0]["ms"] > 0


def test_a_resumed_run_measures_nothing_again(output: Path) -> None:
    before = rows_of(output)[REFERENCE.name, 1]
    assert main(["--smoke", "--no-service", "--resume", "--output", str(output)]) == 0
    assert rows_of(output)[REFERENCE.name, 1] == before


def test_without_time_everything_is_skipped_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    assert main(["--smoke", "--budget-s", "0", "--output", str(file)]) == 0
    assert all(row["status"].startswith("skipped") for row in rows_of(file).values())


def test_a_machine_without_cuda_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="no CUDA device is here; --smoke"):
        main(["--output", str(tmp_path / "gpu.json")])


def test_a_trial_leaves_no_file_where_none_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--smoke", "--budget-s", "0"]) == 0
    assert list(tmp_path.iterdir()) == []


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


def test_what_every_network_costs_is_known() -> None:
    assert set(GMACS_AT_1024) == set(BACKBONES)


@pytest.mark.parametrize(
    "backbone",
    [
        pytest.param(name, marks=[] if name == "pvt_v2_b0" else [pytest.mark.full])
        for name in BACKBONES
    ],
)
def test_the_cost_of_a_network_is_what_it_multiplies(backbone: str) -> None:
    with torch.device("meta"):
        network, picture = build_birefnet(backbone), torch.empty(1, 3, 1024, 1024)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(picture)
    assert GMACS_AT_1024[backbone] == round(counter.get_total_flops() / 2e9, 1)


def measure_others(folder: Path, openers: Mapping[str, Opener], **changed: object) -> Report:
    """Measure runtimes beside PyTorch, and of PyTorch what they are compared with; else nothing."""
    options = Namespace(**{**SMOKE, **changed})
    (name,) = options.models
    report = Report(folder / "gpu.json", {"peaks_tflops": {"f16": 1.0}})
    tried = [case.name for case in (*EAGER, *COMPILED) if case is not REFERENCE]
    for case in (*tried, f"profile of {REFERENCE.name}"):
        for batch in options.batches:
            report.add(Row(name, case, batch, "failed: CUDA error"))
    Check(report, options, time.monotonic() + 600).run(lambda: (dict(openers), {}))
    return report


def status_of(opener: Opener, folder: Path) -> str:
    """What becomes of a runtime's first row."""
    return measure_others(folder, {"other": opener}).rows["tiny", "other", 1].status


def open_without_words(subject: Subject) -> Engine:
    raise ValueError


def open_with_many_lines(subject: Subject) -> Engine:
    raise ValueError("\n  CUDA error:\n  " + "x" * 500)


def open_whatever_is_raised(subject: Subject) -> Engine:
    for _ in range(20):
        with suppress(Exception):
            time.sleep(1)
    raise AssertionError("nobody ended it")


def test_a_failure_without_words_is_noted_by_its_kind(tmp_path: Path) -> None:
    assert status_of(open_without_words, tmp_path) == "failed: ValueError: no message"


def test_a_failure_of_many_lines_takes_one(tmp_path: Path) -> None:
    status = status_of(open_with_many_lines, tmp_path)
    assert status.startswith("failed: ValueError: CUDA error: xxx")
    assert len(status) < 200


@pytest.fixture
def little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it takes to open a runtime ends after a second, not after minutes."""
    monkeypatch.setattr(rows, "_BUILD_S", 0.1)


@pytest.mark.usefixtures("little_time")
def test_a_row_that_catches_every_exception_ends_all_the_same(tmp_path: Path) -> None:
    assert "TimeIsUp" in status_of(open_whatever_is_raised, tmp_path)


class EndlessToClose(FakeEngine):
    """Gives back nothing for a minute."""

    def close(self) -> None:
        time.sleep(60)


def open_endless(subject: Subject) -> Engine:
    return EndlessToClose(ModelFiles(subject.folder), subject.config)


@pytest.mark.full
@pytest.mark.usefixtures("little_time")
def test_a_runtime_keeps_its_limit_after_rows_within_are_done(tmp_path: Path) -> None:
    started = time.monotonic()
    rows = measure_others(tmp_path, {"endless": open_endless}).rows
    assert [rows["tiny", "endless", batch].status for batch in (1, 2)] == ["ok", "ok"]
    assert time.monotonic() - started < 40


def test_a_profile_that_broke_the_device_is_not_tried_again(tmp_path: Path) -> None:
    assert "profiles" not in measure_others(tmp_path, {}).facts


def test_other_runtimes_come_before_what_takes_long_to_compile(tmp_path: Path) -> None:
    report = Report(tmp_path / "gpu.json", {"peaks_tflops": {}})
    no_time = time.monotonic()
    Check(report, Namespace(**SMOKE), no_time).run(lambda: ({"other": open_broken}, {}))
    order = [case for _, case, _ in report.rows]
    assert order.index("other") > order.index("f32 tf32")
    assert order.index("other") < order.index("f16 compiled")


def open_broken(subject: Subject) -> Engine:
    raise EngineIncompatible("this runtime takes nothing")


def open_small(subject: Subject) -> Engine:
    return open_engine("onnxruntime", ModelFiles(write_graph(subject.folder)), subject.config)


def test_other_runtimes_are_measured_and_may_fail(tmp_path: Path) -> None:
    rows = measure_others(tmp_path, {"broken": open_broken, "ort": open_small}).rows
    assert (rows["tiny", "ort", 2].predict_ms or 0) > 0
    assert rows["tiny", "ort", 2].forward_ms is None
    assert "takes nothing" in rows["tiny", "broken", 1].status


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDevice]:
    """What TensorRT takes for a device, and a TensorRT; PyTorch goes on seeing none."""
    device = FakeDevice(capacity=16 << 30)
    put_in_device(monkeypatch, device)
    install_fake_tensorrt(monkeypatch, tmp_path / "library")
    yield device
    device.assert_clean()


def test_a_tensorrt_that_has_no_device_says_so(
    device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "tensorrt f16" in look_around()[0]
    monkeypatch.setattr(MACHINE, "probe", lambda: "there is no driver")
    openers, reasons = look_around()
    assert "tensorrt f16" not in openers
    assert reasons["tensorrt f16"] == "there is no driver"


@pytest.mark.usefixtures("device")
def test_a_build_that_fails_has_its_reason_in_the_rows_and_the_check_goes_on(
    tmp_path: Path,
) -> None:
    # The tiny network is of no backbone that a checkpoint can have: its export refuses it.
    openers = {"tensorrt f16": partial(build_and_open, LIBRARY), "ort": open_small}
    report = measure_others(tmp_path, openers)
    for batch in (1, 2):
        status = report.rows["tiny", "tensorrt f16", batch].status
        assert status.startswith("failed: EngineBuildFailed: weights.safetensors has a backbone")
        assert report.rows["tiny", "ort", batch].status == "ok"
    assert "builds" not in report.facts


def build_of_an_export(subject: Subject) -> Engine:
    """As `build_and_open`, but that the graph, which takes a minute, is there: another one."""
    save_file(subject.network.state_dict(), subject.folder / CHECKPOINT_FILE)
    files = ModelFiles(Path("none"), checkpoint=subject.folder / CHECKPOINT_FILE)
    order = request_plan(files, subject.config, LIBRARY)
    graphs = subject.folder / "tensorrt-graphs"
    graphs.mkdir(mode=0o700)
    write_mean_graph(graphs / f"{order.source[:32]}.onnx", subject.config.height)
    return build_and_open(LIBRARY, subject)


@pytest.mark.full
@pytest.mark.usefixtures("device", "little_time")
def test_a_build_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    (tmp_path / "library" / "build").write_text("wait")
    before = psutil.Process().children()  # other tests' helpers
    started = time.monotonic()
    assert "TimeIsUp" in status_of(build_of_an_export, tmp_path)
    assert time.monotonic() - started < 15
    assert set(psutil.Process().children()) <= set(before)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize(
    "opener",
    [
        pytest.param(build_of_an_export, marks=pytest.mark.full),
        pytest.param(partial(build_and_open, LIBRARY), marks=pytest.mark.full),
    ],
    ids=["exported before", "exported now"],
)
def test_a_plan_is_built_for_the_batches_of_the_report_and_measured(
    tmp_path: Path, opener: Opener
) -> None:
    changed = {"models": ["pvt_v2_b0"], "batches": [3, 1], "enough_s": 0}
    report = measure_others(tmp_path, {"tensorrt f16": opener}, **changed)
    rows = [report.rows["pvt_v2_b0", "tensorrt f16", batch] for batch in (1, 3)]
    assert [row.status for row in rows] == ["ok", "ok"]
    assert all((row.predict_ms or 0) > 0 for row in rows)
    assert all((row.error_mean or 0) > 0 for row in rows)  # a fake plan's mattes are not its own
    (built,) = json.loads(report.file.read_text())["builds"].items()
    assert built[0] == "pvt_v2_b0, tensorrt f16"
    assert built[1]["library"] == "tensorrt 99.0"
    assert built[1]["profiles"] == [1, 3]
    assert built[1]["build_s"] > 0
    assert "- pvt_v2_b0, tensorrt f16: library tensorrt 99.0, build_s" in report.as_markdown()


def test_a_share_of_the_peak_is_the_products_done_in_the_time() -> None:
    assert share_of_peak("swin_v1_t", 2, ms=10, peak_tflops=242.72) == pytest.approx(0.5)
    assert share_of_peak("tiny", 1, ms=10, peak_tflops=100) is None


def test_the_table_says_what_it_belongs_to(output: Path) -> None:
    text = Report.resume(output).as_markdown()
    assert "- device: cpu" in text
    assert re.search(r"^- date: 20\d\d-", text, re.MULTILINE)
    assert "- command: python -m scripts.gpu_check --smoke" in text
    assert "- tensorrt f16: not measured: not installed" in text
    assert "- peaks, TFLOP/s: f16 " in text


@pytest.mark.parametrize("wrong", [["--batches", "0"], ["--side", "-32"]])
def test_sizes_that_make_no_sense_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(wrong)
