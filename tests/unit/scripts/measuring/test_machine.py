"""What is said of a machine, also where it says little of itself."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from models.cores import usable_cores
from scripts.measuring.machine import describe_machine

INTEL = """\
processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8488C
flags\t\t: fpu avx2 avx512_bf16 avx512_vnni

processor\t: 1
"""
ARM = """\
processor\t: 0
BogoMIPS\t: 50.00
Features\t: fp asimd bf16
"""


@pytest.fixture
def cpuinfo(tmp_path: Path) -> Path:
    return tmp_path / "cpuinfo"


def test_a_cpu_is_told_by_its_name_and_what_it_can_do(cpuinfo: Path) -> None:
    cpuinfo.write_text(INTEL)
    machine = describe_machine(cpuinfo)
    assert machine.flags == ("avx512_bf16", "avx512_vnni", "avx2")
    assert machine.slug().startswith("intel-xeon-platinum-8488c-")
    page = "\n".join(machine.as_markdown())
    assert "amx_bf16 no" in page
    assert "avx2 yes" in page
    assert "AVX512-BF16 but no AMX" in page


def test_of_a_cpu_that_lists_other_instructions_nothing_is_denied(cpuinfo: Path) -> None:
    cpuinfo.write_text(ARM)
    machine = describe_machine(cpuinfo)
    page = "\n".join(machine.as_markdown())
    assert machine.flags is None
    assert not machine.has_bf16
    assert "avx2 unknown" in page
    assert "no bfloat16" not in page
    assert " no" not in machine.as_markdown()[0]


def test_a_system_that_lists_nothing_still_has_a_name(cpuinfo: Path) -> None:
    machine = describe_machine(cpuinfo)
    assert machine.cpu
    assert machine.flags is None


def test_cores_are_those_the_engines_take(cpuinfo: Path) -> None:
    assert describe_machine(cpuinfo).cores == usable_cores()


def test_a_page_names_torch_and_the_gpu_or_that_there_is_none(cpuinfo: Path) -> None:
    pytest.importorskip("torch")
    page = "\n".join(describe_machine(cpuinfo).as_markdown())
    assert f"torch {version('torch')}" in page
    assert "- GPU: " in page
