"""What every kind of body has: its bytes, and pictures that are written as text in it."""

from __future__ import annotations

import binascii
from collections.abc import AsyncIterator

from starlette.requests import Request

from service.http.forms import Fault, refusal


def refuse_compressed(request: Request) -> None:
    """Refuse a body that would have to be unpacked.

    Raises:
        InvalidRequest: If it is compressed.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", ""):
        raise refusal([Fault("body", "Send the body without a Content-Encoding")])


async def read_whole(body: AsyncIterator[bytes]) -> bytes:
    """A body in one piece."""
    return b"".join([piece async for piece in body])


def from_base64(name: str, text: object) -> tuple[bytes, str | None, list[Fault]]:
    """A picture's bytes and declared type; and what is wrong with its text.

    Args:
        name: Of the field it stood in.
        text: Base64, or a data URI with it; untrusted.
    """
    if not isinstance(text, str):
        return b"", None, [Fault(name, "Expected base64, or a data URI with base64")]
    media_type = None
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        media_type = head.removeprefix("data:").partition(";")[0] or None
    try:
        compact = "".join(text.split())
        padded = compact + "=" * (-len(compact) % 4)
        return binascii.a2b_base64(padded, strict_mode=True), media_type, []
    except ValueError:  # also of characters beyond ASCII
        return b"", None, [Fault(name, "The base64 is malformed or cut off")]
