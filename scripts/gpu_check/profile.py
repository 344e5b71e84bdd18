"""What a pass spends its time in: by part of the network, operator and kernel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn
from torch.profiler import DeviceType, ProfilerActivity, profile

from models.arrays import U8Array
from models.birefnet import BiRefNet
from models.engines.pytorch import PyTorchEngine
from scripts.gpu_check.measure import Clock, run_forward

_PASSES = 3
#: Modules whose share of a pass is worth knowing; `bb` runs twice, whole and half.
PARTS = (
    "bb",
    "squeeze_module",
    "decoder.decoder_block4",
    "decoder.decoder_block3",
    "decoder.decoder_block2",
    "decoder.decoder_block1",
    "decoder.decoder_block1.dec_att.aspp_deforms.2",
    "decoder",
)


def time_parts(
    engine: PyTorchEngine, network: BiRefNet, pictures: U8Array
) -> dict[str, list[float]]:
    """Time the parts of an eager pass.

    Args:
        engine: The engine that runs the network, neither compiled nor recorded.
        network: The network it runs.
        pictures: One batch ``[N, H, W, 3]``.

    Returns:
        Milliseconds by part, one number per call; parts lie within each other where names say so.
    """
    clocks: list[tuple[str, Clock]] = []

    def begin(name: str, module: nn.Module, inputs: object) -> None:
        clocks.append((name, Clock(engine.info.device)))

    def finish(name: str, module: nn.Module, inputs: object, output: object) -> None:
        next(clock for part, clock in reversed(clocks) if part == name).stop()

    handles = []
    for name in PARTS:
        part = network.get_submodule(name)
        handles.append(part.register_forward_pre_hook(partial(begin, name)))
        handles.append(part.register_forward_hook(partial(finish, name)))
    for _ in range(_PASSES):
        run_forward(engine, pictures)
    for handle in handles:
        handle.remove()
    times: dict[str, list[float]] = {}
    for name, clock in clocks[-len(clocks) // _PASSES :]:  # the others warmed up
        times.setdefault(name, []).append(round(clock.ms(), 3))
    return times


def profile_operators(
    engine: PyTorchEngine, pictures: U8Array, most: int = 20
) -> Mapping[str, list[dict[str, Any]]]:
    """What a pass on one batch ``[N, H, W, 3]`` spends its time in.

    Returns:
        The dearest `operators` and, with CUDA, `kernels`: name, calls and milliseconds of one pass.
    """
    cuda = engine.info.device == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    run_forward(engine, pictures)  # warms up
    with profile(activities=activities) as profiler:
        run_forward(engine, pictures)
    spent = {"operators": DeviceType.CPU, "kernels": DeviceType.CUDA}
    attribute = "self_device_time_total" if cuda else "self_cpu_time_total"
    tables = {}
    for kind, device_type in spent.items():
        events = [e for e in profiler.key_averages() if e.device_type == device_type]
        events.sort(key=lambda event: -getattr(event, attribute))
        tables[kind] = [
            {"name": e.key[:120], "calls": e.count, "ms": round(getattr(e, attribute) / 1e3, 3)}
            for e in events[:most]
        ]
    return tables
