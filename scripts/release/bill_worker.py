"""Holds a bill of materials against CycloneDX's own schema; runs in the tools' environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text()
    schema = SchemaVersion.from_version(json.loads(text)["specVersion"])
    fault = JsonStrictValidator(schema).validate_str(text)
    sys.exit(f"{sys.argv[1]}: {fault}" if fault else 0)
