"""What a file of weights is, by its first bytes, whatever its name."""

from __future__ import annotations

import re
import zipfile
from enum import StrEnum
from pathlib import Path

from models.errors import CheckpointMismatch

_BEGIN_BYTES = 256
_FETCH_AGAIN = "fetch it again"
_DAMAGED = f"is damaged and cannot be read; {_FETCH_AGAIN}"
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_SAFETENSORS = re.compile(rb"....\0\0\0\0\{", re.DOTALL)  # the header's length, and its JSON
# ir_version, then any other field of a model; \x62 is opset_import, \x42, in lower case
_ONNX = re.compile(rb"\x08[\x01-\x7f][\x12\x1a\x22\x28\x32\x3a\x42\x62\x72\xa2]", re.DOTALL)
# What else comes under a checkpoint's name, by how it begins, in lower case.
_OTHERS = (
    (rb"version https://git-lfs", "is a git-lfs pointer, not the file; run: git lfs pull"),
    (
        rb"<!doctype|<html|<\?xml",
        f"is a web page saved under that name, such as an error or a login; {_FETCH_AGAIN}",
    ),
    (rb"[{\[]", "is a JSON text"),
    (_ONNX.pattern, "is an ONNX graph, which is not read here"),
)


class FileFormat(StrEnum):
    """The formats a checkpoint comes in."""

    SAFETENSORS = "safetensors"
    ZIP = "zip"  # what torch.save writes
    PICKLE = "pickle"  # what it wrote before PyTorch 1.6


def format_of(file: Path) -> FileFormat:
    """Say in which format a checkpoint is, by how it begins.

    Raises:
        CheckpointMismatch: If it is something else, or cut short; says which.
    """
    found = _judge(file)
    if isinstance(found, FileFormat):
        return found
    raise CheckpointMismatch(f"{file.name} {found}")


def is_onnx(file: Path) -> bool:
    """Whether a file begins as ONNX graphs do; False where there is none."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return _ONNX.match(stream.read(_BEGIN_BYTES)) is not None


def _judge(file: Path) -> FileFormat | str:
    """The format, or the rest of a sentence that begins with the file's name."""
    if not file.is_file():
        return "is not there"
    with file.open("rb") as stream:
        begin = stream.read(_BEGIN_BYTES)
    if not begin:
        return f"is empty; {_FETCH_AGAIN}"
    if _SAFETENSORS.match(begin):
        return FileFormat.SAFETENSORS
    if begin.startswith(_ZIP):
        return _zip_fault(file) or FileFormat.ZIP
    if begin.startswith(_PICKLE):
        return FileFormat.PICKLE
    text = begin.lstrip().lower()
    known = next((what for start, what in _OTHERS if re.match(start, text, re.DOTALL)), None)
    return known or "is neither a .safetensors nor a .pth file"


def _zip_fault(file: Path) -> str | None:
    """A `.pth` file is a zip archive with a pickle in it."""
    if not zipfile.is_zipfile(file):  # its directory comes last
        return f"is cut short; {_FETCH_AGAIN}"
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except Exception:  # a damaged directory raises whatever its bytes lead to
        return _DAMAGED
    if any(name.endswith("/constants.pkl") for name in names):
        return "is a TorchScript program, which is never run; save `model.state_dict()` instead"
    if any(name.endswith("data.pkl") for name in names):
        return None
    return "is a zip archive without a checkpoint in it"
