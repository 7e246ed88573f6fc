"""Who asked: the client in a column or a list of addresses, written one way for each client.

A port is cut off, every spelling of one IPv6 address is one, an IPv4 address written as IPv6 is the IPv4 address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from app.domain.formats.base import BadLine
from app.domain.formats.remembered import Remembered
from app.domain.formats.values import shown

__all__ = [
    "PLAIN_IPV4",
    "PRIVATE",
    "Clients",
    "addresses_of",
    "clients",
    "clients_with_ports",
    "is_plain_ipv4",
    "without_port",
]

PRIVATE = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fc00::/7,fe80::/10"
"""Loopback, private and link-local ranges: the proxies that are trusted where no setting says otherwise."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PLAIN_IPV4 = r"(?:[1-9]?[0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])(?:\.(?:[1-9]?[0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])){3}"
"""A pattern for re and RE2. What it fits is written as the client is."""
_PLAIN_IPV4 = re.compile(PLAIN_IPV4)
is_plain_ipv4 = _PLAIN_IPV4.fullmatch
"""The match of an IPv4 address that is written as the client is: ten times as fast as `ipaddress`."""
_IPV4_WITH_PORT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3}){3}):[0-9]{1,5}")
_BRACKETS = re.compile(r"\[([0-9A-Fa-f:.]{2,45}(?:%[\w.-]{1,40})?)\](?::[0-9]{1,5})?")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[\w.-]{1,40})?", re.ASCII)
_HOST_NAME = re.compile(r"(\.?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?)(?::[0-9]{1,5})?")
_NOBODY = frozenset({"", "-", "unix:", "@", "unknown", "(null)", "null"})
"""What servers write where there is no address: `unix:` and `@` are connections through a socket of the same machine."""
_MOST_LISTED = 64


class Clients:
    """Text of a client column to the client; None for nobody. `trusted`: networks, comma-separated, whose addresses are proxies."""

    def __init__(self, trusted: str) -> None:
        self._trusted = _networks(trusted)
        self.of = Remembered(self._client, longest=256)
        """`of[text]`. Raises BadLine("bad_client") for what is neither an address nor a host name nor a list of them."""

    def behind(self, client: str | None, forwarded: Sequence[str]) -> str | None:
        """The client of a request that came through `client`, with the addresses that the proxies before it named.

        Of proxies alone the first: so people of a private network are told apart.

        >>> clients("").behind("10.0.0.1", ["203.0.113.7", "10.0.0.9"]), clients("").behind("198.51.100.7", ["203.0.113.7"])
        ('203.0.113.7', '198.51.100.7')
        >>> clients("").behind("10.0.0.1", ["192.168.1.5", "10.0.0.9"]), clients("").behind("10.0.0.1", [])
        ('192.168.1.5', '10.0.0.1')
        """
        if client is not None and not self.is_proxy(client):
            return client
        last = next((one for one in reversed(forwarded) if not self.is_proxy(one)), None)
        return last or (forwarded[0] if forwarded else client)

    def _client(self, text: str) -> str | None:
        if "," in text:
            return self._listed(text.split(",", _MOST_LISTED))
        return _one(text.strip())

    def _listed(self, texts: Iterable[str]) -> str | None:
        """The rightmost that is no trusted proxy; of proxies alone the first."""
        known = [one for one in (_one(text.strip()) for text in texts) if one is not None]
        return next((one for one in reversed(known) if not self.is_proxy(one)), known[0] if known else None)

    def is_proxy(self, client: str) -> bool:
        """Whether it is an address of the trusted networks."""
        address = _address(client)
        return address is not None and any(
            address.version == network.version and address in network for network in self._trusted
        )


@lru_cache(maxsize=64)
def clients(trusted: str) -> Clients:
    """The reader of clients for the text of the setting; empty takes PRIVATE. Raises ValueError for what is no network."""
    return Clients(trusted or PRIVATE)


def addresses_of(text: str, ports: bool = False) -> list[str] | None:
    """The addresses of a list as proxies pass it on, or None where the text is no such list. With a port it is no client's, unless
    the column is known to hold clients (`ports`).

    >>> addresses_of("203.0.113.7, [2001:db8::7]"), addresses_of("-"), addresses_of("10.0.0.1:8080")
    (['203.0.113.7', '2001:db8::7'], None, None)
    >>> addresses_of("203.0.113.7:4711, [2001:db8::7]:4711", ports=True)
    ['203.0.113.7', '2001:db8::7']
    """
    if not text or len(text) > 2048 or not (text[0].isalnum() or text[0] in ":["):
        return None
    found = []
    for piece in text.split(","):
        name = piece.strip()
        if name in _NOBODY:
            continue
        written = _BRACKETS.fullmatch(name) or (_IPV4_WITH_PORT.fullmatch(name) if ports else None)
        address = None if written and not ports and name[-1] != "]" else _address(written[1] if written else name)
        if address is None:
            return None
        found.append(str(address))
    return found or None


def clients_with_ports(text: str) -> list[str] | None:
    """The same of addresses with ports, unless all are private: those are servers that a proxy passed the request on to.

    >>> clients_with_ports("203.0.113.7:31873, 10.0.2.7:29877"), clients_with_ports("10.0.2.7:31873")
    (['203.0.113.7', '10.0.2.7'], None)
    """
    listed = addresses_of(text, ports=True)
    return None if listed is None or all(map(clients("").is_proxy, listed)) else listed


def without_port(text: str) -> str:
    """The client of a column that always has a port behind it, whether an IPv6 address stands in brackets or not.

    >>> without_port("203.0.113.9:443"), without_port("2001:db8::7:443"), without_port("[2001:db8::7]:443"), without_port("-")
    ('203.0.113.9', '2001:db8::7', '[2001:db8::7]', '-')
    """
    address, colon, port = text.rpartition(":")
    return address if colon and port.isdigit() and not text.startswith("unix:") else text


def _one(text: str) -> str | None:
    if _PLAIN_IPV4.fullmatch(text):
        return text
    if text in _NOBODY or text.startswith(("unix:", "envoy://")):
        return None
    found = _IPV4_WITH_PORT.fullmatch(text) or _BRACKETS.fullmatch(text)
    address = _address(found[1] if found else text)
    if address is not None:
        return str(address)
    name = None if found else _HOST_NAME.fullmatch(text)
    if name is None or ".." in name[1]:
        raise BadLine("bad_client", f"no address and no host name: {shown(text)}")
    return name[1]


def _address(text: str) -> Address | None:
    if not (_PLAIN_IPV4.fullmatch(text) or _IPV6.fullmatch(text)):
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def _networks(text: str) -> list[Network]:
    try:
        return [ip_network(piece.strip(), strict=False) for piece in text.split(",") if piece.strip()]
    except ValueError as error:
        raise ValueError(f"the trusted proxies are no networks: {error}") from None
