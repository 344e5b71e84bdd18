"""PyTorch on CUDA or the CPU: runs a BiRefNet's tensors, and is the others' reference."""

from models.engines.pytorch.engine import PyTorchEngine
from models.engines.pytorch.forward import TorchVariant

__all__ = ["PyTorchEngine", "TorchVariant"]
