"""Secrets are masked before a record leaves its request: in queries, forms and JSON, nested."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

from app.errors import MASK

__all__ = ["READ_AT_MOST_BYTES", "Masking", "text_of"]

READ_AT_MOST_BYTES = 64 << 10
"""A longer body is left out: what is cut cannot be read, so nobody can tell what is secret in it."""
_PARTS = (
    "password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey", "authorization", "session", "cookie",
    "signature", "credential", "cardnumber", "cvv", "cvc", "iban",
)  # fmt: skip
_WHOLE = {"pwd", "pass", "key", "sig", "auth", "pin", "otp", "code", "jwt", "sid", "ssn"}
_NAMES_REMEMBERED = _URIS_REMEMBERED = 1000
_LONGEST_REMEMBERED = 200
_PLAIN = re.compile(r"[^a-z0-9]+")
_LOGIN = re.compile(r"(?:(?<=://)|(?<=^//))[^/@\s?#]*@")


def text_of(uri: str | bytes) -> str:
    """Bytes of a URI as Latin-1, as servers read them."""
    return uri if isinstance(uri, str) else uri.decode("latin-1")


class Masking:
    """Which names are secret. A name is compared in small letters, without signs: `X-Api-Key` is `xapikey`.

    >>> Masking(["customer"]).query("q=shoes&user[password]=1234&Customer=7")
    'q=shoes&user[password]=(secret)&Customer=(secret)'
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._whole = _WHOLE | {_PLAIN.sub("", name.lower()) for name in names}
        self.is_secret = lru_cache(_NAMES_REMEMBERED)(self._is_secret)
        self.plain_uris: dict[str | bytes, str] = {}
        """URIs that were looked through and hold no secret, as they came and as text; at most 1,000 are remembered."""
        self._is_secret_in_query = lru_cache(_NAMES_REMEMBERED)(lambda name: self._is_secret(unquote_plus(name)))

    def _is_secret(self, name: str) -> bool:
        plain = _PLAIN.sub("", name.lower())
        return plain in self._whole or any(part in plain for part in _PARTS)

    def uri(self, uri: str | bytes) -> str:
        """Path and query; a login before a host is masked, too. Bytes are Latin-1."""
        text = text_of(uri)
        path, mark, query = text.partition("?")
        if "@" in path:
            path = _LOGIN.sub(f"{MASK}@", path)
        masked = f"{path}?{self.query(query)}" if mark else path
        if masked == text and len(text) <= _LONGEST_REMEMBERED:
            if len(self.plain_uris) >= _URIS_REMEMBERED:
                self.plain_uris.clear()
            self.plain_uris[uri] = text
        return masked

    def query(self, query: str) -> str:
        """Of a URI, or a form; what is not secret stays as it is."""
        return "&".join(
            f"{name}={MASK}" if sign and self._is_secret_in_query(name) else pair
            for pair in query.split("&")
            for name, sign, _ in [pair.partition("=")]
        )

    def body(self, content_type: str, body: bytes, chars: int) -> str | None:
        """JSON or a form, masked, then cut; None for any other body, and for one that cannot be read."""
        kind = content_type.partition(";")[0].strip().lower()
        try:
            text = body.decode()
            if kind == "application/json" or kind.endswith("+json"):
                text = json.dumps(self._masked(json.loads(text)), ensure_ascii=False)
            elif kind == "application/x-www-form-urlencoded":
                text = self.query(text)
            else:
                return None
        except (ValueError, RecursionError):
            return None
        return text[:chars]

    def _masked(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: MASK if self.is_secret(name) else self._masked(inner) for name, inner in value.items()}
        return [self._masked(inner) for inner in value] if isinstance(value, list) else value
