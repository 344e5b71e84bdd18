"""The zip archives that PyTorch saves: a pickle of what there is, and the numbers of each tensor.

Nothing of the pickle is run. It is read with the few instructions and the few names that
dictionaries of tensors are written with; at any other the reading ends.
"""

from __future__ import annotations

import io
import pickle
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
_INSTRUCTIONS = b"".join(
    (
        *(pickle.PROTO, pickle.STOP, pickle.GLOBAL, pickle.BINPERSID, pickle.REDUCE),
        *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.BINGET, pickle.LONG_BINGET, pickle.MARK),
        *(pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS),
        *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS),
        *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
        *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.BINUNICODE, pickle.BINFLOAT),
        *(pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1),
    )
)

_STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
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
        content.flags.writeable = False  # a pickle sets items, of whatever it likes
        order = members.get(f"{folder}byteorder")
        if order is not None and bytes(_stored(content, order)) != b"little":
            raise NeedsTorch("its numbers are in another byte order")
    data = bytes(_stored(content, members[name]))
    if data[:1] == pickle.PROTO and data[1] > _PROTOCOL:
        raise NewerPickle
    return _Reader(data, lambda key: _stored(content, members[f"{folder}data/{key}"])).load()


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


class _Dictionary(dict[Any, Any]):
    """With plain keys only: of nested ones, the hash alone could take for ever."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, str | int | float | None):
            raise TypeError("a key is no text and no number")
        super().__setitem__(key, value)


class _Instructions(dict[int, Any]):
    """Those of Python's own reader that dictionaries of tensors are written with."""

    def __missing__(self, instruction: int) -> Any:
        raise ForeignObject(f"instruction {instruction}")


class _Reader(pickle._Unpickler):  # the one in C lets a memo take any size
    """Reads a pickle.

    Args:
        data: The pickle.
        stored: The bytes of a storage, by its key.
    """

    dispatch = _Instructions({code: pickle._Unpickler.dispatch[code] for code in _INSTRUCTIONS})
    # Attributes of a dictionary, such as its metadata: nobody asks for them.
    dispatch[pickle.BUILD[0]] = lambda self: self.stack.pop()
    dispatch[pickle.EMPTY_DICT[0]] = lambda self: self.append(_Dictionary())

    def __init__(self, data: bytes, stored: Callable[[str], Array]) -> None:
        super().__init__(io.BytesIO(data))
        self._stored = stored

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for here; nothing is looked up by it."""
        if module == "torch" and name in _STORAGES:
            return np.dtype(_STORAGES[name])
        if (module, name) in _CALLS:
            return _CALLS[module, name]
        if module.partition(".")[0] == "torch":
            raise NeedsTorch(f"it holds {module}.{name}")
        raise ForeignObject(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Array:
        """The numbers of a storage."""
        kind, dtype, key, _, _ = pid
        if kind != "storage" or not isinstance(key, str):
            raise ForeignObject("another kind of reference")
        data = self._stored(key)
        return data[: len(data) // dtype.itemsize * dtype.itemsize].view(dtype)


def _tensor(storage: Array, offset: int, size: Any, stride: Any, *_: Any) -> Array:
    """A view of a storage."""
    if not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
        raise ValueError("a tensor has a shape that is no number")
    reach = sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if all(size) else -1
    if offset + reach >= len(storage):
        raise ValueError("a tensor ends beyond its storage")
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps)


_CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): lambda: _Dictionary(),
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
}
