"""A machine with a GPU for the processes of a real server: fakes of the ports, faults by file.

`make_machine` makes a folder; the environment it gives puts a server's processes on it. Its files
say what the machine is and what shall go wrong, at once or while it serves:

- a call of `models.engines.trt.ports.CudaDriver`: the next such call fails with this code of CUDA's
- `dies`: the process that loads a plan ends as of a segmentation fault
- `no_cpu_engine`: no CPU engine opens
- `build`: what becomes of a build; see `tests.support.fake_tensorrt`
- `violations`: rules that were broken, for the test to read
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from models import engine
from models.engines.trt.open import MACHINE
from tests.support.fake_cuda import MIB, FakeDevice, FakeDriver, FakeLoadedPlan, FakePlanRuntime
from tests.support.fake_tensorrt import write_fake_tensorrt

_REPOSITORY = Path(__file__).resolve().parents[2]
_VARIABLE = "TEST_MACHINE"


def make_machine(folder: Path) -> dict[str, str]:
    """Make a machine.

    Args:
        folder: Where; must not be there. Python imports `sitecustomize` of it before anything else.

    Returns:
        Environment of the processes that shall be on it.
    """
    folder.mkdir()
    write_fake_tensorrt(folder, computes=True)
    lines = ("from tests.support.machine import join_machine", "", "join_machine()", "")
    (folder / "sitecustomize.py").write_text("\n".join(lines))
    return {_VARIABLE: str(folder), "PYTHONPATH": f"{folder}{os.pathsep}{_REPOSITORY}"}


def join_machine() -> None:
    """Put this process on the machine of its environment."""
    folder = Path(os.environ[_VARIABLE])
    device = WatchedDevice(capacity=16 * 1024 * MIB, folder=folder)
    drivers: list[FakeDriver] = []

    def open_driver() -> FakeDriver:
        drivers.append(FakeDriver(device))
        return drivers[-1]

    MACHINE.probe = lambda: None
    MACHINE.open_driver = open_driver
    MACHINE.open_runtime = lambda _library: WatchedRuntime(drivers[-1])
    if (folder / "no_cpu_engine").exists():
        engine.CPU_ENGINES = ()


@dataclass
class WatchedDevice(FakeDevice):
    """A device that looks into its folder before every call."""

    folder: Path = Path()

    def entered(self, call: str) -> None:
        """Fail as a file says."""
        fault = self.folder / call
        if fault.is_file():
            self.fail(call, int(fault.read_text()))
            fault.unlink()
        super().entered(call)

    def insist(self, kept: bool, rule: str) -> None:
        """Hold a rule; what was broken is written down for the test."""
        if not kept:
            with (self.folder / "violations").open("a") as file:
                file.write(f"{rule}\n")
        super().insist(kept, rule)


class WatchedRuntime(FakePlanRuntime):
    """A runtime that may end the process."""

    def load(self, plan: bytes) -> FakeLoadedPlan:
        """Deserialise, or die of it."""
        device = self.driver.device
        if isinstance(device, WatchedDevice) and (device.folder / "dies").exists():
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().load(plan)
