"""A BiRefNet's checkpoint opened in PyTorch: uint8 pictures in, uint8 alpha mattes out."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch

from models.arrays import U8Array
from models.artifacts import ModelFiles
from models.birefnet import BiRefNet
from models.birefnet.pictures import PictureMatting
from models.catalog import IMAGENET_MEAN, IMAGENET_STD
from models.cores import usable_cores
from models.engine import EngineConfig, EngineInfo, Headroom
from models.engines.pytorch.device import choose_device, choose_precision
from models.engines.pytorch.forward import DeviceNetwork, Forward, TorchVariant, speed_up
from models.engines.pytorch.memory import (
    free_memory,
    memory_shortage,
    usable_memory,
)
from models.errors import (
    CheckpointError,
    EngineIncompatible,
    EngineUnavailable,
    InferenceFailed,
    NetworkOverflowed,
    OutOfDeviceMemory,
    Shortage,
)

_MIB = 1024 * 1024


class PyTorchEngine:
    """A BiRefNet in eager PyTorch, or compiled, or recorded.

    One thread of its own does all the work, whoever asks: cuDNN keeps what it has found out about
    shapes, and OpenMP its threads, once per thread that calls them.

    Threads, TF32 and cuDNN's search are settings of the process: one engine per process.

    Args:
        files: The model; its checkpoint is what runs.
        config: How to open it.
        variant: How to run it on a CUDA device.

    Raises:
        EngineUnavailable: If CUDA is asked for and not there, or the device fails.
        EngineIncompatible: If the model has no checkpoint or not a BiRefNet's, or none for pictures
            of this size, or the device or the weights have not the precision asked for.
    """

    def __init__(
        self, files: ModelFiles, config: EngineConfig, variant: TorchVariant | None = None
    ) -> None:
        self._start(lambda: _load(files), config, variant or TorchVariant())

    @classmethod
    def on_network(
        cls, network: BiRefNet, config: EngineConfig, variant: TorchVariant | None = None
    ) -> PyTorchEngine:
        """Open an engine on a network in memory.

        Args:
            network: The network; folded, cast, moved and the engine's from now on.
            config: How to open it.
            variant: How to run it on a CUDA device.

        Returns:
            An open engine.

        Raises:
            EngineUnavailable: As for a model in files.
            EngineIncompatible: Likewise.
        """
        engine = cls.__new__(cls)
        engine._start(lambda: network, config, variant or TorchVariant())
        return engine

    def _start(
        self, network: Callable[[], BiRefNet], config: EngineConfig, variant: TorchVariant
    ) -> None:
        """Open on the thread that will do the work; what goes wrong has a name."""
        self.forward: Forward | None = None
        self._device = choose_device(config)
        self._held = 0
        self._taken: dict[int, int] = {}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="pytorch")
        try:
            self._worker.submit(self._open, network, config, variant).result()
        except CheckpointError as refused:
            raise EngineIncompatible(f"PyTorch cannot run this checkpoint: {refused}") from refused
        except RuntimeError as failure:
            shortage = self._shortage(failure)
            why = f"out of memory, {shortage}: {failure}" if shortage else failure
            raise EngineUnavailable(
                f"PyTorch cannot open the model on {self._device.type}: {why}"
            ) from failure
        finally:
            if self.forward is None:
                self._worker.shutdown()

    def _open(
        self, network: Callable[[], BiRefNet], config: EngineConfig, variant: TorchVariant
    ) -> None:
        device = self._device
        precision = choose_precision(config, device)
        _set_process(config, variant)
        self._variant = variant
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._forget_peak()
        placed = DeviceNetwork(_sized(network(), config), precision, device, variant)
        matting = PictureMatting(placed, IMAGENET_MEAN, IMAGENET_STD).to(device)
        if self._stream is not None:  # the weights travel on the stream everybody shares
            self._stream.wait_stream(torch.cuda.current_stream(device))
        shape = (config.max_batch, config.height, config.width)
        empty = partial(
            torch.empty, dtype=torch.uint8, pin_memory=config.pin_memory and device.type == "cuda"
        )
        self._image, self._alpha = empty((*shape, 3)), empty(shape)
        self._sound = empty(config.max_batch)
        self._info = EngineInfo(
            name="pytorch",
            runtime=f"torch {torch.__version__}",
            device=device.type,
            precision=precision,
            max_batch=config.max_batch,
        )
        self.forward = speed_up(matting, variant, self._stream)

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        return self._info

    def predict(self, batch: U8Array) -> U8Array:
        """Run one batch; see `models.engine.Engine`."""
        most, *shape = self._image.shape
        if list(batch.shape[1:]) != shape or not 1 <= len(batch) <= most:
            raise InferenceFailed(f"expected 1 to {most} x {shape}, got {list(batch.shape)}")
        try:
            mattes = self._worker.submit(self._predict, batch)
        except RuntimeError as closed:
            raise InferenceFailed("the engine is closed") from closed
        return mattes.result()

    def headroom(self, batch: int) -> Headroom | None:
        """What is free, PyTorch's own reserve counted, and what a batch that size took at most."""
        if self._stream is None:
            return None
        free = usable_memory(self._device)
        if free is None:
            return None
        sizes = [n for n in self._taken if n >= min(batch, self._info.max_batch)]
        required = self._taken[min(sizes)] if sizes else 0
        return Headroom(free_mb=free / _MIB, required_mb=required / _MIB)

    def close(self) -> None:
        """Finish what was begun and give the memory back. May be called twice."""
        self._worker.shutdown()
        if self.forward is None:
            return
        self.forward = None
        if self._variant.compile:
            torch.compiler.reset()
        if self._stream is not None:
            self._stream.synchronize()
            torch.cuda.empty_cache()

    @contextmanager
    def on_stream(self) -> Iterator[None]:
        """Everything this engine does on its device happens within, and is done at the end."""
        with torch.inference_mode():
            if self._stream is None:
                yield
                return
            with torch.cuda.stream(self._stream):
                yield
            self._stream.synchronize()

    def _predict(self, batch: U8Array) -> U8Array:
        """One batch on the engine's thread; what goes wrong has a name."""
        self._forget_peak()
        try:
            alpha, sound = self._run(batch)
        except RuntimeError as failure:
            raise self._fault(failure) from failure
        if self._stream is not None:
            peak = torch.cuda.max_memory_allocated(self._device) - self._held
            self._taken[len(batch)] = max(peak, self._taken.get(len(batch), 0))
        if not sound.all():
            raise NetworkOverflowed(
                f"PyTorch computed NaN or infinity in {self._info.precision.value} for "
                f"{len(sound) - np.count_nonzero(sound)} of {len(sound)} pictures"
            )
        return alpha

    def _run(self, batch: U8Array) -> tuple[U8Array, U8Array]:
        """To the device, through the network, and back."""
        assert self.forward is not None  # noqa: S101  closing waits for what was begun
        n = len(batch)
        np.copyto(self._image.numpy()[:n], batch)
        with self.on_stream():
            alpha, sound = self.forward(self._image[:n].to(self._device, non_blocking=True))
            self._alpha[:n].copy_(alpha, non_blocking=True)
            self._sound[:n].copy_(sound, non_blocking=True)
        return self._alpha.numpy()[:n].copy(), self._sound.numpy()[:n]

    def _fault(self, failure: RuntimeError) -> InferenceFailed:
        """What a caller is told; after a lack of memory, what was taken is given back."""
        shortage = self._shortage(failure)
        if shortage is None:
            return InferenceFailed(f"PyTorch: {failure}")
        traceback.clear_frames(failure.__traceback__)  # they hold the maps computed so far
        torch.cuda.empty_cache()
        return OutOfDeviceMemory(f"PyTorch: {failure}", **shortage.fields)

    def _forget_peak(self) -> None:
        """What is held now is what the next piece of work finds."""
        if self._stream is not None:
            torch.cuda.reset_peak_memory_stats(self._device)
            self._held = torch.cuda.memory_allocated(self._device)

    def _shortage(self, failure: RuntimeError) -> Shortage | None:
        """How much device memory was missing, if that is what went wrong."""
        if self._device.type != "cuda":
            return None
        try:
            taken = torch.cuda.max_memory_allocated(self._device) - self._held
            return memory_shortage(failure, taken, free_memory(self._device))
        except RuntimeError:  # a device that broke answers nothing
            return None


def _load(files: ModelFiles) -> BiRefNet:
    """The network of a registered model."""
    if files.checkpoint is None:
        raise EngineIncompatible(
            "PyTorch runs BiRefNet checkpoints; this model is published as an ONNX graph only"
        )
    # Not needed for a network in memory, and neither are the libraries that read files.
    from models.birefnet.checkpoint import load_birefnet

    return load_birefnet(files.checkpoint)


def _sized(network: BiRefNet, config: EngineConfig) -> BiRefNet:
    """The network, if it takes pictures of this size."""
    try:
        network.check_size(config.height, config.width)
    except ValueError as refused:
        raise EngineIncompatible(str(refused)) from refused
    return network


def _set_process(config: EngineConfig, variant: TorchVariant) -> None:
    """What torch knows for the whole process only."""
    torch.set_num_threads(config.threads or usable_cores())
    torch.backends.cudnn.benchmark = config.cudnn_benchmark
    # The older switches: the newer ones must not be mixed with them, and inductor reads these.
    torch.backends.cudnn.allow_tf32 = variant.tf32
    torch.backends.cuda.matmul.allow_tf32 = variant.tf32
    # Sums of half precision products stay in f32, however they are split.
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
