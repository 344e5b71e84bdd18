"""What goes wrong with previews alone."""

from __future__ import annotations

from service.errors import RequestError


class PreviewsDisabled(RequestError):
    """The operator takes no previews."""

    code = "PREVIEWS_DISABLED"
    public_message = "This service takes no previews; send the picture to /remove"
