"""Which addresses may be connected to."""

from __future__ import annotations

import pytest

from service.outbound.destinations import may_reach, read_destination

REFUSED = {
    "this machine": ["127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "::1", "::"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12::1"],
    "link-local": ["169.254.1.1", "fe80::1", "fe80::1%1", "fe80::1%lo", "2606:4700::1%1"],
    "metadata": ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200"],
    "host of a cloud": ["168.63.129.16", "192.0.0.192"],
    "shared": ["100.64.0.1", "100.127.255.255"],
    "site-local": ["fec0::1", "feff::1"],
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"],
    "broadcast, reserved": ["255.255.255.255", "240.0.0.1", "4000::1", "5f00::1", "100::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "relays of 6to4": ["192.88.99.1"],
    "IPv4 in IPv6, mapped": ["::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:8.8.8.8"],
    "compatible": ["::127.0.0.1", "::7f00:1", "::8.8.8.8"],
    "translated": ["::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"],
    "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::808:808", "64:ff9b:1::1", "64:ff9b:1:fffe::7f00:1"],
    "6to4": ["2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1"],
    "Teredo": ["2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
    "ISATAP": ["2606:4700::5efe:7f00:1", "2606:4700::200:5efe:10.0.0.1"],
    "no address in numbers": [
        "localhost",
        "",
        "2130706433",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "a.b",
    ],
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_of_the_public_internet_is_never_reached(kind: str) -> None:
    for address in REFUSED[kind]:
        assert not may_reach(address, 80), address


PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.1.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "2001:200::1",
    "2400:cb00::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached_on_the_ports_of_the_web(address: str) -> None:
    assert may_reach(address, 80)
    assert may_reach(address, 443)
    for port in (0, 22, 25, 6379, 8080, 55433):
        assert not may_reach(address, port)


def test_an_operators_own_servers_are_reached_and_nothing_beside_them() -> None:
    own = tuple(map(read_destination, ("10.1.2.3:9000", "10.2.0.0/16", "[fd00::1]:8080")))
    for host, port in (("10.1.2.3", 9000), ("10.2.9.9", 443), ("fd00::1", 8080)):
        assert may_reach(host, port, own)
    for host, port in (
        ("10.1.2.3", 80),
        ("10.1.2.4", 9000),
        ("10.2.0.1", 9000),
        ("10.3.0.1", 80),
        ("8.8.8.8", 9000),
        ("fd00::2", 8080),
        ("::ffff:10.2.9.9", 80),
        ("64:ff9b::10.2.9.9", 80),
    ):
        assert not may_reach(host, port, own), (host, port)


@pytest.mark.parametrize(
    "text", ["", "example.com", "example.com:80", "10.0.0.1/8", "10.0.0.1:0", "10.0.0.1:65536"]
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whatever it says, the start says it
        read_destination(text)
