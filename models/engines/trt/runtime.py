"""Runs plans with TensorRT's Python module: plain TensorRT and TensorRT-RTX alike.

Destroying one of the library's objects calls CUDA, so it must happen on the thread that has the
context. Hence they are held by one attribute each and nowhere else: an exception that travels to
another thread takes the frames it went through, and their locals, along.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.engines.trt.driver import probe
from models.engines.trt.library import Complaints, Library, make_logger
from models.engines.trt.ports import CudaError
from models.errors import EngineIncompatible, EngineUnavailable

_UNKNOWN = 999
_IMAGE, _ALPHA, _SOUND = "image", "alpha", "sound"


def open_runtime(library: Library) -> TensorRtRuntime:
    """Open a library, once it is sure that there is a device.

    Raises:
        EngineUnavailable: If there is no device, or parts of the library are missing.
    """
    reason = probe()
    if reason is not None:
        raise EngineUnavailable(reason)
    return TensorRtRuntime(library)


class TensorRtRuntime:
    """One TensorRT; see `models.engines.trt.ports.PlanRuntime`.

    Without a device some TensorRTs end the process here: come through `open_runtime`.

    Args:
        library: Which one.

    Raises:
        EngineUnavailable: If parts of it are missing, or it does not start.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._trt = library.load()
        self._complaints = _Faults()
        self._logger = make_logger(self._trt, self._complaints)
        try:
            self._runtime = self._trt.Runtime(self._logger)
        except (TypeError, RuntimeError) as refused:  # what a null pointer becomes
            raise EngineUnavailable(
                f"{library.label} does not start: {self._complaints.last or refused}"
            ) from refused

    @property
    def name(self) -> str:
        """Library and version."""
        return self._library.label

    def load(self, plan: bytes) -> TensorRtPlan:
        """Deserialise; see `models.engines.trt.ports.PlanRuntime`."""
        self._complaints.last = ""
        loaded = TensorRtPlan(
            self._trt, self._runtime.deserialize_cuda_engine(plan), self._complaints
        )
        try:
            if loaded.is_nothing:
                self._complaints.raise_if_out_of_memory("deserializeCudaEngine")
                raise EngineIncompatible(
                    f"{self.name} refuses the plan: {self._complaints.last or 'no reason given'}"
                )
            loaded.read()
        except BaseException:
            loaded.close()
            raise
        return loaded


