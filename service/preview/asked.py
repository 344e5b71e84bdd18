"""What a caller wants to see of a picture, and what is shown of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from models.errors import BackgroundRemovalError
from models.matting.strokes import Stroke
from service.imaging.encode import EncodedFile
from service.removal.options import RemovalOptions, RemovalResult

#: Most strokes at once; whoever draws more has drawn over them.
MOST_STROKES = 100


@dataclass(frozen=True)
class Picture:
    """A picture as it was sent.

    Attributes:
        data: The file.
    """

    data: bytes


@dataclass(frozen=True)
class Asked:
    """All that a caller wants; nothing of what was asked before counts any more.

    Attributes:
        seq: The caller's number for it; what is shown of it carries the same.
        options: As for a removal.
        strokes: In the order they were drawn.
        full: Whether the picture is wanted at its own size, too, once nothing newer waits.
    """

    seq: int = 0
    options: RemovalOptions = field(default_factory=RemovalOptions)
    strokes: tuple[Stroke, ...] = ()
    full: bool = True


@dataclass(frozen=True)
class Shown:
    """One answer.

    Attributes:
        seq: Of what was asked.
        size: Whether it is the small one or the one at the picture's own size.
        result: What was made, with all that is known of it.
        files: The picture: one file, or its colours and its opacity, which are far sooner made than
            one file of both.
    """

    seq: int
    size: Literal["small", "full"]
    result: RemovalResult
    files: tuple[EncodedFile, ...]


@dataclass(frozen=True)
class Failed:
    """Why there is no answer.

    Attributes:
        seq: Of what was asked.
        error: What is wrong.
    """

    seq: int
    error: BackgroundRemovalError
