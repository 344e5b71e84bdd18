"""What there is to measure on a GPU: ways to run a network, what matters most first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.engines.pytorch import TorchVariant
from models.spec import Precision

#: Multiply-adds of one 1024 x 1024 picture in units of 10^9: convolutions and matrix products,
#: attention and deformable convolutions among them; sampling does not count. What our forward
#: executes, counted by torch's `FlopCounterMode` on meta tensors; the official code has 2 to 11 %
#: more.
GMACS_AT_1024: Mapping[str, float] = {
    "swin_v1_t": 303.4,
    "swin_v1_s": 422.0,
    "swin_v1_b": 650.9,
    "swin_v1_l": 1235.3,
    "pvt_v2_b0": 184.9,
    "pvt_v2_b1": 255.2,
    "pvt_v2_b2": 334.4,
    "pvt_v2_b5": 635.4,
    "resnet50": 381.2,
    "vgg16": 593.6,
    "vgg16bn": 593.6,
}
_COMPILED_BATCHES = (1, 4)
# A compilation that is cut short leaves nothing: do not begin one with less.
_COMPILE_S = 100.0
#: What a row that compiles nothing takes, generously.
EAGER_S = 5.0


@dataclass(frozen=True)
class Case:
    """One way to run a network.

    Attributes:
        name: How tables call it.
        precision: What the network computes in.
        variant: How PyTorch runs it.
    """

    name: str
    precision: Precision
    variant: TorchVariant

    @property
    def needs_s(self) -> float:
        """How much time there must be to begin a row."""
        return _COMPILE_S if self.variant.compile else EAGER_S

    @property
    def needs_cuda(self) -> bool:
        """Whether it would be something else on a CPU."""
        return self.variant.compile or self.variant.cuda_graph or self.variant.tf32

    @property
    def peak(self) -> str:
        """Which matrix peak its times are held against."""
        tf32 = self.precision is Precision.F32 and self.variant.tf32
        return "tf32" if tf32 else self.precision.value

    def batches(self, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """Of the batch sizes wanted, those worth their time."""
        if not self.variant.compile:
            return wanted
        return tuple(n for n in wanted if n in _COMPILED_BATCHES)


def plain(precision: Precision) -> Case:
    """Eager and contiguous: nothing that could differ from what the network says."""
    return Case(precision.value, precision, TorchVariant(channels_last=False))


REFERENCE = plain(Precision.F32)

EAGER = (
    Case("f16 channels_last", Precision.F16, TorchVariant()),
    Case("f16 channels_last graph", Precision.F16, TorchVariant(cuda_graph=True)),
    plain(Precision.F16),
    Case("bf16 channels_last", Precision.BF16, TorchVariant()),
    REFERENCE,
    Case("f32 tf32", Precision.F32, TorchVariant(channels_last=False, tf32=True)),
)

#: After everything else: one of these may take all the time that is left.
COMPILED = (
    Case("f16 compiled", Precision.F16, TorchVariant(compile=True)),
    Case("f16 compiled graph", Precision.F16, TorchVariant(compile=True, cuda_graph=True)),
)


def share_of_peak(backbone: str, batch: int, ms: float, peak_tflops: float) -> float | None:
    """How near a pass of a batch at 1024 x 1024 came to a peak: a share of it.

    None for a network whose multiply-adds are not known.
    """
    gmacs = GMACS_AT_1024.get(backbone)
    return None if gmacs is None else 2 * gmacs * batch / ms / peak_tflops  # GFLOP / ms: TFLOP / s