class TensorRtPlan:
    """A deserialised plan; see `models.engines.trt.ports.LoadedPlan`.

    Args:
        trt: The library's Python module.
        engine: What it made of the plan's bytes, or None.
        complaints: What its logger was told.
    """

    def __init__(self, trt: Any, engine: Any, complaints: _Faults) -> None:
        self._trt = trt
        self._engine = engine
        self._complaints = complaints
        self._contexts: list[TensorRtContext] = []
        self._batches: tuple[int, ...] = ()
        self._tensors: tuple[str, ...] = ()
        self._picture = 0, 0
        self._scratch_bytes = 0

    @property
    def is_nothing(self) -> bool:
        """Whether the library made nothing of the bytes."""
        return self._engine is None

    @property
    def batches(self) -> Sequence[int]:
        """Batch size of each profile."""
        return self._batches

    @property
    def picture(self) -> tuple[int, int]:
        """Rows and columns of the pictures it takes."""
        return self._picture

    @property
    def scratch_bytes(self) -> int:
        """Device memory the most demanding profile works in."""
        return self._scratch_bytes

    def read(self) -> None:
        """Find out what it takes and gives.

        Raises:
            EngineIncompatible: If that is not what our plans do.
        """
        n_tensors = self._engine.num_io_tensors
        self._tensors = tuple(self._engine.get_tensor_name(i) for i in range(n_tensors))
        if set(self._tensors) - {_SOUND} != {_IMAGE, _ALPHA}:
            raise EngineIncompatible(f"the plan's tensors are {', '.join(self._tensors)}")
        for name in self._tensors:
            if self._engine.get_tensor_dtype(name) != self._trt.DataType.UINT8:
                raise EngineIncompatible(f"the plan's {name} is not of bytes")
        _, height, width, channels = self._shape_of(_IMAGE, 4)
        if self._shape_of(_ALPHA, 3)[1:] != (height, width) or channels != 3:
            raise EngineIncompatible("the plan does not turn pictures into mattes of their size")
        self._picture = height, width
        profiles = range(self._engine.num_optimization_profiles)
        self._batches = tuple(self._batch_of(profile) for profile in profiles)
        self._scratch_bytes = max(
            self._engine.get_device_memory_size_for_profile_v2(profile) for profile in profiles
        )

    def context(
        self, profile: int, addresses: dict[str, int], scratch: int, stream: int
    ) -> TensorRtContext:
        """Make one profile ready; see `models.engines.trt.ports.LoadedPlan`."""
        self._complaints.last = ""
        made = TensorRtContext(self._make_context(), self._complaints)
        try:
            made.prepare(
                profile,
                (self._batches[profile], *self._picture, 3),
                {name: addresses[name] for name in self._tensors},
                (scratch, self._scratch_bytes),
                stream,
            )
        except BaseException:
            made.close()
            raise
        self._contexts.append(made)
        return made

    def close(self) -> None:
        """Give the plan back; its contexts first. May be called twice."""
        while self._contexts:
            self._contexts.pop().close()
        self._engine = None

    def _make_context(self) -> Any:
        """A context that works in memory of ours, whichever profile it is for."""
        ours = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if not hasattr(self._trt, "DynamicShapesKernelSpecializationStrategy"):
            return self._engine.create_execution_context(ours)
        # TensorRT-RTX compiles kernels for a shape in the background and makes do with slower ones
        # until then. A recording would keep those for ever, so have them compiled at once.
        config = self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(ours)
        config.dynamic_shapes_kernel_specialization_strategy = (
            self._trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        return self._engine.create_execution_context(config)

    def _shape_of(self, tensor: str, rank: int) -> tuple[int, ...]:
        shape = tuple(self._engine.get_tensor_shape(tensor))
        if len(shape) != rank:
            raise EngineIncompatible(f"the plan's {tensor} is of shape {list(shape)}")
        return shape

    def _batch_of(self, profile: int) -> int:
        least, _, most = self._engine.get_tensor_profile_shape(_IMAGE, profile)
        if tuple(least) != tuple(most):
            raise EngineIncompatible(f"profile {profile} of the plan is not for one batch size")
        return int(next(iter(most)))


class TensorRtContext:
    """One profile, ready to run; see `models.engines.trt.ports.PlanContext`.

    Args:
        context: The library's execution context, or None.
        complaints: What its logger was told.
    """

    def __init__(self, context: Any, complaints: _Faults) -> None:
        self._context = context
        self._complaints = complaints

    def prepare(
        self,
        profile: int,
        shape: tuple[int, ...],
        addresses: dict[str, int],
        scratch: tuple[int, int],
        stream: int,
    ) -> None:
        """Choose the profile, its shape, and where everything lies.

        Raises:
            CudaError: If the library takes one of these not.
        """
        if self._context is None:
            raise self._complaints.as_fault("createExecutionContext")
        self._insist(
            "setOptimizationProfileAsync",
            self._context.set_optimization_profile_async(profile, stream),
        )
        self._context.set_device_memory(*scratch)
        self._insist("setInputShape", self._context.set_input_shape(_IMAGE, shape))
        for name, address in addresses.items():
            self._insist("setTensorAddress", self._context.set_tensor_address(name, address))

    def enqueue(self, stream: int) -> None:
        """Enqueue one pass; see `models.engines.trt.ports.PlanContext`."""
        self._complaints.last = ""
        self._insist("enqueueV3", self._context.execute_async_v3(stream))

    def close(self) -> None:
        """Give it back. May be called twice."""
        self._context = None

    def _insist(self, call: str, done: bool) -> None:
        if not done:
            raise self._complaints.as_fault(call)


class _Faults(Complaints):
    """Complaints of calls on a device."""

    def as_fault(self, call: str) -> CudaError:
        """The fault of a call that only said that it failed."""
        said = self.last or "TensorRT gave no reason"
        code = CudaError.OUT_OF_MEMORY if self._is_out_of_memory else _UNKNOWN
        return CudaError(call, code, said)

    def raise_if_out_of_memory(self, call: str) -> None:
        """Tell a lack of memory from everything else.

        Raises:
            CudaError: If it was that.
        """
        if self._is_out_of_memory:
            raise self.as_fault(call)

    @property
    def _is_out_of_memory(self) -> bool:
        return "outofmemory" in self.last.lower().replace(" ", "")  # it is written both ways
