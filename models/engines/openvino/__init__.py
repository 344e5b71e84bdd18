"""OpenVINO on the CPU: uint8 pictures in, uint8 alpha mattes out."""

from models.engines.openvino.engine import OpenVinoEngine

__all__ = ["OpenVinoEngine"]
