"""What a reduction tells people at its end."""

from __future__ import annotations

from collections import Counter

from app.reducing.job import Statistics
from app.words import COMPLETE_BY, REASONS, reason_label

__all__ = ["report_lines", "unread_notes"]

_ALWAYS = ("start_missing", "gap")
_MOST_NOTES = 8


def report_lines(statistics: Statistics) -> list[str]:
    """The lines, the hits, the deliveries, the bytes, the rate: a name and a number a line, details indented."""
    told: list[tuple[str, str]] = [
        ("lines", f"{statistics.lines:,}"),
        ("  head lines", f"{statistics.heads:,}"),
        ("  hits", f"{statistics.hits:,}"),
        ("    not counted", f"{statistics.hits - statistics.counted:,}"),
    ]
    if statistics.counted > statistics.merged:
        told.append(("    repeated, or beyond a limit", f"{statistics.counted - statistics.merged:,}"))
    told.append(("  rejects", f"{statistics.rejects.total():,}"))
    told += [(f"    {reason}", f"{count:,}") for reason, count in sorted(statistics.rejects.items())]
    told += _delivery_rows(statistics)
    told += [
        ("covered bytes", f"{statistics.covered_bytes:,}"),
        ("sent bytes", f"{statistics.sent_bytes:,}"),
        ("seconds", f"{statistics.seconds:.2f}"),
        ("lines/s", f"{statistics.lines / statistics.seconds:,.0f}" if statistics.seconds > 0 else "-"),
    ]
    name_width = max(len(name) for name, _ in told)
    number_width = max(len(number) for _, number in told)
    rows = [f"{name:<{name_width}}  {number:>{number_width}}" for name, number in told]
    return rows + [f"note: {note}" for note in (*statistics.notes, *unread_notes(statistics.unread))]


def unread_notes(unread: Counter[str]) -> list[str]:
    """What was passed over, the commonest first: a sentence with the number of lines."""
    shown = [
        f"{sentence} ({count:,} {'line' if count == 1 else 'lines'})"
        for sentence, count in unread.most_common(_MOST_NOTES)
    ]
    more = len(unread) - len(shown)
    return [*shown, f"{more:,} other kinds of columns were not read"] if more else shown


def _delivery_rows(statistics: Statistics) -> list[tuple[str, str]]:
    found = statistics.deliveries
    by_verdict = {
        verdict: sum(count for (one, _), count in found.items() if one == verdict)
        for verdict in ("complete", "partial", "unknown")
    }
    rows = [
        ("deliveries", f"{found.total():,}"),
        ("  complete", f"{by_verdict['complete']:,}"),
        *(
            (f"    {COMPLETE_BY.get(evidence, evidence)}", f"{count:,}")
            for evidence, count in sorted(statistics.complete.items())
            if evidence != "ranges"
        ),
        ("  partial", f"{by_verdict['partial']:,}"),
    ]
    rows += _reason_rows(statistics, "partial", _ALWAYS)
    if by_verdict["unknown"]:
        rows.append(("  unknown", f"{by_verdict['unknown']:,}"))
        rows += _reason_rows(statistics, "unknown", ())
    return rows


def _reason_rows(statistics: Statistics, verdict: str, always: tuple[str, ...]) -> list[tuple[str, str]]:
    found = {reason: count for (one, reason), count in statistics.deliveries.items() if one == verdict and reason}
    named = [reason for reason in REASONS if reason in found or reason in always]
    named += sorted(set(found) - set(REASONS))
    return [(f"    {reason_label(reason)}", f"{found.get(reason, 0):,}") for reason in named]
