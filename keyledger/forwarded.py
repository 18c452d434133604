"""Which address a request came from, where proxies that are known stand before the service."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from keyledger.domain.errors import InvalidArgument

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNIX = "unix"

_ALLOWED = f"networks and addresses such as 10.0.0.0/8 and ::1, and {UNIX!r} for who connects by a Unix socket"
_LONGEST = 64  # an IPv6 address with brackets, port and zone; anything longer is no address
_REMEMBERED = 4096


class TrustedProxies:
    """The proxies whose X-Forwarded-For is believed."""

    def __init__(self, networks: Iterable[str | Network] = ()) -> None:
        """Raises InvalidArgument for what is no network. With none, nobody's header is believed."""
        if isinstance(networks, str) or not isinstance(networks, Iterable):
            raise InvalidArgument("trusted_proxies", f"a list of {_ALLOWED}")
        given = tuple(networks)
        self._unix = UNIX in given
        self._networks = tuple(_network(one) for one in given if one != UNIX)
        self._trusts = lru_cache(_REMEMBERED)(self._is_in_a_network)

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def client(self, peer: str | None, forwarded: str | None) -> str | None:
        """The client's address: the last one of X-Forwarded-For, from the right, that no trusted proxy has.

        peer: who is connected; None or empty by a Unix socket.
        forwarded: the values of X-Forwarded-For, the lines in their order with commas between them.
        What a proxy that is not trusted wrote is never read. At what is no address the walk ends with the proxy
        that passed it on: nothing nearer to the client is known.
        """
        known = plain_address(peer) if peer else None
        if not forwarded or not self._believes(peer):
            return known
        for text in reversed(forwarded.split(",")):
            address = parse(text)
            if address is None:
                break
            known = str(address)
            if not self._trusts(address):
                break
        return known

    def _believes(self, peer: str | None) -> bool:
        here = parse(peer) if peer else None
        return here is not None and self._trusts(here) if peer else self._unix

    def _is_in_a_network(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def parse(text: str) -> Address | None:
    """The address in `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]:80` or `fe80::1%eth0`; None for anything else.

    An IPv4 address that came as an IPv6 one (`::ffff:1.2.3.4`) is the IPv4 address.
    """
    return _parsed(text) if len(text) <= _LONGEST else None


@lru_cache(_REMEMBERED)
def plain_address(peer: str) -> str:
    """The address as it is recorded; what is none, as the server gave it."""
    address = parse(peer)
    return peer if address is None else str(address)


@lru_cache(_REMEMBERED)
def _parsed(text: str) -> Address | None:
    host = text.strip(" \t")
    if host.startswith("["):
        host, closed, port = host[1:].partition("]")
        if not closed or (port and not _is_port(port)):
            return None
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
        if not _is_port(f":{port}"):
            return None
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_port(text: str) -> bool:
    return text[0] == ":" and text[1:].isascii() and text[1:].isdigit()


def _network(given: str | Network) -> Network:
    try:
        return ip_network(given)
    except ValueError:
        raise InvalidArgument("trusted_proxies", f"a list of {_ALLOWED}") from None
