"""Makes alpha mattes of pictures on one device: the network, its casts, what speeds it up.

Nothing here touches the host's memory; `models.engines.pytorch.engine` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.birefnet import BiRefNet
from models.birefnet.folding import fold
from models.birefnet.precision import to_half
from models.spec import Precision

_HALVES = {Precision.BF16: torch.bfloat16, Precision.F16: torch.float16}

#: Pictures ``[N, H, W, 3]`` to alpha mattes ``[N, H, W]`` and whether they are sound ``[N]``; all
#: uint8 and on the device. See `models.birefnet.pictures`.
Forward = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class TorchVariant:
    """How the network runs on a CUDA device; of these a CPU heeds ``channels_last`` alone.

    The default is a guess, the variant with the fewest moving parts: no CUDA device could be had
    when it was written. `scripts.gpu_check` measures all of them; what is fastest there, with an
    error as small, is to become the default.

    Attributes:
        channels_last: Keep the channels of a pixel together in memory, as the pictures come.
        cuda_graph: Record the pass once per batch size and replay it, without launches.
        compile: Let `torch.compile` fuse; takes a minute or more per batch size.
        tf32: Let products in f32 round their factors to 10 bits.
    """

    channels_last: bool = True
    cuda_graph: bool = False
    compile: bool = False
    tf32: bool = False


class DeviceNetwork(nn.Module):
    """The network on one device: normalised pictures in, logits out.

    Args:
        network: The network; folded, cast and moved.
        precision: What it computes in, but for what `models.birefnet.precision` keeps in f32.
        device: Where.
        variant: How.

    Raises:
        CheckpointError: If a weight is too large for the precision.
    """

    def __init__(
        self,
        network: BiRefNet,
        precision: Precision,
        device: torch.device,
        variant: TorchVariant,
    ) -> None:
        super().__init__()
        if precision in _HALVES:
            to_half(network, _HALVES[precision])
        else:
            fold(network)
        self._format = torch.channels_last if variant.channels_last else torch.contiguous_format
        self.network = network.requires_grad_(False).eval().to(device)
        self.network.to(memory_format=self._format)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """``[N, 3, H, W]`` to ``[N, 1, H, W]``, both f32."""
        logits: Tensor = self.network(x.contiguous(memory_format=self._format))
        return logits


def speed_up(forward: Forward, variant: TorchVariant, stream: torch.cuda.Stream | None) -> Forward:
    """What a variant makes of a pass.

    Args:
        forward: The pass.
        variant: How to run it.
        stream: Where it runs, or None on a CPU, which runs it as it is.

    Returns:
        The same pass, sooner done.
    """
    if stream is None:
        return forward
    if variant.compile:
        forward = torch.compile(forward, dynamic=False)
    if variant.cuda_graph:
        forward = RecordedForward(forward, stream)
    per_shape = variant.compile or variant.cuda_graph or torch.backends.cudnn.benchmark
    return InPowersOfTwo(forward) if per_shape else forward


class InPowersOfTwo:
    """Runs a batch in pieces, so that few shapes are met: 7 is 4 + 2 + 1.

    Args:
        forward: What runs a piece.
    """

    def __init__(self, forward: Forward) -> None:
        self._forward = forward

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See `Forward`."""
        n = len(image)
        sizes = [1 << bit for bit in reversed(range(n.bit_length())) if n >> bit & 1]
        pieces = [self._forward(piece) for piece in torch.split(image, sizes)]
        alphas, sounds = zip(*pieces, strict=True)
        return torch.cat(alphas), torch.cat(sounds)


class RecordedForward:
    """A pass recorded as a CUDA graph on the first batch of each size, and replayed after.

    Args:
        forward: What to record.
        stream: Where to warm up, record and replay.
    """

    _WARM_UPS = 3  # cuDNN searches and libraries allocate in the first, which no graph may hold

    def __init__(self, forward: Forward, stream: torch.cuda.Stream) -> None:
        self._forward, self._stream = forward, stream
        self._pool = torch.cuda.graph_pool_handle()
        self._recorded: dict[int, tuple[torch.cuda.CUDAGraph, Tensor, tuple[Tensor, Tensor]]] = {}

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See `Forward`; what comes out is the caller's."""
        if len(image) not in self._recorded:
            self._recorded[len(image)] = self._record(image)
        graph, pictures, (alpha, sound) = self._recorded[len(image)]
        pictures.copy_(image)
        graph.replay()
        # The graphs share their memory: the next one replayed may write over this.
        return alpha.clone(), sound.clone()

    def _record(self, image: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, tuple[Tensor, Tensor]]:
        """Graph, the pictures it reads, and what it writes."""
        pictures = image.clone()
        for _ in range(self._WARM_UPS):
            self._forward(pictures)
        self._stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            written = self._forward(pictures)
        return graph, pictures, written
