"""For code that was written for rembg: `from birefnet_client.rembg import remove, new_session`.

What comes out is of the kind that went in: bytes, a Pillow image or an array.
"""

from __future__ import annotations

import io
import warnings
import weakref
from functools import cache
from typing import Any, TypeVar, cast

from birefnet_client.client import Client
from birefnet_client.models import Options
from birefnet_client.result import Cutout

Given = TypeVar("Given")
Colour = tuple[int, int, int, int]

_OPAQUE = 255
_REFINED = "edges are always refined; alpha_matting and its thresholds change nothing"


class Session:
    """A service and one of its models.

    Attributes:
        client: What asks the service.
        model_name: The model; None for the service's default.
    """

    def __init__(self, client: Client, model_name: str | None = None) -> None:
        self.client = client
        self.model_name = model_name
        weakref.finalize(self, client.close)  # nobody closes a session of rembg's


def new_session(
    model_name: str | None = None, *, server: str | None = None, api_key: str | None = None
) -> Session:
    """Choose a model.

    Args:
        model_name: rembg's names of BiRefNets are known; None for the service's default. One that
            is not served is refused when a picture is sent.
        server: Address of the service; None for `BIREFNET_URL`, else this machine.
        api_key: None for `BIREFNET_API_KEY`.
    """
    return Session(Client(server, api_key=api_key), model_name)


@cache
def _default_session() -> Session:
    return new_session()


def remove(  # noqa: PLR0913
    data: Given,
    alpha_matting: bool = False,
    alpha_matting_foreground_threshold: int = 240,
    alpha_matting_background_threshold: int = 10,
    alpha_matting_erode_size: int = 10,
    session: Session | None = None,
    only_mask: bool = False,
    post_process_mask: bool = False,
    bgcolor: Colour | None = None,
    force_return_bytes: bool = False,
) -> Given:
    """Remove the background of a picture.

    Args:
        data: The bytes of a file, a Pillow image, or an array ``[H, W, C]`` uint8.
        alpha_matting: Taken, and said once that it changes nothing: edges are always refined.
        alpha_matting_foreground_threshold: As `alpha_matting`.
        alpha_matting_background_threshold: As `alpha_matting`.
        alpha_matting_erode_size: As `alpha_matting`.
        session: Of `new_session`; None for the service's default model.
        only_mask: Give the mask.
        post_process_mask: Taken; masks are always smoothed.
        bgcolor: Red, green, blue and opacity of a ground to put the cutout on.
        force_return_bytes: Give the bytes of a PNG, whatever was given.

    Returns:
        What was made, of the kind that was given; bytes are those of a PNG.

    Raises:
        RemovalError: If it is refused, or there is no service.
        TypeError: If it is none of these.
    """
    if alpha_matting:
        warnings.warn(_REFINED, stacklevel=2)
    kind = "bytes" if isinstance(data, bytes | bytearray | memoryview) else _kind_of(data)
    chosen = session or _default_session()
    options: Options = {"model": chosen.model_name, "output": "mask" if only_mask else None}
    if bgcolor is not None and bgcolor[3] == _OPAQUE and not only_mask:
        options["bg_color"] = "#" + bytes(bgcolor[:3]).hex()
    cutout = chosen.client.remove(data, **options)
    if bgcolor is not None and bgcolor[3] != _OPAQUE and not only_mask:
        cutout = _put_on(cutout, bgcolor)
    return cast("Given", _as(cutout, "bytes" if force_return_bytes else kind, only_mask))


def _kind_of(data: object) -> str:
    if hasattr(data, "getexif"):
        return "image"
    if hasattr(data, "__array_interface__"):
        return "array"
    raise TypeError(f"Input type {type(data)} is not supported.")


def _as(cutout: Cutout, kind: str, only_mask: bool) -> Any:
    """What was made, as rembg gives it: of an opaque composite, too, four channels."""
    if kind == "bytes":
        return cutout.data
    image = cutout.image() if only_mask else cutout.image().convert("RGBA")
    if kind == "image":
        return image
    import numpy as np

    return np.asarray(image)


def _put_on(cutout: Cutout, colour: Colour) -> Cutout:
    """A cutout on a ground that is itself transparent."""
    from PIL import Image

    image, file = cutout.image(), io.BytesIO()
    ground = Image.new("RGBA", image.size, colour)
    ground.paste(image, mask=image)
    ground.save(file, "PNG")
    return Cutout(file.getvalue(), cutout.media_type, cutout.info)
