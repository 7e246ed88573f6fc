"""Which file a request asks for: the request without those parameters of its query that say nothing of the file.

The parameters of a signed address change with each request, so the parts of one download would be many deliveries.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

__all__ = ["KEEP", "QueryRule", "as_keys", "extension_of", "key_request", "may_change", "path_of", "query_rule"]

_SIGNING = frozenset(
    {
        "signature", "expires", "key-pair-id", "policy", "awsaccesskeyid", "googleaccessid", "keyname",
        "urlprefix", "ossaccesskeyid", "security-token", "token", "sig", "hdnea", "hdnts", "hdntl", "__token__",
        "__gda__", "auth_key", "verify", "cmcd",
    }
)  # fmt: skip
"""Parameters of signed addresses of Amazon, Google, Akamai, Fastly, Alibaba, Cloudflare and nginx, in lower case; and what a player
says of its playback with each request."""
_BESIDE_SIG = frozenset(
    {
        "se", "sp", "sv", "st", "sr", "spr", "sip", "ss", "srt", "skoid", "sktid", "skt", "ske", "sks", "skv",
        "saoid", "suoid", "scid", "sdd",
    }
)  # fmt: skip
"""Those of Azure. Their short names mean something else in a query without `sig`."""
_BESIDE_EXPIRES = frozenset({"md5"})
"""That of nginx's secure_link: nobody signs with it alone."""
_PREFIXES = ("x-amz-", "x-goog-", "x-oss-", "x-ms-")
_SIGNED = re.compile(
    rf"\?(?:[^\s\"]*?&)?(?:(?:{'|'.join(map(re.escape, sorted(_SIGNING)))})(?=[=&\s\"]|\Z)|{'|'.join(_PREFIXES)})".encode(),
    re.IGNORECASE,
)
"""Begins with a question mark."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_EXTENSION = re.compile(r".+\.([A-Za-z0-9_-]{1,16})")
_QUESTION_MARKS = 4
"""The agent before the request may have some."""


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
        beside: frozenset[str] = _BESIDE_SIG if "sig" in names else frozenset()
        if "expires" in names:
            beside |= _BESIDE_EXPIRES
        kept = [
            piece
            for piece, name in zip(pieces, names, strict=True)
            if not (name in _SIGNING or name.startswith(_PREFIXES) or name in beside)
        ]
    if len(kept) == len(pieces):
        return request
    return f"{path}?{'&'.join(kept)}" if kept else path


def as_keys(text: str, rule: QueryRule) -> list[str]:
    """What a joined key can be whose request may be signed: as given, and cut at each of its first question marks.

    >>> as_keys("::1_bot (?)_GET /a?sig=1", QueryRule("signed"))
    ['::1_bot (?)_GET /a?sig=1', '::1_bot (?)_GET /a']
    """
    found = [text]
    at = -1
    for _ in range(_QUESTION_MARKS):
        at = text.find("?", at + 1)
        if at < 0:
            break
        found.append(text[:at] + key_request(text[at:], rule))
    return list(dict.fromkeys(found))


def may_change(data: bytes, rule: QueryRule) -> bool:
    """Whether the rule may change a request in lines whose requests stand in them as they were asked: a quick look.

    >>> may_change(b"GET /design?v=1", query_rule("signed")), may_change(b"GET /a?Sig=1", query_rule("signed"))
    (False, True)
    """
    if rule.kind == "signed":
        at = data.find(b"?")
        while at >= 0:
            if _SIGNED.match(data, at):
                return True
            at = data.find(b"?", at + 1)
        return False
    return rule.kind != "keep" and b"?" in data


@lru_cache(maxsize=1 << 16)
def path_of(request: str | None) -> str | None:
    """The path that a request asks for, as logged: without method, host, query and fragment; None if it names none.

    >>> path_of("GET /a.mp3?x=1"), path_of("http://cdn.example/b%20c.jpg"), path_of("-"), path_of("OPTIONS *")
    ('/a.mp3', '/b%20c.jpg', None, None)
    """
    if request is None:
        return None
    method, space, target = request.partition(" ")
    if not space or not method.isalpha():
        target = request
    target = target.split("?", 1)[0].split("#", 1)[0]
    if not target.startswith("/"):
        host = _URL.match(target)
        if host is None:
            return None
        target = target[host.end() :] or "/"
    return target


def extension_of(request: str | None) -> str | None:
    """What stands behind the last dot of the last part of the path, in lower case; None if nothing does.

    >>> extension_of("GET /a/b.JPG?v=1.2"), extension_of("GET /a.b/c"), extension_of("GET /.env"), extension_of("GET /a.")
    ('jpg', None, None, None)
    """
    path = path_of(request)
    found = _EXTENSION.fullmatch(path.rpartition("/")[2]) if path else None
    return found[1].lower() if found else None
