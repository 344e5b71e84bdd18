"""Nothing in, a description of this machine out: what a measured number belongs to."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

#: Instructions that decide how fast a network runs on a CPU.
TELLING_FLAGS = ("amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx2")
_LIBRARIES = ("bentoml", "openvino", "onnxruntime", "numpy", "opencv-python-headless", "pillow")


@dataclass(frozen=True)
class Machine:
    """What a number was measured on.

    Attributes:
        cpu: Name of the CPU.
        flags: Those of `TELLING_FLAGS` that it has.
        cores: Cores this process may use.
        memory_gb: Memory of the machine.
        load_before: Runnable processes in the minute before; much above 0, others were at work too.
        versions: Versions of what does the work.
    """

    cpu: str
    flags: tuple[str, ...]
    cores: int
    memory_gb: float
    load_before: float
    versions: dict[str, str]

    @property
    def has_bf16(self) -> bool:
        """Whether the CPU multiplies bfloat16."""
        return "amx_bf16" in self.flags or "avx512_bf16" in self.flags

    def bf16_in_words(self) -> str:
        """What the CPU has for bfloat16, as one sentence."""
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
        flags = ", ".join(f"{n} {'yes' if n in self.flags else 'no'}" for n in TELLING_FLAGS)
        return [
            f"- CPU: {self.cpu}, {self.cores} cores, {self.memory_gb:.0f} GB; {flags}",
            f"- {self.bf16_in_words()}",
            f"- Load average before: {self.load_before:.2f}",
            f"- {libraries}",
        ]


def describe_machine() -> Machine:
    """Look at this machine."""
    facts = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in facts)
    }
    present = fields.get("flags", "").split()
    return Machine(
        cpu=fields.get("model name", "unknown"),
        flags=tuple(flag for flag in TELLING_FLAGS if flag in present),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=psutil.virtual_memory().total / 1e9,
        load_before=os.getloadavg()[0],
        versions={name: version(name) for name in _LIBRARIES},
    )
