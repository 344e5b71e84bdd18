"""Which client an address stands for."""

from __future__ import annotations

import pytest

from service.access.caller import client_key

PROXIES = ("10.0.0.0/8", "2001:db8:ffff::/48", "127.0.0.1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.5", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.5", ["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.5", ["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.5", ["203.0.113.9, 10.0.0.6"], "203.0.113.9"),
        ("10.0.0.5", ["10.0.0.7"], "10.0.0.7"),
        ("10.0.0.5", [], "10.0.0.5"),
        ("10.0.0.5", ["nonsense"], "10.0.0.5"),
        ("10.0.0.5", ["6.6.6.6, nonsense"], "10.0.0.5"),
        ("127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("2001:db8:ffff::1", ["203.0.113.9"], "203.0.113.9"),
        ("unknown", [], "unknown"),
        ("unknown", ["203.0.113.9"], "unknown"),
    ],
)
def test_the_last_address_not_of_a_trusted_proxy_is_the_client(
    peer: str, forwarded: list[str], expected: str
) -> None:
    assert client_key(peer, forwarded, PROXIES) == expected


def test_without_trusted_proxies_nothing_forwarded_is_believed() -> None:
    assert client_key("127.0.0.1", ["203.0.113.9"], ()) == "127.0.0.1"


def test_the_addresses_of_one_ipv6_network_are_one_client() -> None:
    one, other = client_key("2001:db8::1", [], ()), client_key("2001:db8::ffff:1", [], ())
    assert one == other == "2001:db8::/64"
    assert client_key("2001:db8:0:1::1", [], ()) != one


def test_ipv4_clients_of_a_dual_stack_socket_are_told_apart() -> None:
    assert client_key("::ffff:192.0.2.1", [], ()) == "192.0.2.1"
    assert client_key("::ffff:10.0.0.5", ["203.0.113.9"], PROXIES) == "203.0.113.9"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("203.0.113.9:4711", "203.0.113.9"),
        ('"203.0.113.9:4711"', "203.0.113.9"),
        (" 203.0.113.9 : 80", "203.0.113.9"),
        ("[2001:db8:1::7]:443", "2001:db8:1::/64"),
        ("[2001:db8:1::7]", "2001:db8:1::/64"),
        ('"[2001:db8:1::7%25eth0]:443"', "2001:db8:1::/64"),
        ("2001:db8:1::7", "2001:db8:1::/64"),
        ("[::ffff:203.0.113.9]:5", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9:1, 10.0.0.6:2", "203.0.113.9"),
        ("203.0.113.9:", "203.0.113.9"),
        ("_hidden:80", "10.0.0.5"),
        ("", "10.0.0.5"),
        ("[", "10.0.0.5"),
    ],
)
def test_what_a_proxy_adds_to_an_address_is_not_part_of_it(written: str, expected: str) -> None:
    assert client_key("10.0.0.5", [written], PROXIES) == expected


def test_an_address_with_a_zone_is_no_fault() -> None:
    assert client_key("fe80::1%eth0", [], ()) == "fe80::/64"
