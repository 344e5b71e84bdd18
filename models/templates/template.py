"""A graph without weights, and how each of its weights follows from those of a checkpoint.

One file for each backbone, size and form lies beside this module, made by `scripts.make_templates`:
a line of JSON and an ONNX model, compressed.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import onnx

FOLDER = Path(__file__).parent
_SIDE = 1024  # every backbone has a template of this size
# Reading takes as much memory as this compression looks back: 8 MB.
_PRESET = 6 | lzma.PRESET_EXTREME


class Form(StrEnum):
    """Which graph of a network.

    Attributes:
        OPERATOR: Float32, deformable convolution as the ONNX operator: what is registered.
        HALF: Float16 with float32 islands, deformable convolution decomposed, and a second output,
            `sound`: what TensorRT plans are built from.
    """

    OPERATOR = "operator"
    HALF = "half"


@dataclass(frozen=True)
class Header:
    """What a template says of itself.

    Attributes:
        graph_version: `models.artifacts.GRAPH_VERSION` when it was made.
        tensors: Shape of every tensor of a checkpoint, by key and in order.
        fixed: SHA-256 of those that are the same in every checkpoint, as little-endian int64.
        recipe: How the weights of the graph are made, by their names in it: nested lists that begin
            with the name of an operation of `models.templates.fill`.
    """

    graph_version: int
    tensors: Mapping[str, tuple[int, ...]]
    fixed: Mapping[str, str]
    recipe: Mapping[str, list[Any]]


@dataclass(frozen=True)
class Template:
    """A template in memory.

    Attributes:
        header: What it says of itself.
        model: The graph; its initializers that are in the recipe have a shape, but no data.
    """

    header: Header
    model: onnx.ModelProto

    def packed(self) -> bytes:
        """The content of its file, the same for the same template."""
        line = json.dumps(asdict(self.header), separators=(",", ":")).encode()
        return lzma.compress(line + b"\n" + _serialized(self.model), preset=_PRESET)


def template_file(backbone: str, height: int, width: int, form: Form) -> Path:
    """Where the template of that graph lies, if there is one."""
    return FOLDER / f"{backbone}-{height}x{width}-{form}.xz"


def backbones() -> list[str]:
    """All there is a template of."""
    end = f"-{_SIDE}x{_SIDE}-{Form.OPERATOR}.xz"
    return sorted(file.name.removesuffix(end) for file in FOLDER.glob(f"*{end}"))


def read_template(file: Path) -> Template:
    """Read a template."""
    with lzma.open(file) as stream:
        header = _parse(stream.readline())
        return Template(header, onnx.ModelProto.FromString(stream.read()))


def expected_tensors(backbone: str) -> Header:
    """What a checkpoint of a backbone must hold; the graph itself is not read."""
    with lzma.open(template_file(backbone, _SIDE, _SIDE, Form.OPERATOR)) as stream:
        return _parse(stream.readline())


def _parse(line: bytes) -> Header:
    fields = json.loads(line)
    fields["tensors"] = {key: tuple(shape) for key, shape in fields["tensors"].items()}
    return Header(**fields)


def _serialized(model: onnx.ModelProto) -> bytes:
    content: bytes = model.SerializeToString(deterministic=True)
    return content
