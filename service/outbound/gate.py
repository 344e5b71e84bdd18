"""The one gate to addresses that callers name: it judges every connection as it is opened."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from service.outbound.destinations import WEB_PORTS, Destination, may_reach
from service.outbound.resolver import Resolver

_SCHEMES = ("http", "https")
_MAX_CHARACTERS = 4096
_HEADERS = {"User-Agent": "birefnet-background-removal", "Accept-Encoding": "identity"}


class UrlFault(Exception):
    """An address is not one that is ever asked; the message says why, for the caller."""


class Gate:
    """Makes sessions that reach public servers only, and those an operator names.

    What is judged is the very address a socket is about to be connected to, in numbers: whatever
    a name stood for before, however an address was written, and wherever a server redirects to.

    Args:
        own: What the operator lets callers reach beside the public internet.
        resolver: Looks names up; unset: the operating system.
    """

    def __init__(
        self, own: Sequence[Destination] = (), resolver: AbstractResolver | None = None
    ) -> None:
        self._own = tuple(own)
        self._ports = WEB_PORTS.union(*(place.ports for place in own))
        self._resolver = resolver or Resolver()

    def read_url(self, text: str, base: URL | None = None) -> URL:
        """An address that a caller wrote, or a server redirected to.

        Args:
            text: The address.
            base: What it is relative to, if it may be.

        Raises:
            UrlFault: If it is malformed, or asks for what is never done. No name is looked up.
        """
        if len(text) > _MAX_CHARACTERS:
            raise UrlFault(f"The address is longer than {_MAX_CHARACTERS} characters")
        if any(character <= " " or character in "\\\x7f" for character in text):
            raise UrlFault("The address holds a space, a backslash or a control character")
        try:
            url = URL(text) if base is None else base.join(URL(text))
            scheme, host, port = url.scheme, url.host, url.port
        except (ValueError, LookupError) as malformed:  # yarl counts on a host before some `@`
            raise UrlFault("The address is malformed") from malformed
        if scheme not in _SCHEMES or not host:
            raise UrlFault("Expected an address that begins with http:// or https://")
        if url.raw_user is not None or url.raw_password is not None:
            raise UrlFault("The address must hold no user and no password")
        if port not in self._ports:
            raise UrlFault("The address names a port that is not fetched from; leave it out")
        return url

    def open_session(self) -> aiohttp.ClientSession:
        """A session for one exchange: no cookies, no proxy, no connection that is used again."""
        connector = aiohttp.TCPConnector(
            socket_factory=self._open_socket,
            resolver=self._resolver,
            use_dns_cache=False,
            force_close=True,
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # the caller bounds all
        )

    def _open_socket(self, address_info: aiohttp.AddrInfoType) -> socket.socket:
        """A socket for one address, which it is connected to next."""
        family, kind, protocol, _, address = address_info
        if not may_reach(str(address[0]), int(address[1]), self._own):
            raise PermissionError("the address is not one that callers may reach")
        return socket.socket(family, kind, protocol)
