"""OpenVINO on the CPU: uint8 pictures in, uint8 alpha mattes out."""

import sys

# Imported, OpenVINO tells an analytics service that it was, and leaves files in the home folder.
# Without the first package, which is all that does so, it does neither. The second converts what we
# never have, and takes a third of the import.
for unwanted in ("openvino_telemetry", "openvino.tools.ovc"):
    sys.modules.setdefault(unwanted, None)  # type: ignore[arg-type]

from models.engines.openvino.engine import OpenVinoEngine  # noqa: E402

__all__ = ["OpenVinoEngine"]
