"""Who calls: one client, by its address and what proxies say of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Tier of whoever shows no key.
ANONYMOUS = "anonymous"
#: Tiers a key can have.
FREE, BASIC, PRO = "free", "basic", "pro"
TIERS = (ANONYMOUS, FREE, BASIC, PRO)

_IPV6_CLIENT_PREFIX = 64


@dataclass(frozen=True)
class Caller:
    """Who sent a request.

    Attributes:
        key: What tells it from others, in limits and in the log: its address, or the id of its API
            key after `key:`.
        tier: What it may do.
        key_id: Id of the API key it showed; empty without one.
    """

    key: str
    tier: str = ANONYMOUS
    key_id: str = ""


def client_key(peer: str, forwarded_for: Sequence[str], trusted: Sequence[str]) -> str:
    """The client an address stands for.

    Args:
        peer: Address at the other end of the connection.
        forwarded_for: Values of `X-Forwarded-For`, in order; with ports, brackets and quotes, as
            the proxy writes them.
        trusted: Networks of proxies whose `X-Forwarded-For` is believed.

    Returns:
        The last address not of a trusted proxy; of an IPv6 address its /64, since that is what one
        client gets.
    """
    networks = _networks(tuple(trusted))
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    chosen = peer
    while hops and _is_in(chosen, networks):
        chosen = hops.pop()
    address = _address(chosen)
    if address is None:
        return peer if chosen is not peer else "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_CLIENT_PREFIX), strict=False))
    return str(address)


@lru_cache(maxsize=16)
def _networks(entries: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(entry, strict=False) for entry in entries)


def _is_in(text: str, networks: Sequence[Network]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, or None; a dual-stack socket's `::ffff:1.2.3.4` is the IPv4 address inside it.

    What proxies add to one is dropped: a port (`1.2.3.4:80`, `[::1]:80`), quotes, a zone
    (`fe80::1%eth0`).
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    text = text.partition("%")[0].strip()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
