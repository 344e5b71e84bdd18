"""OpenVINO on the CPU: uint8 pictures in, uint8 alpha mattes out."""

import sys

# Imported, OpenVINO tells an analytics service that it was, and leaves files in the home folder.
# Without this package, which is all that does so, it does neither.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

from models.engines.openvino.engine import OpenVinoEngine  # noqa: E402

__all__ = ["OpenVinoEngine"]
