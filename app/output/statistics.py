"""Statistics as rows of names and numbers: the same for `reduce`, `run`, `check` and the page."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.totals import Totals
from app.words import COMPLETE_BY, NOT_COUNTED, NOT_KNOWN_YET, REASONS, VERDICTS, reason_label, visible

__all__ = ["complete_rows", "delivery_rows", "hit_rows", "table_lines"]

_ALWAYS = ("start_missing", "gap")
"""Reasons that statistics name even if no delivery has them."""


def hit_rows(totals: Totals, repeated: int = 0) -> list[tuple[str, int | str]]:
    """Rows of statistics: names, indented below what they are part of, and numbers. `repeated`: hits that came again.

    >>> hit_rows(Totals(9, {"bad_time": 2}, {}, 8, 0, 0))
    [('hits', 9), ('  not counted', 1), ('rejects', 2), ('  bad_time', 2)]
    """
    other = NOT_KNOWN_YET if totals.not_merged is None else totals.not_merged - repeated
    rows: list[tuple[str, int | str]] = [("hits", totals.hits), (f"  {NOT_COUNTED}", other)]
    if repeated:
        rows.append(("  repeated, or beyond a limit", repeated))
    rows.append(("rejects", sum(totals.rejects.values())))
    return rows + [(f"  {visible(reason)}", count) for reason, count in sorted(totals.rejects.items())]


def delivery_rows(totals: Totals) -> list[tuple[str, int]]:
    """The rows that follow: deliveries by verdict, complete ones by evidence, the others by reason; bytes.

    >>> delivery_rows(Totals(9, {}, {("complete", None, "ranges"): 3, ("complete", None, "learned"): 2}, 8, 0, 0))[:3]
    [('deliveries', 5), ('  complete', 5), ('    of them by a learned size', 2)]
    """
    found = totals.deliveries
    rows = [("deliveries", sum(found.values()))]
    for verdict in (*VERDICTS, *sorted(set(found) - set(VERDICTS))):
        if verdict not in found and verdict not in ("complete", "partial"):
            continue
        rows.append((f"  {visible(verdict)}", found.get(verdict, 0)))
        if verdict == "complete":
            rows += [(f"    {label}", count) for label, count in complete_rows(totals)]
        rows += [(f"    {label}", count) for label, count in _reason_rows(totals, verdict)]
    return [*rows, ("covered bytes", totals.covered_bytes), ("sent bytes", totals.bytes_sent)]


def complete_rows(totals: Totals) -> list[tuple[str, int]]:
    """Complete deliveries by what they rest on, where that is not byte ranges alone."""
    found = {evidence: count for evidence, count in totals.complete.items() if evidence != "ranges"}
    named = [*(evidence for evidence in COMPLETE_BY if evidence in found), *sorted(set(found) - set(COMPLETE_BY))]
    return [(COMPLETE_BY.get(evidence, visible(evidence)), found[evidence]) for evidence in named]


def _reason_rows(totals: Totals, verdict: str) -> list[tuple[str, int]]:
    found = {reason: count for (one, reason), count in totals.reasons.items() if one == verdict and reason}
    named = [reason for reason in REASONS if reason in found or (verdict == "partial" and reason in _ALWAYS)]
    named += sorted(set(found) - set(REASONS))
    return [(reason_label(reason), found.get(reason, 0)) for reason in named]


def table_lines(rows: Sequence[tuple[str, int | str]]) -> list[str]:
    """Names to the left, numbers to the right.

    >>> table_lines([("lines", 1200), ("  hits", 3), ("seconds", "0.10")])
    ['lines    1,200', '  hits       3', 'seconds   0.10']
    """
    told = [(name, f"{number:,}" if isinstance(number, int) else number) for name, number in rows]
    name_width = max(len(name) for name, _ in told)
    number_width = max(len(number) for _, number in told)
    return [f"{name:<{name_width}}  {number:>{number_width}}" for name, number in told]
