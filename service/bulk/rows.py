"""A row of the manifest: what became of one picture."""

from __future__ import annotations

from typing import NamedTuple

from service.bulk.pictures import Picture

#: A picture that cannot be read, or whose cutout would take the place of another file.
FILE_ERROR = "FILE_ERROR"
#: A picture whose process ended each time, at last with no other picture beside it.
ENDS_PROCESS = "PICTURE_ENDS_PROCESS"


class Row(NamedTuple):
    """What became of one picture.

    Attributes:
        path: Below the source, with `/`.
        target: Of its cutout, below the target.
        code: Of the error it came to nothing by; None where its cutout is there.
        detail: The error in a sentence.
        ms: Milliseconds that the removal took, without reading and writing; None where the cutout
            was there already.
        engine: What made the matte, such as `openvino int8`.
        model: Name in the catalogue.
    """

    path: str
    target: str
    code: str | None = None
    detail: str | None = None
    ms: float | None = None
    engine: str | None = None
    model: str | None = None


def failed(picture: Picture, code: str, detail: str) -> Row:
    """The row of a picture that came to nothing."""
    return Row(picture.path, picture.target, code, " ".join(detail.split()))
