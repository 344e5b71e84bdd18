"""Lets a browser call a service on this machine only by a local name.

A page of a stranger's cannot read what a service on this machine answers, unless the stranger's own
host name is made to resolve to this machine: the browser then takes the two for one origin (DNS
rebinding). Such a request still carries the stranger's name as its `Host`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import HostNotAllowed

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\[\]:/@\s]+)(?::[0-9]{0,5})?", re.IGNORECASE)


class HostCheckMiddleware:
    """Refuses what a browser sends to a loopback address under a name that could be anybody's.

    Programs are let through, since no stranger steers them, and so is what comes to another
    address: what is reachable from outside needs no trick to be reached.

    Args:
        app: What it wraps.
        allowed_hosts: Names beside `localhost` and addresses, in lower case.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str] = ()) -> None:
        self._app = app
        self._allowed = frozenset(allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            HostNotAllowed: If the host is missing, unreadable, or a name that is not ours.
        """
        if scope["type"] in ("http", "websocket") and _came_to_loopback(scope):
            headers = Headers(scope=scope)
            by_browser = "origin" in headers or "sec-fetch-site" in headers
            if by_browser and not self._is_ours(headers.getlist("host")):
                raise HostNotAllowed
        await self._app(scope, receive, send)

    def _is_ours(self, hosts: list[str]) -> bool:
        read = _HOST.fullmatch(hosts[0].strip()) if len(hosts) == 1 else None
        if read is None:
            return False
        name = read["name"].lower().removesuffix(".")
        local = name == "localhost" or name.endswith(".localhost")
        return local or name in self._allowed or _address(name.strip("[]")) is not None


def _came_to_loopback(scope: Scope) -> bool:
    """Whether the connection ends at a loopback address, which only this machine reaches."""
    address = _address((scope.get("server") or ("", 0))[0] or "")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
