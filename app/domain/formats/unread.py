"""What a column that no format reads looks like, for the people who are told that it was passed over."""

from __future__ import annotations

import re

__all__ = ["looks_like"]

_LOOKS = [
    ("a request's Range, not the response's", re.compile(r"bytes ?[=:].*", re.IGNORECASE | re.DOTALL)),
    ("a Content-Range that is damaged or has another unit", re.compile(r"\w+ .{0,40}/(?:[0-9]+|\*)")),
    ("a request time", re.compile(r"[0-9]{1,9}\.[0-9]{1,9}(?:s|ms)?(?:, ?[0-9.]+)*")),
    ("a number", re.compile(r"[+-]?[0-9]+%?")),
    ("an address with its port", re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}:[0-9]{1,5}.*|\[[0-9A-Fa-f:.]+\]:[0-9]+")),
    ("more forwarded addresses", re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?:, ?[0-9A-Fa-f:.]+)*")),
    (
        "the state of a cache",
        re.compile(r"(?:HIT|MISS|BYPASS|EXPIRED|STALE|UPDATING|REVALIDATED|DYNAMIC|PASS)", re.IGNORECASE),
    ),
    ("a name of a request", re.compile(r"[0-9a-fA-F-]{16,64}")),
    ("a protocol of encryption", re.compile(r"(?:TLS|SSL)v?[0-9.]+")),
    ("a country", re.compile(r"[A-Z]{2}")),
    ("a host name", re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]+)?")),
]


def looks_like(text: str) -> str:
    """A phrase that follows `looks like`.

    >>> looks_like("0.003"), looks_like("bytes=0-499"), looks_like("free text")
    ('a request time', "a request's Range, not the response's", 'text')
    """
    return next((name for name, pattern in _LOOKS if pattern.fullmatch(text)), "text")
