"""Secrets are masked before a record leaves its request: in queries, forms and JSON, and in texts that hold one of these."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote_plus

from app.errors import MASK

__all__ = ["READ_AT_MOST_BYTES", "Masking", "text_of"]

READ_AT_MOST_BYTES = 64 << 10
"""A longer body is left out: what is cut cannot be read, so nobody can tell what is secret in it."""
_PARTS = (
    "password", "passwd", "passphrase", "passcode", "secret", "token", "apikey", "accesskey", "privatekey", "authorization", "session",
    "cookie", "signature", "credential", "creditcard", "cardnumber", "ccnumber", "cvv", "cvc", "iban", "bearer", "assertion", "verifier",
    "securitycode", "recoverycode", "signingkey", "encryptionkey", "subscriptionkey", "licensekey", "masterkey", "hmac", "mnemonic",
    "csrf", "xsrf", "samlresponse", "samlart", "passwort", "kennwort", "pswd", "userpwd", "userpass", "socialsecurity",
)  # fmt: skip
_WORDS = {"pwd", "pw", "pass", "pin", "otp", "totp", "mfa", "jwt", "ssn"}
"""Secret as a word of a name, too: `user_pass`, `cardPin`."""
_WHOLE = {*_WORDS, "key", "sig", "auth", "code", "sid"}
_NAMES_REMEMBERED = _URIS_REMEMBERED = 1000
_LONGEST_REMEMBERED = 200
_PLAIN = re.compile(r"[^a-z0-9]+")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_LOGIN = re.compile(r"(?:(?<=://)|(?<=^//))[^/@\s?#]*@")
_SEPARATED = re.compile(r"([&;])")
_NAMED = re.compile(r"""(?<![\w.\[\]-])([\w.\[\]-]{1,200}+)(\\*["']?)\s*+([=:])""")
"""A name within a text, the quote behind it, and the sign before its value."""
_DECODED_AT_MOST = 3
"""So often a text is unpacked from percent signs: an address within an address within an address."""
_PAIRS = ("name", "key", "field")
"""{"name": "password", "value": …}"""


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
        self.is_secret = _remembered(self._is_secret)
        self.plain_uris: dict[str | bytes, str] = {}
        """URIs that were looked through and hold no secret, as they came and as text; at most 1,000 are remembered."""
        self._is_secret_in_query = _remembered(lambda name: self._is_secret(_decoded(name)))

    def _is_secret(self, name: str) -> bool:
        if not name.isascii():
            name = normalize("NFKC", name)
        plain = _PLAIN.sub("", name.lower())
        return (
            plain in self._whole
            or any(part in plain for part in _PARTS)
            or any(word.lower() in _WORDS for word in _WORD.findall(name))
        )

    def uri(self, uri: str | bytes) -> str:
        """Path and query; a login before a host is masked, too. Bytes are Latin-1."""
        text = text_of(uri)
        path, mark, query = text.partition("?")
        if "@" in path or "%" in path:
            path = _LOGIN.sub(f"{MASK}@", path)
            path = "/".join(MASK if "%" in part and _LOGIN.search(_decoded(part)) else part for part in path.split("/"))
        if ";" in path:
            path = "/".join(self._parameters(part) if ";" in part else part for part in path.split("/"))
        masked = f"{path}?{self.query(query)}" if mark else path
        if masked == text and len(text) <= _LONGEST_REMEMBERED:
            if len(self.plain_uris) >= _URIS_REMEMBERED:
                self.plain_uris.clear()
            self.plain_uris[uri] = text
        return masked

    def _parameters(self, part: str) -> str:
        """Of a part of a path: `cart;jsessionid=1`."""
        name, sign, rest = part.partition(";")
        return name + sign + self.query(rest)

    def query(self, query: str) -> str:
        """Of a URI, or a form; what is not secret stays as it is."""
        if ";" in query:
            return "".join(map(self._pair, _SEPARATED.split(query)))
        return "&".join(map(self._pair, query.split("&")))

    def _pair(self, pair: str) -> str:
        name, sign, value = pair.partition("=")
        if sign and self._is_secret_in_query(name):
            return f"{name}={MASK}"
        if not sign:
            return MASK if self._holds_a_secret(pair) else pair
        return f"{name}={MASK}" if self._holds_a_secret(value) else pair

    def _holds_a_secret(self, value: str) -> bool:
        if "%" not in value and "=" not in value and ":" not in value:
            return False
        inner = _decoded(value)
        return _LOGIN.search(inner) is not None or self._names_a_secret(inner)

    def _names_a_secret(self, text: str) -> bool:
        """Whether a text holds a secret with its name: another query, JSON, a head."""
        if "=" not in text and ":" not in text:
            return False
        for name, quote, sign in _NAMED.findall(text):
            # "key: up" in a search is no secret, "password: up" is
            if self.is_secret(name) and (sign == "=" or quote or _PLAIN.sub("", name.lower()) not in _WHOLE):
                return True
        return False

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
            named = {"value"} if any(self._is_secret_text(value.get(name)) for name in _PAIRS) else ()
            return {
                name: MASK if name in named or self.is_secret(name) else self._masked(inner)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self._masked(inner) for inner in value]
        return self._text(value) if isinstance(value, str) else value

    def _is_secret_text(self, value: Any) -> bool:
        return isinstance(value, str) and self.is_secret(value)

    def _text(self, text: str) -> str:
        decoded = _decoded(text) if "%" in text else text
        if self._names_a_secret(decoded) or (decoded != text and _LOGIN.search(decoded)):
            return MASK
        return _LOGIN.sub(f"{MASK}@", text) if "@" in text else text


def _remembered(is_secret: Callable[[str], bool]) -> Callable[[str], bool]:
    """A client makes up names of any length: long ones are not kept."""
    known = lru_cache(_NAMES_REMEMBERED)(is_secret)
    return lambda name: known(name) if len(name) <= _LONGEST_REMEMBERED else is_secret(name)


def _decoded(text: str) -> str:
    """Without percent signs, those within others as well."""
    for _ in range(_DECODED_AT_MOST):
        text, before = unquote_plus(text), text
        if text == before:
            break
    return text
