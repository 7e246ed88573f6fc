"""Which file a request asks for: its text without what a signed address changes with every request."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

__all__ = ["QueryRule", "key_request", "query_rule"]

_SIGNING = frozenset(
    {
        "Signature", "signature", "Expires", "expires", "Key-Pair-Id", "Policy", "AWSAccessKeyId", "GoogleAccessId", "KeyName", "URLPrefix",
        "OSSAccessKeyId", "security-token", "token", "sig", "hdnea", "hdnts", "hdntl", "__token__", "__gda__", "auth_key", "verify",
    }
)  # fmt: skip
"""Parameters of signed addresses of Amazon, Google, Akamai, Fastly, Alibaba, Cloudflare and nginx."""
_SIGNING_BESIDE_SIG = frozenset(
    {
        "se",
        "sp",
        "sv",
        "st",
        "sr",
        "spr",
        "sip",
        "ss",
        "srt",
        "skoid",
        "sktid",
        "skt",
        "ske",
        "sks",
        "skv",
        "saoid",
        "suoid",
        "scid",
        "sdd",
    }
)
"""Those of Azure, whose short names mean something else where no `sig` stands beside them."""
_PREFIXES = ("x-amz-", "x-goog-", "x-oss-", "x-ms-")


class QueryRule(NamedTuple):
    """What of a query belongs to the file."""

    kind: str
    """keep, signed, drop or only."""
    names: frozenset[str] = frozenset()
    """Of `only`: the parameters that count."""


@lru_cache(maxsize=64)
def query_rule(text: str) -> QueryRule:
    """The rule of a setting's text: `keep`, `signed`, `drop` or `only:a,b`. Raises ValueError for anything else.

    >>> query_rule("only:v,id").kind
    'only'
    """
    if text in ("keep", "signed", "drop"):
        return QueryRule(text)
    kind, colon, names = text.partition(":")
    chosen = frozenset(name.strip() for name in names.split(",") if name.strip())
    if kind == "only" and colon and chosen:
        return QueryRule(kind, chosen)
    raise ValueError("write keep, signed, drop, or only: and the names of parameters, as in only:v,id")


def key_request(request: str, rule: QueryRule) -> str:
    """The request as the key of a delivery has it. Parameters that stay keep their order and spelling.

    >>> key_request("GET /a?v=2&X-Amz-Date=1&X-Amz-Signature=2", QueryRule("signed"))
    'GET /a?v=2'
    >>> key_request("GET /a?se=1&sig=2", QueryRule("signed")), key_request("GET /a?se=1", QueryRule("signed"))
    ('GET /a', 'GET /a?se=1')
    >>> key_request("GET /a?v=2&t=3", QueryRule("only", frozenset({"t"}))), key_request("GET /a?v=2", QueryRule("drop"))
    ('GET /a?t=3', 'GET /a')
    """
    if rule.kind == "keep" or "?" not in request:
        return request
    path, _, query = request.partition("?")
    if rule.kind == "drop":
        return path
    pieces = query.split("&")
    names = [piece.partition("=")[0] for piece in pieces]
    if rule.kind == "only":
        kept = [piece for piece, name in zip(pieces, names, strict=True) if name in rule.names]
    else:
        is_azure = "sig" in names
        kept = [piece for piece, name in zip(pieces, names, strict=True) if not _is_signing(name, is_azure)]
        if len(kept) == len(pieces):
            return request
    return f"{path}?{'&'.join(kept)}" if kept else path


def _is_signing(name: str, is_azure: bool) -> bool:
    return name in _SIGNING or name.lower().startswith(_PREFIXES) or (is_azure and name in _SIGNING_BESIDE_SIG)
