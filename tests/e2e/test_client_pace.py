"""The Python client under a service's own limits."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from birefnet_client import Client
from tests.support.pictures import make_image
from tests.support.server import Serve

PHOTO = make_image("PNG", 96, 128)


@pytest.mark.full
def test_more_files_than_a_minute_allows_are_all_done(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(45):
        (tmp_path / "in" / f"{number}.png").write_bytes(PHOTO)
    with serve() as server, Client(server.url("")) as client:  # an operator's own limits
        ran = client.remove_many([tmp_path / "in"], tmp_path / "out")
        assert [str(done.error) for done in ran if done.error] == []
        refused = httpx.get(server.url("/metrics")).text.count('code="RATE_LIMIT_EXCEEDED"')
    assert len(list((tmp_path / "out").iterdir())) == 45
    assert refused < 45
