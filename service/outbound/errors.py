"""What goes wrong with pictures that are named by their address."""

from __future__ import annotations

from service.errors import RequestError


class ImageUrlDisabled(RequestError):
    """The operator has not switched on that pictures are fetched."""

    code = "IMAGE_URL_DISABLED"
    public_message = "This service fetches no pictures; send the file itself as image"


class ImageUrlUnreachable(RequestError):
    """No server that may be asked answers; it is the same error whatever the reason."""

    code = "IMAGE_URL_UNREACHABLE"
    public_message = "Nothing that this service may fetch answers at the address"


class ImageUrlFailed(RequestError):
    """A server answered, and not with a whole file."""

    code = "IMAGE_URL_FAILED"
    public_message = "The picture could not be fetched from the address"
