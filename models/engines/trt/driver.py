"""Says whether there is a CUDA device and who drives it, before anything of CUDA is imported.

Without a driver some of TensorRT's objects end the process, so `probe` comes first, always.
"""

from __future__ import annotations

import ctypes
import re
from importlib import import_module
from pathlib import Path
from typing import cast

from models.engines.trt.ports import CudaDriver, CudaError
from models.errors import EngineUnavailable
from models.installs import TENSORRT_INSTALL

_KERNEL_DRIVER = Path("/proc/driver/nvidia/version")
# Best first: `cuda-bindings` can record, comes as a wheel, and is what NVIDIA's own samples use.
_DRIVERS = (
    ("models.engines.trt.cuda_bindings_driver", "CudaBindingsDriver"),
    ("models.engines.trt.pycuda_driver", "PyCudaDriver"),
)
_REASONS = {
    34: "libcuda.so.1 is a stub, made for linking only",
    100: "the NVIDIA driver sees no device",
    803: "the NVIDIA driver in the kernel and libcuda.so.1 are of different versions",
    999: "the NVIDIA driver does not start; its kernel module may need to be loaded anew",
}


def probe() -> str | None:
    """Look for a CUDA device; constructs nothing.

    Returns:
        None if there is one, else the reason why not.
    """
    try:
        library = ctypes.CDLL("libcuda.so.1")
        start, count_devices = library.cuInit, library.cuDeviceGetCount
    except (OSError, AttributeError):
        return "no NVIDIA driver is installed: libcuda.so.1 is not found"
    n_devices = ctypes.c_int(0)
    code = start(0) or count_devices(ctypes.byref(n_devices))
    if code:
        return _REASONS.get(code, f"the NVIDIA driver does not start: CUDA error {code}")
    return None if n_devices.value > 0 else _REASONS[100]


def open_driver(device: int = 0) -> CudaDriver:
    """Open the primary context of a device, with whatever package is installed for it.

    Args:
        device: Which one, as CUDA counts them.

    Returns:
        An open driver; the calling thread uses it and closes it.

    Raises:
        EngineUnavailable: If there is no device, it does not open, or no package is installed;
            says what to install.
    """
    reason = probe()
    if reason is not None:
        raise EngineUnavailable(reason)
    missing = []
    for module, name in _DRIVERS:
        try:
            return cast(CudaDriver, getattr(import_module(module), name)(device))
        except ImportError as why:
            missing.append(str(why))
        except CudaError as failure:
            raise EngineUnavailable(f"the CUDA device does not open: {failure}") from failure
    raise EngineUnavailable(
        f"neither cuda-bindings nor pycuda can be used ({'; '.join(missing)}); "
        f"run: {TENSORRT_INSTALL}"
    )


def read_kernel_driver_version(file: Path = _KERNEL_DRIVER) -> str:
    """Version of the kernel driver, such as `580.65.06`; empty where it does not say."""
    try:
        said = file.read_text(errors="replace")
    except OSError:
        return ""
    found = re.search(r"Kernel Module\b.*?\s(\d+(?:\.\d+)+)\s", said)
    return found[1] if found else ""
