"""Whether an address names the wrong one of http and https: no waiting mends that."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

__all__ = ["DEFAULT_PORT", "other_scheme"]

DEFAULT_PORT = 9200
_LOOK_S = 3.0
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")
"""What OpenSSL says where the other side does not speak TLS."""


async def other_scheme(address: str, failure: str) -> str:
    """The scheme that the server at an address speaks instead of its own; empty where that is not known. `failure`: the client's words."""
    parts = urlsplit(address)
    if parts.scheme == "https":
        return "http" if any(word in failure for word in _NO_TLS) else ""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only asked whether it speaks TLS
    try:
        async with asyncio.timeout(_LOOK_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or DEFAULT_PORT, ssl=context)
    except (OSError, TimeoutError):
        return ""
    writer.close()
    return "https"
