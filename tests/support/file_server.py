"""A web server on this machine that serves a few files, resumes them, and fails on demand."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PIECE = 64 * 1024


@dataclass
class FileServer:
    """What is served, how badly, and what was asked.

    Attributes:
        url: Where it listens.
        files: Path to content.
        cut_after: The next answers end after so many bytes, one entry each.
        ranges: Whether a part of a file may be asked for.
        seconds_per_piece: How long each 64 kB take.
        asked: Path and `Range` of every request.
        redirects: Path to the headers of a redirect.
        statuses: Path to the error it answers with.
        headers: Path to more headers of its answer.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    ranges: bool = True
    seconds_per_piece: float = 0.0
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    redirects: dict[str, dict[str, str]] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)

    def add_hub_file(self, repository: str, content: bytes, commit: str) -> None:
        """Serve the newest commit of a hub's file: a redirect that says what lies there."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.files[f"/storage/{sha256}"] = content
        headers = {
            "Location": f"{self.url}/storage/{sha256}",
            "X-Repo-Commit": commit,
            "X-Linked-ETag": f'"{sha256}"',
            "X-Linked-Size": str(len(content)),
        }
        for revision in (commit, "main"):
            self.redirects[f"/{repository}/resolve/{revision}/model.safetensors"] = headers

    def add_index_page(self, distribution: str, sha256: str, filename: str) -> None:
        """Serve the page of one distribution with one wheel, as PEP 691 has it."""
        page = {
            "meta": {"api-version": "1.0"},
            "name": distribution,
            "files": [
                {"filename": "other.whl", "url": "other.whl", "hashes": {"sha256": "f" * 64}},
                {"filename": filename, "url": f"../../{filename}", "hashes": {"sha256": sha256}},
            ],
        }
        self.files[f"/simple/{distribution}/"] = json.dumps(page).encode()


@contextmanager
def open_file_server() -> Iterator[FileServer]:
    """Serve until the block ends."""
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append((self.path, asked))
            if self.path in state.redirects:
                self.send_response(302)
                for name, value in {**state.redirects[self.path], "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()
                return
            content = state.files.get(self.path)
            if content is None or self.path in state.statuses:
                self.send_error(state.statuses.get(self.path, 404))
                return
            start = 0
            if asked and state.ranges:
                match = re.fullmatch(r"bytes=(\d+)-", asked)
                start = int(match[1]) if match else 0
                if start >= len(content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            kind = "application/vnd.pypi.simple.v1+json" if "/simple/" in self.path else "x/y"
            self.send_header("Content-Type", kind)
            for name, value in state.headers.get(self.path, {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if self.command == "GET":
                self._send(content[start:])

        def _send(self, content: bytes) -> None:
            cut = state.cut_after.pop(0) if state.cut_after else len(content)
            for at in range(0, min(cut, len(content)), _PIECE):
                try:
                    self.wfile.write(content[at : min(at + _PIECE, cut)])
                except OSError:
                    return
                time.sleep(state.seconds_per_piece)
            if cut < len(content):
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
