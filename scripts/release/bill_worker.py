"""Holds a bill of materials against CycloneDX's own schema; runs in the tools' environment."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main() -> str | None:
    """What is wrong with the file; None if nothing is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bill", type=Path)
    file = parser.parse_args().bill
    # Only the tools' environment has these.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = file.read_text()
    schema = SchemaVersion.from_version(json.loads(text)["specVersion"])
    fault = JsonStrictValidator(schema).validate_str(text)
    return f"{file}: {fault}" if fault else None


if __name__ == "__main__":
    sys.exit(main())
