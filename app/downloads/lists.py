"""Named, versioned lists of what asks without a person behind it: crawlers by agent, data centres by address."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property, lru_cache
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple

from app.domain.formats.clients import is_plain_ipv4
from app.errors import SettingsError
from app.reports.crawlers import crawler_of, list_version

__all__ = ["ListFacts", "Lists", "is_watch_os", "listener_address", "open_lists"]

_DATA_CENTRES = Path(__file__).with_name("data_centres.tsv")
_PLAYERS_NAME = "players 1"
_PLAYERS = (r"^Overcast/.*podcast app\)",)
"""Agents of players that the list of crawlers takes for readers of feeds, because their maker has one."""
_MOST_ADDRESSES = 1 << 17
_PREFIX_V6 = 64
"""So many bits of an IPv6 address are those of a household; the others change by the hour."""


class ListFacts(NamedTuple):
    """Which list it was."""

    name: str
    """With its version."""
    sha256: str
    entries: int


class Lists(NamedTuple):
    """The lists at work."""

    is_crawler: Callable[[str], bool]
    """From a user agent."""
    is_data_centre: Callable[[str], bool]
    """From an address as it is logged."""
    facts: tuple[ListFacts, ...] = ()


def open_lists(data_centres: str | None = None) -> Lists:
    """The list of crawlers of the package crawler-user-agents without players, and a list of networks: the program's own, or that of a file.

    A line of it is a network or an address; behind a tab may stand whose. Raises SettingsError for a file that cannot be used.
    """
    networks, facts = _networks(Path(data_centres) if data_centres else _DATA_CENTRES)
    if data_centres:
        networks.has("")  # an odd line is told before anything is read
    is_player = re.compile("|".join(_PLAYERS)).search
    players = ListFacts(_PLAYERS_NAME, sha256("\n".join(_PLAYERS).encode()).hexdigest(), len(_PLAYERS))

    def is_crawler(agent: str) -> bool:
        return crawler_of(agent) is not None and is_player(agent) is None

    return Lists(is_crawler, networks.has, (_crawler_facts(), players, facts))


def _crawler_facts() -> ListFacts:
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    patterns = json.dumps([entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA], ensure_ascii=True)
    return ListFacts(list_version(), sha256(patterns.encode()).hexdigest(), len(CRAWLER_USER_AGENTS_DATA))


def _networks(path: Path) -> tuple[_Networks, ListFacts]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}; name a list of networks") from None
    name, found = path.name, []
    for number, line in enumerate(data.decode("utf-8", "backslashreplace").splitlines(), 1):
        text = line.partition("\t")[0].strip()
        if text.startswith("#") or not text:
            name = text.lstrip("# ") if number == 1 and text else name
            continue
        found.append((number, text))
    return _Networks(path, found), ListFacts(name, sha256(data).hexdigest(), len(found))


class _Networks:
    def __init__(self, path: Path, texts: list[tuple[int, str]]) -> None:
        """`texts`: with the numbers of their lines."""
        self._path, self._texts = path, texts
        self.has = lru_cache(maxsize=_MOST_ADDRESSES)(self._has)

    @cached_property
    def bounds(self) -> dict[int, list[tuple[int, int]]]:
        """First and last addresses by version; many, and not every count asks for them. Raises SettingsError."""
        found: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        ends = (
            (each.version, int(each.network_address), int(each.broadcast_address))
            for each in map(self._network, self._texts)
        )
        for version, first, last in sorted(ends):
            bounds = found[version]
            if bounds and first <= bounds[-1][1] + 1:
                bounds[-1] = (bounds[-1][0], max(bounds[-1][1], last))
            else:
                bounds.append((first, last))
        return found

    def _network(self, numbered: tuple[int, str]) -> IPv4Network | IPv6Network:
        number, text = numbered
        try:
            return ip_network(text, strict=False)
        except ValueError:
            raise SettingsError(
                f"{self._path}, line {number}: {text[:60]!r} is no network; write one as 192.0.2.0/24"
            ) from None

    def _has(self, text: str) -> bool:
        all_bounds = self.bounds
        if is_plain_ipv4(text):
            bounds, number = all_bounds[4], int.from_bytes(map(int, text.split(".")), "big")
        else:
            try:
                address = ip_address(text)
            except ValueError:
                return False
            address = (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
            bounds, number = all_bounds[address.version], int(address)
        at = bisect_right(bounds, (number, 1 << 128)) - 1
        return at >= 0 and number <= bounds[at][1]


@lru_cache(maxsize=_MOST_ADDRESSES)
def listener_address(text: str) -> str:
    """What of an address tells listeners apart: of IPv6 the first 64 bits.

    >>> listener_address("2001:db8:1:2:3::4"), listener_address("::ffff:192.0.2.7"), listener_address("192.0.2.7")
    ('2001:db8:1:2::/64', '192.0.2.7', '192.0.2.7')
    """
    if is_plain_ipv4(text):
        return text
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(IPv6Network((int(address), _PREFIX_V6), strict=False))
    return str(address)


def is_watch_os(agent: str) -> bool:
    """Whether an Apple Watch asks that copies what its phone has fetched: Apple's downloader on watchOS.

    >>> is_watch_os("atc/1.0 watchOS/7.0 model/Watch4,2"), is_watch_os("(null)/(null) watchOS/5.0.1"), is_watch_os("Overcast/3.0 watchOS")
    (True, True, False)
    """
    return "watchOS" in agent and agent.startswith(("atc/", "(null)/(null)", "Podcasts/"))
