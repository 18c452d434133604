"""X-Forwarded-For: whose is believed, and which address in it is the client's."""

import pytest

from keyledger import InvalidArgument
from keyledger.forwarded import TrustedProxies

PROXIES = TrustedProxies(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"])
CLIENTS = {
    "no header": ("10.0.0.1", None, "10.0.0.1"),
    "one proxy": ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
    "a chain of proxies": ("10.0.0.1", "203.0.113.9, 192.0.2.1,10.9.9.9", "203.0.113.9"),
    "what the client wrote itself": ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
    "a trusted address that the client wrote itself": ("10.0.0.1", "10.0.0.3, 203.0.113.9", "203.0.113.9"),
    "a client among the proxies": ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
    "a stranger's header": ("203.0.113.66", "198.51.100.1", "203.0.113.66"),
    "IPv6": ("2001:db8::1", "2001:DB9:0:0::1", "2001:db9::1"),
    "IPv6 with a port": ("10.0.0.1", "[2001:db9::1]:443", "2001:db9::1"),
    "IPv6 in brackets": ("10.0.0.1", "[2001:db9::1]", "2001:db9::1"),
    "IPv4 with a port": ("10.0.0.1", "203.0.113.9:8080", "203.0.113.9"),
    "IPv4 by way of IPv6": ("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
    "a zone": ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
    "garbage": ("10.0.0.1", "unknown", "10.0.0.1"),
    "garbage before a proxy": ("10.0.0.1", "203.0.113.9, unknown, 10.0.0.7", "10.0.0.7"),
    "nothing": ("10.0.0.1", "", "10.0.0.1"),
    "an empty place": ("10.0.0.1", "203.0.113.9,", "10.0.0.1"),
    "a port that is none": ("10.0.0.1", "203.0.113.9:http", "10.0.0.1"),
    "a bracket that stays open": ("10.0.0.1", "[2001:db9::1", "10.0.0.1"),
    "no digits of ours": ("10.0.0.1", "203.0.113.\N{ARABIC-INDIC DIGIT NINE}", "10.0.0.1"),
    "something very long": ("10.0.0.1", "1" * 100_000, "10.0.0.1"),
    "a peer without an address": (None, "203.0.113.9", None),
    "a peer with another name": ("testclient", "203.0.113.9", "testclient"),
}


@pytest.mark.parametrize(("peer", "forwarded", "client"), CLIENTS.values(), ids=CLIENTS.keys())
def test_the_client_of(peer: str | None, forwarded: str | None, client: str | None) -> None:
    assert PROXIES.client(peer, forwarded) == client


def test_with_no_trusted_proxies_nobody_is_believed() -> None:
    assert TrustedProxies().client("127.0.0.1", "203.0.113.9") == "127.0.0.1"


def test_who_connects_by_a_unix_socket_is_believed_where_that_is_said() -> None:
    assert TrustedProxies(["unix"]).client(None, "203.0.113.9") == "203.0.113.9"
    assert TrustedProxies(["unix"]).client("", "203.0.113.9") == "203.0.113.9"
    assert TrustedProxies(["unix"]).client("10.0.0.1", "203.0.113.9") == "10.0.0.1"


@pytest.mark.parametrize("networks", ["10.0.0.0/8", ["10.0.0.1/8"], ["proxy.internal"], ["*"], [""], None])
def test_what_is_no_network_is_refused(networks: object) -> None:
    with pytest.raises(InvalidArgument, match=r"trusted_proxies: .*10\.0\.0\.0/8"):
        TrustedProxies(networks)
