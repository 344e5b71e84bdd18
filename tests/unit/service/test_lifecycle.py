"""A second name for inference's socket, where the system allows one."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

from service.lifecycle import second_name


def test_a_socket_is_reached_by_its_second_name_after_the_first_is_gone() -> None:
    with tempfile.TemporaryDirectory(prefix="s-") as folder, socket.socket(socket.AF_UNIX) as bound:
        first = Path(folder, "uds", "1.sock")
        first.parent.mkdir()
        bound.bind(str(first))
        bound.listen()
        with second_name(first.as_uri()) as address:
            first.unlink()
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(address.removeprefix("file://"))
        assert [path.name for path in Path(folder).iterdir()] == ["uds"]


def test_where_no_second_name_can_be_had_the_first_has_to_do(tmp_path: Path) -> None:
    missing = (tmp_path / "uds" / "1.sock").as_uri()
    with second_name(missing) as address:
        assert address == missing
