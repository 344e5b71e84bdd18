"""Nothing leaves the machine: no process of a server speaks to anybody but its callers."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.support.pictures import make_image
from tests.support.server import NO_LIMITS, REPOSITORY, Serve

# Python runs it before anything else in every process of the server.
WATCH = """
import json, os, sys

def note(event, arguments):
    if event in ("socket.getaddrinfo", "socket.connect", "urllib.Request"):
        with open(os.environ["TEST_WATCH"], "a") as file:
            file.write(json.dumps([event, repr(arguments)]) + "\\n")

sys.addaudithook(note)
"""
OUR_OWN = ("127.0.0.1", "localhost", "0.0.0.0", ".sock", "bentoml-uds", "'::1'")


def test_a_server_asks_no_network_for_anything_and_leaves_no_file_at_home(
    serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WATCH)
    noted = tmp_path / "noted"
    environment = {
        "PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{REPOSITORY}",
        "TEST_WATCH": str(noted),
        "HOME": str(tmp_path / "home"),
        "BENTOML_DO_NOT_TRACK": "",  # as by hand, without the Makefile
        "CI": "",
        "BIREFNET_ENGINE": "openvino",
    }
    with serve(**NO_LIMITS, **environment) as server:
        assert server.remove(make_image("PNG")).status_code == 200
    seen = [json.loads(line) for line in noted.read_text().splitlines()]
    assert seen, "nothing was watched"
    assert [call for call in seen if not any(name in call[1] for name in OUR_OWN)] == []
    assert [file for file in (tmp_path / "home").rglob("*") if file.is_file()] == []
