"""Fetches the picture that a caller names by its address, for as long as the caller is there."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from starlette.requests import Request

from service.errors import InvalidRequest
from service.http.exchange import exchange_of
from service.http.forms import IMAGE_URL, Fault, refusal
from service.http.removal_request import RemovalRequest
from service.outbound.errors import ImageUrlDisabled
from service.outbound.fetch import Fetcher


async def fetch_given(
    asked: RemovalRequest, url: str, request: Request, fetcher: Fetcher | None
) -> RemovalRequest:
    """The same request with the file that is at an address.

    Args:
        asked: What the caller sent.
        url: Where the picture is; untrusted.
        request: The request, its body read.
        fetcher: Fetches it; None where the operator wants nothing fetched.

    Raises:
        RequestError: If nothing is fetched, from there, or to be had; or the caller has left.
        ServiceBusy: If too many are under way, or the memory for uploads is full.
    """
    if fetcher is None:
        raise ImageUrlDisabled
    if (fault := fetcher.fault_of(url)) is not None:
        raise refusal([Fault(IMAGE_URL, fault)])
    fetching = asyncio.ensure_future(fetcher.fetch(url, exchange_of(request.scope).hold))
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((fetching, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not fetching.done():
            raise InvalidRequest("The caller left before the picture was fetched")
        fetched = fetching.result()
    finally:
        fetching.cancel()
        leaving.cancel()
        await asyncio.wait((fetching, leaving))
    return replace(asked, data=fetched.data, media_type=fetched.media_type)


async def _left(request: Request) -> None:
    """Wait until the caller has left; its body has been read, so nothing else comes."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
