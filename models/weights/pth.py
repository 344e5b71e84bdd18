"""The zip archives that PyTorch saves: a pickle of what there is, and the numbers of each tensor.

Nothing of the pickle is run. It is read by a machine that knows the few instructions and the few
names that dictionaries of tensors are written with; at any other the reading ends.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from models.weights.arrays import Array, map_file

# Twenty times as many as a checkpoint with its optimiser takes.
_MOST_PICKLE_BYTES = 4_000_000
_LOCAL_HEADER, _LOCAL_HEADER_BYTES = b"PK\x03\x04", 30
_PROTOCOL = 2  # of what PyTorch writes by itself
_MARK = object()

_STORAGES = {
    "torch DoubleStorage": np.float64,
    "torch FloatStorage": np.float32,
    "torch HalfStorage": np.float16,
    "torch BFloat16Storage": ml_dtypes.bfloat16,
    "torch LongStorage": np.int64,
    "torch IntStorage": np.int32,
    "torch ShortStorage": np.int16,
    "torch CharStorage": np.int8,
    "torch ByteStorage": np.uint8,
    "torch BoolStorage": np.bool_,
}


class NeedsTorch(Exception):
    """The file is one that only PyTorch can read."""


class ForeignObject(Exception):
    """The pickle asks for something that is no tensor."""


class NewerPickle(Exception):
    """The pickle is of a protocol that PyTorch does not write by itself."""


def read_pth(file: Path) -> Any:
    """Map what a file holds: arrays in the dictionaries and lists they were saved in.

    Args:
        file: A zip archive with a ``data.pkl``.

    Raises:
        NeedsTorch: If it is packed, or names a kind of tensor that is not known here.
        ForeignObject: If it names anything but tensors.
        NewerPickle: If its protocol is above 2.
        Exception: If it is damaged: whatever its bytes lead to.
    """
    with zipfile.ZipFile(file) as archive:
        members = {item.filename: item for item in archive.infolist()}
        if len(members) != len(archive.infolist()):
            raise ValueError("two members have one name")
        if any(item.compress_type != zipfile.ZIP_STORED for item in members.values()):
            raise NeedsTorch("its archive is compressed")
        name = next(name for name in members if name.endswith("data.pkl"))
        if members[name].file_size > _MOST_PICKLE_BYTES:
            raise ValueError("its pickle is too long")
        folder, content = name.removesuffix("data.pkl"), map_file(file)
        order = members.get(f"{folder}byteorder")
        if order is not None and bytes(_stored(content, order)) != b"little":
            raise NeedsTorch("its numbers are in another byte order")
    return _Machine(lambda key: _stored(content, members[f"{folder}data/{key}"])).run(
        bytes(_stored(content, members[name]))
    )


def _stored(content: Array, item: zipfile.ZipInfo) -> Array:
    """The bytes of a member, which lie in the file as they are."""
    at = item.header_offset
    head = bytes(content[at : at + _LOCAL_HEADER_BYTES])
    if not head.startswith(_LOCAL_HEADER):
        raise ValueError(f"{item.filename} is not where the archive says")
    names = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    begin = at + _LOCAL_HEADER_BYTES + names
    if item.flag_bits & 1 or begin + item.file_size > len(content):
        raise ValueError(f"{item.filename} cannot be read")
    return content[begin : begin + item.file_size]


class _Machine:
    """Runs a pickle: a stack of values, and a memo of those that come again.

    Args:
        stored: The bytes of a storage, by its key.
    """

    def __init__(self, stored: Callable[[str], Array]) -> None:
        self._stored = stored
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, pickle: bytes) -> Any:
        """What the pickle holds."""
        for instruction, argument, _ in pickletools.genops(pickle):
            self._step(instruction.name, argument)
        (content,) = self._stack
        return content

    def _step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self._stack.append(_VALUES[name](argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif name in _STEPS:
            _STEPS[name](self)
        elif name == "PROTO":
            if argument > _PROTOCOL:
                raise NewerPickle
        elif name != "STOP":
            raise ForeignObject(name)

    def _pop_marked(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:  # runs off the stack where there is none
            at -= 1
        values = self._stack[at + 1 :]
        del self._stack[at:]
        return values

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise ValueError("the stack is empty")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _append(self, values: list[Any]) -> None:
        self._stack[-1].extend(values)

    def _set_items(self, values: list[Any]) -> None:
        self._stack[-1].update(zip(values[::2], values[1::2], strict=True))

    def _reduce(self) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        self._stack.append(_CALLS[called](*arguments))

    def _find_storage(self) -> None:
        kind, name, key, _, _ = self._stack.pop()
        if kind != "storage":
            raise ForeignObject(kind)
        data, dtype = self._stored(key), np.dtype(_STORAGES[name])
        self._stack.append(data[: len(data) // dtype.itemsize * dtype.itemsize].view(dtype))


def _name(argument: str) -> str:
    """A name stands on the stack as itself: nothing is looked up by it but what is known here."""
    if argument in _STORAGES or argument in _CALLS:
        return argument
    if argument.partition(" ")[0].partition(".")[0] == "torch":
        raise NeedsTorch(f"it holds {argument.replace(' ', '.')}")
    raise ForeignObject(argument)


def _tensor(storage: Array, offset: int, size: Any, stride: Any, *_: Any) -> Array:
    """A view of a storage."""
    if not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
        raise ValueError("a tensor has a shape that is no number")
    reach = sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if all(size) else -1
    if offset + reach >= len(storage):
        raise ValueError("a tensor ends beyond its storage")
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps)


_CALLS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": lambda: {},
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": lambda data, *_: data,
}
_VALUES: dict[str, Callable[[Any], Any]] = {
    "GLOBAL": _name,
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "MARK": lambda _: _MARK,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
} | dict.fromkeys(
    ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"),
    lambda argument: argument,
)
_STEPS: dict[str, Callable[[_Machine], None]] = {
    "TUPLE1": lambda machine: machine._tuple(1),
    "TUPLE2": lambda machine: machine._tuple(2),
    "TUPLE3": lambda machine: machine._tuple(3),
    "TUPLE": lambda machine: machine._stack.append(tuple(machine._pop_marked())),
    "APPEND": lambda machine: machine._append([machine._stack.pop()]),
    "APPENDS": lambda machine: machine._append(machine._pop_marked()),
    "SETITEM": lambda machine: machine._set_items([machine._stack.pop(-2), machine._stack.pop()]),
    "SETITEMS": lambda machine: machine._set_items(machine._pop_marked()),
    "BUILD": lambda machine: machine._stack.pop(),  # attributes of a dictionary: its metadata
    "BINPERSID": _Machine._find_storage,
    "REDUCE": _Machine._reduce,
}
