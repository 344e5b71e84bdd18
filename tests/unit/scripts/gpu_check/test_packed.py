"""Packages for a machine without a network: what is packed is what is found there, or says why."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from scripts.command import Unusable
from scripts.gpu_check.pack import PARTS, archive, select, split
from scripts.gpu_check.packed import piece_name, unpack

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
LOCK = """\
# made by uv
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:00 \\
    --hash=sha256:01
    # via onnx
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:02
    # via onnx
openvino==2026.4.1 \\
    --hash=sha256:03
"""


def packed(folder: Path, size: int = 25_600, python: str = HERE) -> list[Path]:
    """A package of our own with a file that does not compress, in pieces of 10 kB."""
    package = folder / "site" / "carried"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("ANSWER = 42\n")
    noise = b"".join(hash_of(n) for n in range(size // 32))
    (package / "noise").write_bytes(noise)
    archive(folder / "site", folder / "whole", most=10**8)
    (folder / "sent").mkdir()
    return split(folder / "whole", folder / "sent", ("service", python), most=10_000)


def hash_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def test_what_was_packed_is_unpacked_once(tmp_path: Path) -> None:
    pieces = packed(tmp_path)
    assert [piece.name for piece in pieces] == [
        piece_name("service", HERE, number, 3) for number in (1, 2, 3)
    ]
    assert all(piece.stat().st_size <= 10_000 for piece in pieces)
    (folder,), reasons = unpack(tmp_path / "sent")
    assert reasons == {}
    assert (folder / "carried" / "__init__.py").read_text() == "ANSWER = 42\n"
    assert (folder / "carried" / "noise").stat().st_size == 25_600
    (folder / "carried" / "noise").unlink()
    assert unpack(tmp_path / "sent") == ([folder], {})  # not unpacked again
    assert not (folder / "carried" / "noise").exists()


def test_a_piece_that_is_missing_is_named(tmp_path: Path) -> None:
    packed(tmp_path)[1].unlink()
    assert unpack(tmp_path / "sent") == ([], {"service": f"service-py{HERE}.2-of-3 is missing"})


def test_a_piece_that_came_in_part_leaves_nothing(tmp_path: Path) -> None:
    last = packed(tmp_path)[-1]
    last.write_bytes(last.read_bytes()[:100])
    folders, reasons = unpack(tmp_path / "sent")
    assert folders == []
    assert "service" in reasons
    assert list((tmp_path / "sent" / "unpacked").iterdir()) == []


def test_what_is_for_another_python_is_left_alone(tmp_path: Path) -> None:
    packed(tmp_path, size=3200, python="3.9")
    assert unpack(tmp_path / "sent")[1] == {"service": f"packed for Python 3.9, and this is {HERE}"}


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert unpack(tmp_path / "nowhere") == ([], {})


def test_what_becomes_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "noise").write_bytes(b"".join(map(hash_of, range(100))))
    with pytest.raises(Unusable, match=r"more than 0 MB packed.*--most-pieces"):
        archive(tmp_path / "site", tmp_path / "whole", most=1000)


def test_of_a_lock_file_whole_requirements_are_taken() -> None:
    assert select(LOCK, (), {"openvino"}).count("--hash") == 3
    assert select(LOCK, ("openvino",), ()) == "openvino==2026.4.1 \\\n    --hash=sha256:03\n"
    assert "python_full_version >= '3.12'" in select(LOCK, ("numpy",), ())


def test_every_part_names_what_its_lock_has(root: Path) -> None:
    for part in PARTS.values():
        for name in (*part.names, *part.but) if part.lock else ():
            assert select((root / part.lock).read_text(), (name,), ()), name
    service = select((root / "requirements.lock").read_text(), (), PARTS["service"].but)
    assert "bentoml==" in service
    assert "torch" not in service
