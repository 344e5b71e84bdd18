"""One picture through a live preview: options and strokes are changed without the network.

`python examples/preview/client.py photo.jpg strokes.json cutout.png [http://localhost:55433]`

`strokes.json` holds a list of strokes as the preview takes them, such as
`[{"kind": "keep", "points": [[0.4, 0.5], [0.5, 0.5]], "radius": 0.012}]`.
Needs `pip install httpx-ws`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import httpx
from httpx_ws import HTTPXWSException, WebSocketSession, connect_ws

ROUTE = "/api/background-removal/preview"


class PreviewFailed(Exception):
    """The service could not show what was wished."""


def preview(photo: Path, strokes: list[dict[str, Any]], address: str) -> bytes:
    """The cutout of a photograph, retouched by strokes; what comes before it is told on the way.

    Raises:
        PreviewFailed: If the service says why not.
        HTTPXWSException: If it is not there, or closes the preview.
    """
    with httpx.Client(timeout=120) as client, connect_ws(address + ROUTE, client) as socket:
        print("may send", next_message(socket)["max_file_bytes"], "bytes")
        wish(socket, seq=1, full=False)
        socket.send_bytes(photo.read_bytes())
        next_picture(socket)
        for feather in range(1, 9):  # a person who moves a slider: only the newest is answered
            wish(socket, seq=1 + feather, options={"feather": feather / 2}, full=False)
        while next_picture(socket)[0]["seq"] < 9:
            pass
        wish(socket, seq=10, strokes=strokes)
        while True:
            header, files = next_picture(socket)
            if (header["seq"], header["size"]) == (10, "full"):
                return files[0]


def wish(socket: WebSocketSession, **facts: object) -> None:
    """Say everything that is wished."""
    socket.send_text(json.dumps(facts))


def next_picture(socket: WebSocketSession) -> tuple[dict[str, Any], list[bytes]]:
    """The next picture: what is said of it, and its files."""
    header = next_message(socket)
    data, files = socket.receive_bytes(timeout=120), []
    for part in header["parts"]:
        files.append(data[: part["bytes"]])
        data = data[part["bytes"] :]
    print(f"wish {header['seq']}: {header['size']}, {header['width']}x{header['height']}")
    return header, files


def next_message(socket: WebSocketSession) -> dict[str, Any]:
    """The next message in words."""
    message: dict[str, Any] = json.loads(socket.receive_text(timeout=120))
    if message["type"] == "problem":
        raise PreviewFailed(f"{message['error_code']}: {message['detail']}")
    return message


def main() -> int:
    """Preview one photograph; 1 and one line where that failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("strokes", type=Path)
    parser.add_argument("cutout", type=Path)
    parser.add_argument("address", nargs="?", default="http://localhost:55433")
    given = parser.parse_args()
    try:
        strokes = json.loads(given.strokes.read_text())
        given.cutout.write_bytes(preview(given.photo, strokes, given.address))
    except (PreviewFailed, HTTPXWSException, httpx.HTTPError, OSError) as fault:
        print(f"{given.photo}: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
