"""Graphs of BiRefNets without their weights, and what puts the weights in; needs no PyTorch."""
