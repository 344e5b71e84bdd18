"""Draw the trace of one removal.

    python -m scripts.traces docs/pictures/trace.png
    python -m scripts.traces trace.png --model BiRefNet-general-lite --photo portrait.jpg

Starts the service with a collector of its own, removes the background once unrecorded and once
recorded, and draws what came: a bar for every span.
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
from pathlib import Path

import httpx

from scripts.command import Unusable, run_command
from scripts.measuring.processes import REPOSITORY, our_service
from scripts.traces.collector import Collector
from scripts.traces.drawing import draw

_TIMEOUT_S = 120.0
_PHOTO = REPOSITORY / "examples/photos/coffee.jpg"


def main(arguments: list[str] | None = None) -> int:
    """Parse, ask, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", type=Path, help="file to draw to, such as trace.png")
    parser.add_argument("--model", default="u2netp", help="registered already")
    parser.add_argument("--photo", type=Path, default=_PHOTO)
    options = parser.parse_args(arguments)
    trace_id, data = secrets.token_hex(16), options.photo.read_bytes()
    with Collector() as collector, tempfile.TemporaryDirectory() as folder:
        settings = {"BIREFNET_OTLP_ENDPOINT": collector.endpoint, "BIREFNET_TRACE_RATIO": "0"}
        with our_service(options.model, Path(folder, "log"), settings) as server:
            for sampled in ("00", "01"):  # the first pays for what is loaded once
                told = f"00-{trace_id}-{secrets.token_hex(8)}-{sampled}"
                answer = httpx.post(
                    server.url,
                    files={"image": data},
                    headers={"traceparent": told},
                    timeout=_TIMEOUT_S,
                )
                if answer.is_error:
                    raise Unusable(f"the service answered {answer.status_code}: {answer.text}")
        spans = collector.trace(trace_id)
    if not spans:
        raise Unusable("no span came; does the service have the extra [traces]?")
    draw(spans).save(options.picture)
    print(options.picture)
    return 0


if __name__ == "__main__":
    run_command(main)
