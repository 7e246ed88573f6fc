"""Deliveries for the tests of the writers."""

from __future__ import annotations

from typing import Any

from app.domain.records import Delivery


def delivery(**changes: Any) -> Delivery:
    """A plain one, with some fields changed."""
    plain = Delivery(
        ip_address="10.0.0.1",
        user_agent="curl/8",
        request="GET /a",
        window_start=1596213967.0,
        first=1596213967.0,
        last=1596213968.5,
        ranges=[[0, 499], [1000, 1200]],
        missing=[[500, 999], [1201, 1999]],
        covered_bytes=701,
        total_bytes=2000,
        size_known=True,
        verdict="partial",
        evidence="ranges",
        reason="gap",
        hits=3,
        bytes_sent=712,
        flags=["cut_off"],
        hit_ids=["00ff"],
        final=False,
        version=24,
        superseded_by=None,
        doubtful=[],
    )
    return plain._replace(**changes)


HOSTILE_TEXTS = (
    "tab\there, newline\nthere, return\rtoo, backslash \\t \\\\",
    "quote \" and ; and , and ' and `",
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "http://example.org/?a=b",
    "nul \x00 bell \x07 escape \x1b[31m red \x85 \ufffe",
    "Büro, 音楽, 🎧",
    "lone \ud800 surrogate",
    "<r>looks like & rich text</r>",
    "_x0041_ escaped?",
    " spaces around ",
    "",
    "true",
    "[bold]markup[/bold] :smile:",
)
