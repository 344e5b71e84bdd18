"""What a plan is tied to, and the manifest that says so.

A plan fits one network, one TensorRT, one device. `PlanKey` names all of it; where one part differs
the plan is another and this one is not found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.engines.trt.ports import DeviceFacts
from models.errors import EngineIncompatible
from models.spec import Precision

# Raised whenever the way plans are built changes: flags, types, names of tensors.
BUILD_VERSION = 1


@dataclass(frozen=True)
class PlanKey:
    """Everything a plan depends on.

    Attributes:
        source: Hash of what its graph is made of, and by which recipe: the same checkpoint gives
            the same network, though not the same bytes from every version of the exporter.
        library: `tensorrt` or `tensorrt_rtx`, with its full version.
        gpu: Name of the device.
        compute_capability: Major and minor.
        driver_major: Major version of the kernel driver; empty where it does not say.
        cuda_major: Major version of the CUDA the driver speaks.
        precision: What the graph computes in.
        batches: Batch size of each profile.
        build_version: `BUILD_VERSION` at the time.
    """

    source: str
    library: str
    gpu: str
    compute_capability: tuple[int, int]
    driver_major: str
    cuda_major: int
    precision: Precision
    batches: tuple[int, ...]
    build_version: int = BUILD_VERSION

    @classmethod
    def of(
        cls,
        source: str,
        library: str,
        device: DeviceFacts,
        precision: Precision,
        batches: tuple[int, ...],
    ) -> PlanKey:
        """The key of a network on this device."""
        return cls(
            source=source,
            library=library,
            gpu=device.name,
            compute_capability=device.compute_capability,
            driver_major=device.driver.partition(".")[0],
            cuda_major=device.cuda_version // 1000,
            precision=precision,
            batches=batches,
        )

    @property
    def digest(self) -> str:
        """Hash of all of it: the plan's name in a cache or a store."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class PlanManifest:
    """What a plan is; kept apart from it.

    Attributes:
        key: What it depends on.
        graph_sha256: Hash of the ONNX file it was built from.
        plan_sha256: Hash of the plan itself.
        plan_bytes: Its size.
        build_s: How long the build took, in seconds.
    """

    key: PlanKey
    graph_sha256: str
    plan_sha256: str
    plan_bytes: int
    build_s: float

    def as_metadata(self) -> dict[str, Any]:
        """The manifest as JSON-able data."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> PlanManifest:
        """Read a manifest back.

        Raises:
            EngineIncompatible: If it is none of ours.
        """
        try:
            key = dict(metadata["key"])
            for name in ("compute_capability", "batches"):
                key[name] = tuple(int(number) for number in key[name])
            key["precision"] = Precision(key["precision"])
            return cls(
                key=PlanKey(**key),
                graph_sha256=str(metadata["graph_sha256"]),
                plan_sha256=str(metadata["plan_sha256"]),
                plan_bytes=int(metadata["plan_bytes"]),
                build_s=float(metadata["build_s"]),
            )
        except (KeyError, TypeError, ValueError) as broken:
            raise EngineIncompatible("not a manifest of a TensorRT plan") from broken
