"""Which addresses may be connected to: those of the public internet, and an operator's own."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

#: What addresses of the public internet are connected to on.
WEB_PORTS = frozenset({80, 443})

# All that IPv6 has handed out to networks. Outside of it are loopback, link-local, site-local,
# unique local and multicast addresses, and IPv4 inside IPv6: mapped, compatible, NAT64.
_IPV6_UNICAST = IPv6Network("2000::/3")
# What `is_global` is true of, in this or that version of Python, and no public server has.
_SPECIAL = tuple(
    map(
        ip_network,
        (
            "100.64.0.0/10",  # shared by customers of a carrier, and inside of clouds
            "168.63.129.16/32",  # the host beneath a machine in Azure
            "192.0.0.0/24",
            "192.88.99.0/24",  # relays of 6to4
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",
            "2001::/23",  # Teredo and other protocols
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4
            "3ffe::/16",
            "3fff::/20",  # documentation
        ),
    )
)
# ISATAP: an IPv4 address as the last 32 bits, behind 0000:5efe or 0200:5efe.
_ISATAP = 0x5EFE
_ISATAP_BITS = 0xFDFFFFFF

_WITH_PORT = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+)):(\d{1,5})")


@dataclass(frozen=True)
class Destination:
    """Servers that an operator lets callers reach.

    Attributes:
        network: Their addresses.
        ports: Their ports.
    """

    network: IPv4Network | IPv6Network
    ports: frozenset[int] = WEB_PORTS


def read_destination(text: str) -> Destination:
    """What an operator writes: `10.1.0.0/16`, `10.1.2.3:9000`, `[fd00::1]:9000`.

    Raises:
        ValueError: If it is none.
    """
    found = _WITH_PORT.fullmatch(text)
    if found is None:
        return Destination(ip_network(text))
    port = int(found[3])
    if not 0 < port < 65536:
        raise ValueError(f"{text} names no port")
    return Destination(ip_network(found[1] or found[2]), frozenset({port}))


def may_reach(host: str, port: int, own: tuple[Destination, ...] = ()) -> bool:
    """Whether a connection may be opened.

    Args:
        host: The address, in numbers; a name is refused.
        port: The port.
        own: What the operator lets callers reach beside the public internet.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if any(address in place.network and port in place.ports for place in own):
        return True
    return port in WEB_PORTS and is_public(address)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the public internet's, reached as it stands there."""
    if not address.is_global or any(address in network for network in _SPECIAL):
        return False
    if isinstance(address, IPv4Address):
        return True
    is_isatap = (int(address) >> 32) & _ISATAP_BITS == _ISATAP
    return address in _IPV6_UNICAST and address.scope_id is None and not is_isatap
