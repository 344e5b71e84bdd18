"""The network: normalised pictures ``[N, 3, H, W]`` in, logits ``[N, 1, H, W]`` out. Needs torch.

Modules that own parameters keep the attribute names of the official code (`bb`, `squeeze_module`,
`decoder.gdt_convs_4`, `ipt_blk5`): they are the keys of the published checkpoints, a file format.
"""

from models.birefnet.network import BiRefNet, build_birefnet

__all__ = ["BiRefNet", "build_birefnet"]
