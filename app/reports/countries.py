"""Countries of clients: addresses by a list that comes with the program or by a file, names by the addresses that DNS gives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from app.domain.formats.clients import is_plain_ipv4
from app.errors import SettingsError

__all__ = ["UNKNOWN", "Countries", "is_address", "resolved"]

UNKNOWN = "XX"
_CODE = re.compile("[A-Z]{2}")
_MOST_ADDRESSES = 1 << 18
_RESOLVER_THREADS = 32
_ANSWER_S = 3.0
"""A name that has no answer by then stays unknown."""


class Countries:
    """Looks up addresses. Raises SettingsError if `geoip` names no file that can be read."""

    def __init__(self, geoip: str = "") -> None:
        self.of = lru_cache(maxsize=_MOST_ADDRESSES)(self._of)
        """The code of an address's country by ISO 3166, `XX` for what is unknown or no address."""
        self._geoip = geoip
        self._reader: Any = None
        self._is_ipv4_only = False
        self.list_version = ""
        """Name and version, for the head of a report."""
        if not geoip:
            from importlib.metadata import version  # slow to load, and few questions need it

            self.list_version = f"iptocc {version('iptocc')}"
        else:
            import maxminddb

            try:
                self._reader = maxminddb.open_database(geoip)
                about = self._reader.metadata()
                built = datetime.fromtimestamp(about.build_epoch, UTC).date()
            except (OSError, OverflowError, ValueError, maxminddb.InvalidDatabaseError) as error:
                raise SettingsError(
                    f"{geoip}: cannot be read as a MaxMind database: {error}; name an .mmdb file"
                ) from None
            self._is_ipv4_only = about.ip_version == 4
            self.list_version = f"{about.database_type}, built {built}"

    def _of(self, address: str) -> str:
        if self._reader is None:
            import iptocc

            return iptocc.country_code(address) or UNKNOWN  # it knows what is no address, and finds out faster
        if not is_address(address) or (self._is_ipv4_only and ":" in address):
            return UNKNOWN
        try:
            found = self._reader.get(address)
        except Exception as error:  # whatever a damaged file makes of its reader
            raise SettingsError(f"{self._geoip}: is damaged: {error}; get the .mmdb file again") from error
        country = found.get("country") or found.get("registered_country") if isinstance(found, dict) else None
        code = country.get("iso_code") if isinstance(country, dict) else None
        return code if isinstance(code, str) and _CODE.fullmatch(code) else UNKNOWN


def is_address(text: str) -> bool:
    if is_plain_ipv4(text):
        return True
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def resolved(names: Iterable[str], most: int, server: tuple[str, int] | None = None) -> Mapping[str, str]:
    """The first address of each of at most `most` names, asked once each, 32 at a time; names without an answer are not there.

    `server`: address and port instead of those of this machine. If none of the first 32 names gets any answer, no more are asked.
    """
    from concurrent.futures import ThreadPoolExecutor

    import dns.exception
    import dns.resolver

    try:
        resolver = dns.resolver.Resolver(configure=server is None)
    except (dns.exception.DNSException, OSError):  # no server is configured
        return {}
    if server is not None:
        resolver.nameservers, resolver.port = [server[0]], server[1]
    resolver.timeout, resolver.lifetime = _ANSWER_S / 2, _ANSWER_S
    answered = False

    def address_of(name: str) -> str | None:
        nonlocal answered
        for kind in ("A", "AAAA"):
            try:
                address = str(next(iter(resolver.resolve(name, kind, search=False))))
            except dns.resolver.NoAnswer:
                answered = True
            except dns.resolver.NXDOMAIN:
                answered = True
                return None
            except (dns.exception.DNSException, OSError, UnicodeError):
                return None
            else:
                answered = True
                return address
        return None

    asked = list(dict.fromkeys(names))[:most]
    found: dict[str, str | None] = {}
    with ThreadPoolExecutor(_RESOLVER_THREADS) as threads:
        for at in range(0, len(asked), _RESOLVER_THREADS):
            some = asked[at : at + _RESOLVER_THREADS]
            found.update(zip(some, threads.map(address_of, some), strict=True))
            if not answered:
                break
    return {name: address for name, address in found.items() if address is not None}
