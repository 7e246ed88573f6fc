"""Hits and tallies for the tests beside this file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from app.domain.deliveries import describe
from app.domain.parts import part_of
from app.domain.proof import Proof
from app.domain.records import Delivery, HitFlag, Parsed
from app.domain.tallies import Tally

KEY = ("203.0.113.9", "curl/8", "GET /a")
ABORTED, ENDED, HEADERS_COUNTED = HitFlag.ABORTED, HitFlag.ENDED, HitFlag.HEADERS_COUNTED

FLAGS = [
    int(some)
    for some in (
        HitFlag.ABORTED,
        HitFlag.ENDED,
        HitFlag.HEADERS_COUNTED,
        HitFlag.HEADERS_COUNTED | HitFlag.ABORTED,
        HitFlag.HEADERS_COUNTED | HitFlag.HTTP2,
        HitFlag.ANNOUNCED,
        HitFlag.ANNOUNCED | HitFlag.ABORTED,
        HitFlag.ANNOUNCED | HitFlag.ENDED,
        HitFlag.HTTP2 | HitFlag.ABORTED,
        HitFlag.ENCODED,
        HitFlag.PLACELESS,
    )
]
"""What lines say of their responses."""

USUAL = Proof()


def hit(
    lo: int | None = None,
    hi: int | None = None,
    *,
    sent: int | None = None,
    total: int | None = None,
    flags: int = 0,
    time: float = 0.0,
    status: int = 206,
    method: str | None = "GET",
    request: str = KEY[2],
) -> Parsed:
    """One hit of the one key, unless it names another request."""
    return Parsed(time, *KEY[:2], request, method, status, lo, hi, sent, total, flags)


def tally_of(hits: Sequence[Parsed]) -> Tally:
    """What hits of one window come to; each is another line."""
    tally = Tally(min((one.time for one in hits), default=0.0))
    for number, one in enumerate(hits):
        part = part_of(one, number)
        if part is not None:
            tally.add(part)
    return tally


def delivery_of(*hits: Parsed, size: int | None = None, proof: Proof = USUAL) -> Delivery:
    """The delivery that hits of one window make."""
    return describe(KEY, tally_of(hits), size, proof=proof)


def few_clients(
    numbers: st.SearchStrategy[int], lengths: st.SearchStrategy[int], totals: st.SearchStrategy[int]
) -> st.SearchStrategy[tuple[Any, ...]]:
    """Hits of two clients and one file within 90 seconds; `numbers` are first bytes and bytes sent. Not all count."""
    return st.builds(
        lambda time, client, status, method, lo, length, has_range, sent, total, flags: (
            float(time), client, "agent", "GET /a" if method else None, method, status,
            lo if has_range else None, lo + length if has_range else None, sent, total, flags, {},
        ),
        st.integers(0, 90),
        st.sampled_from(["10.0.0.1", "10.0.0.2", None]),
        st.sampled_from([200, 206, 206, 404]),
        st.sampled_from(["GET", "GET", "HEAD", None]),
        numbers,
        lengths,
        st.booleans(),
        st.one_of(st.none(), numbers),
        st.one_of(st.none(), totals),
        st.sampled_from([0, 0, *FLAGS]),
    )  # fmt: skip
