"""Which file a request asks for: the request without those parameters of its query that say nothing of the file.

The parameters of a signed address change with each request, so the parts of one download would be many deliveries.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

__all__ = ["KEEP", "QueryRule", "key_request", "may_change", "query_rule"]

_SIGNING = frozenset(
    [
        "signature",
        "expires",
        "key-pair-id",
        "policy",
        "awsaccesskeyid",
        "googleaccessid",
        "keyname",
        "urlprefix",
        "ossaccesskeyid",
        "security-token",
        "token",
        "sig",
        "hdnea",
        "hdnts",
        "hdntl",
        "__token__",
        "__gda__",
        "auth_key",
        "verify",
    ]
)
"""Parameters of signed addresses of Amazon, Google, Akamai, Fastly, Alibaba, Cloudflare and nginx, in lower case."""
_BESIDE_SIG = frozenset(
    [
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
    ]
)
"""Those of Azure. Their short names mean something else in a query without `sig`."""
_PREFIXES = ("x-amz-", "x-goog-", "x-oss-", "x-ms-")
_MARKS = tuple(name.encode() for name in sorted(_SIGNING) + list(_PREFIXES))
"""One of them is in any line that the rule `signed` changes."""


class QueryRule(NamedTuple):
    """What of a query belongs to the file."""

    kind: str
    """keep, signed, drop or only."""
    names: frozenset[str] = frozenset()
    """Of `only`: the parameters that count."""


KEEP = QueryRule("keep")


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
        names = [name.lower() for name in names]
        is_azure = "sig" in names
        kept = [
            piece
            for piece, name in zip(pieces, names, strict=True)
            if not (name in _SIGNING or name.startswith(_PREFIXES) or (is_azure and name in _BESIDE_SIG))
        ]
    if len(kept) == len(pieces):
        return request
    return f"{path}?{'&'.join(kept)}" if kept else path


def may_change(data: bytes, rule: QueryRule) -> bool:
    """Whether the rule may change a request in these lines: a quick look, so that most chunks are read without it.

    >>> may_change(b"GET /a?v=1", query_rule("signed")), may_change(b"GET /a?Sig=1", query_rule("signed"))
    (False, True)
    """
    if rule.kind != "signed":
        return rule.kind != "keep"
    lower = data.lower()
    return any(mark in lower for mark in _MARKS)
