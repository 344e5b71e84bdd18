"""How a background lies in the storage: one blob of a head, a thumbnail and the picture.

One blob is there or is not, so there is never a picture without its name or the other way round.
The head says how long everything is: a blob of another length is none of ours, or was cut off by
a machine that lost its power.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from datetime import datetime

from service.removal.background import StoredPicture

_MAGIC = b"BGR1"
_LENGTHS = struct.Struct(">4sHII")
#: Of a blob's first bytes: enough for every head, and for every head with its thumbnail.
HEAD_BYTES = 2048
THUMBNAIL_BYTES = 256 * 1024


@dataclass(frozen=True)
class Head:
    """What is known of a background without reading its picture.

    Attributes:
        name: What its owner calls it; may be empty.
        height: Rows of the picture.
        width: Columns of the picture.
        created: When it was uploaded, in ISO 8601.
        thumbnail: Where the thumbnail is in the blob.
        n_bytes: Length of the blob.
    """

    name: str
    height: int
    width: int
    created: str
    thumbnail: slice
    n_bytes: int


def pack(name: str, picture: StoredPicture, created: datetime) -> bytes:
    """The blob of a background."""
    head = json.dumps(
        {
            "name": name,
            "height": picture.height,
            "width": picture.width,
            "created": created.isoformat(timespec="seconds"),
        }
    ).encode()
    lengths = _LENGTHS.pack(_MAGIC, len(head), len(picture.thumbnail), len(picture.file))
    return b"".join((lengths, head, picture.thumbnail, picture.file))


def read_head(first: bytes) -> Head | None:
    """What a blob's first bytes say; None if they are no background's."""
    try:
        magic, n_head, n_thumbnail, n_file = _LENGTHS.unpack_from(first)
        start = _LENGTHS.size + n_head
        told = json.loads(first[_LENGTHS.size : start])
        return (
            Head(
                name=str(told["name"]),
                height=int(told["height"]),
                width=int(told["width"]),
                created=str(told["created"]),
                thumbnail=slice(start, start + n_thumbnail),
                n_bytes=start + n_thumbnail + n_file,
            )
            if magic == _MAGIC
            else None
        )
    except (struct.error, ValueError, KeyError, TypeError):
        return None
