"""What is wrong with the address of Elasticsearch, or with who asks it, in words for who set them."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from app.errors import SettingsError, StoreRefused
from app.settings import PREFIX, Settings

__all__ = ["not_let_in", "refuse_settings", "wrong_address"]

_LOOK_S = 3.0
_NAME = f"{PREFIX}ELASTICSEARCH_"
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")
"""What OpenSSL says where the other side does not speak TLS."""
_NO_PATH = ("index_not_found_exception", "invalid_index_name_exception", "no handler found", "Incorrect HTTP method")
"""How Elasticsearch itself begins to say that it has nothing at a path."""


def refuse_settings(own: Settings) -> None:
    """Raises SettingsError for settings that no connection can use."""
    parts, url = [urlsplit(host) for host in own.elasticsearch_hosts], f"{_NAME}URL={own.elasticsearch_url!r}"
    if not parts or any(each.scheme not in ("http", "https") or not each.hostname for each in parts):
        raise SettingsError(f"{url}: write http://HOST:PORT or https://HOST:PORT, commas between")
    if any(each.query or each.fragment for each in parts):
        raise SettingsError(f"{url}: write it without what follows ? or #")
    if own.elasticsearch_user and own.elasticsearch_api_key:
        raise SettingsError(f"{_NAME}USER and {_NAME}API_KEY are both set: it is either a user or an API key")
    if own.elasticsearch_ca and not Path(own.elasticsearch_ca).is_file():
        raise SettingsError(f"{_NAME}CA={own.elasticsearch_ca!r}: there is no such file")


async def wrong_address(own: Settings, told: str, reached: bool) -> StoreRefused | None:
    """The error that says what to write instead, by what the server that was `reached`, else the client, told.

    None where waiting may mend it.
    """
    hosts = own.elasticsearch_hosts
    paths = [path for host in hosts if (path := urlsplit(host).path.strip("/"))]
    if reached:
        if not paths or not told.startswith(_NO_PATH):
            return None
        where = ", ".join(hosts)
        return StoreRefused(
            f"Elasticsearch answers at {where}, but not below the path /{paths[0]}: write {_NAME}URL without it"
        )
    for host in hosts:
        if scheme := await _other_scheme(host, told):
            return StoreRefused(f"What answers at {host} speaks {scheme}: write {scheme}:// in {_NAME}URL")
    return None


def not_let_in(own: Settings, status: int, reason: str, doing: str) -> StoreRefused | None:
    """The error that says which user or right is missing, by the server's status and reason."""
    where = ", ".join(own.elasticsearch_hosts)
    if status == 401:
        user, key = own.elasticsearch_user, own.elasticsearch_api_key
        who = f"the user {user!r}" if user else "the API key" if key else "a request without a user"
        return StoreRefused(
            f"Elasticsearch at {where} refuses {who}: set {_NAME}USER and {_NAME}PASSWORD, or {_NAME}API_KEY, to what it knows"
        )
    if status == 403 and reason.startswith("security_exception"):
        return StoreRefused(f"Elasticsearch at {where} does not allow us to {doing} it: {reason}; grant it")
    return None


async def _other_scheme(address: str, failure: str) -> str:
    """The one of http and https that the server speaks instead: no waiting mends that; empty if it is not known. `failure`: the client's words."""
    parts = urlsplit(address)
    if parts.scheme == "https":
        return "http" if any(word in failure for word in _NO_TLS) else ""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only asked whether it speaks TLS
    try:
        async with asyncio.timeout(_LOOK_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
    except (OSError, TimeoutError):
        return ""
    writer.close()
    return "https"
