"""This machine: what a measured number belongs to."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from models.cores import usable_cores
from scripts.measuring.gpu_driver import ask_driver

#: Instructions that decide how fast a network runs on a CPU.
TELLING_FLAGS = ("amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx2")
_LIBRARIES = (
    "bentoml",
    "openvino",
    "onnxruntime",
    "torch",
    "numpy",
    "opencv-python-headless",
    "pillow",
)


@dataclass(frozen=True)
class Machine:
    """What a number was measured on.

    Attributes:
        cpu: Name of the CPU.
        flags: Those of `TELLING_FLAGS` that it has; None where they are not told, as on Arm.
        cores: Cores this process may use.
        memory_gb: Memory of the machine.
        gpu: What NVIDIA's driver calls its GPUs; `none` without the driver.
        load_before: Runnable processes in the minute before; much above 0, others were at work too.
        versions: Versions of what does the work; what is not installed is left out.
    """

    cpu: str
    flags: tuple[str, ...] | None
    cores: int
    memory_gb: float
    gpu: str
    load_before: float
    versions: dict[str, str]

    @property
    def has_bf16(self) -> bool:
        """Whether the CPU is known to multiply bfloat16."""
        return not {"amx_bf16", "avx512_bf16"}.isdisjoint(self.flags or ())

    def bf16_in_words(self) -> str:
        """What the CPU has for bfloat16, as one sentence."""
        if self.flags is None:
            return "This CPU does not say whether it multiplies bfloat16."
        if "amx_bf16" in self.flags:
            return "This CPU multiplies bfloat16 in AMX tiles."
        if "avx512_bf16" in self.flags:
            return "This CPU has AVX512-BF16 but no AMX tiles."
        return "This CPU has no bfloat16 arithmetic: half the speed-up is asked of it."

    def slug(self) -> str:
        """CPU and cores, fit for a file name."""
        name = re.sub(r"\(R\)|\(TM\)|CPU|@.*", "", self.cpu, flags=re.IGNORECASE)
        words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        return f"{words}-{self.cores}-cores"

    def as_markdown(self) -> list[str]:
        """Lines of a list."""
        libraries = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        flags = ", ".join(f"{name} {self._has(name)}" for name in TELLING_FLAGS)
        return [
            f"- CPU: {self.cpu}, {self.cores} cores, {self.memory_gb:.0f} GB; {flags}",
            f"- {self.bf16_in_words()}",
            f"- GPU: {self.gpu}",
            f"- Load average before: {self.load_before:.2f}",
            f"- {libraries}",
        ]

    def _has(self, flag: str) -> str:
        if self.flags is None:
            return "unknown"
        return "yes" if flag in self.flags else "no"


def describe_machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> Machine:
    """Look at this machine.

    Args:
        cpuinfo: Where Linux describes the CPU; other systems have no such file.
    """
    facts = cpuinfo.read_text().split("\n\n")[0].splitlines() if cpuinfo.is_file() else []
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in facts)
    }
    present = fields["flags"].split() if "flags" in fields else None
    return Machine(
        cpu=fields.get("model name") or platform.processor() or platform.machine() or "unknown",
        flags=None if present is None else tuple(f for f in TELLING_FLAGS if f in present),
        cores=usable_cores(),
        memory_gb=psutil.virtual_memory().total / 1e9,
        gpu=ask_driver("name") or "none",
        load_before=os.getloadavg()[0],
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
