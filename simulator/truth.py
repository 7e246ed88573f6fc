"""The true deliveries of a simulated log, by brute force from the definitions.

It shares no code with the product's domain on purpose: bytes are marked one elementary interval after another, windows
are cut by reading the definitions aloud. It is slow for one delivery of very many hits, and fast enough for a log of many.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Shot", "WindowRule", "answers", "marked_ranges", "windows_of"]

_DAY_S = 86_400
_PROBE_HI = 1
_IN_FLIGHT = 8 * 1024 * 1024
"""This many bytes before the end of an answer that broke may never have arrived."""


class Shot(NamedTuple):
    """One response that counts: GET, status 200 or 206."""

    time: int
    lo: int
    """First byte announced, or -1 where the line names no range."""
    hi: int
    sent: int
    """Body bytes as logged, or -1 where the log has no such column."""
    total: int
    """Whole size as logged, or -1."""
    from_start: bool = False
    """A 200 without range: what was sent are the first bytes of the file."""


class WindowRule(NamedTuple):
    """How a key's hits are cut into deliveries."""

    window: str = "last_touch"
    length_s: float = 86_400.0


def windows_of(shots: list[Shot], rule: WindowRule) -> list[tuple[float, list[Shot]]]:
    """(window start, its hits) in order of time."""
    by_time = sorted(shots)
    if not by_time:
        return []
    if rule.window == "all":
        return [(0.0, by_time)]
    found: list[tuple[float, list[Shot]]] = []
    for shot in by_time:
        if rule.window == "day":
            start = float(shot.time // _DAY_S * _DAY_S)
            belongs = bool(found) and found[-1][0] == start
        elif rule.window == "first_touch":
            start = float(shot.time)
            belongs = bool(found) and shot.time < found[-1][0] + rule.length_s
        elif rule.window == "last_touch":
            start = float(shot.time)
            belongs = bool(found) and shot.time - found[-1][1][-1].time < rule.length_s
        else:
            raise ValueError(f"no window is named {rule.window!r}")
        if belongs:
            found[-1][1].append(shot)
        else:
            found.append((start, [shot]))
    return found


def marked_ranges(spans: list[tuple[int, int]]) -> list[list[int]]:
    """Which bytes the spans (inclusive) cover, as sorted runs: every elementary interval between their ends is marked."""
    ends = sorted({end for lo, hi in spans for end in (lo, hi + 1)})
    place = {end: number for number, end in enumerate(ends)}
    marks = bytearray(len(ends))
    for lo, hi in spans:
        first, behind = place[lo], place[hi + 1]
        marks[first:behind] = b"\1" * (behind - first)
    runs: list[list[int]] = []
    at = marks.find(1)
    while at >= 0:
        behind = marks.find(0, at)  # the last mark is never set: nothing begins at the greatest end
        runs.append([ends[at], ends[behind] - 1])
        at = marks.find(1, behind)
    return runs


def _holes(runs: list[list[int]], size: int) -> list[list[int]]:
    """What the runs leave out of 0..size-1."""
    holes = []
    expected = 0
    for lo, hi in runs:
        if lo > expected:
            holes.append([expected, lo - 1])
        expected = hi + 1
    if expected < size:
        holes.append([expected, size - 1])
    return holes


def answers(
    key: tuple[str, str, str], shots: list[Shot], rule: WindowRule, size: int = -1, in_flight: int = _IN_FLIGHT
) -> list[dict[str, Any]]:
    """Every delivery of one key. `size`: bytes of the whole file known from elsewhere, or -1; what the log names goes first."""
    return [_answer(key, start, inside, size, in_flight) for start, inside in windows_of(shots, rule)]


def _believed(shot: Shot) -> Shot:
    """A range that ends beyond the size in its own line contradicts itself: what was sent, which must be logged, is left."""
    if 0 <= shot.total <= shot.hi:
        return shot._replace(lo=-1, hi=-1, total=-1)
    return shot


def _answer(key: tuple[str, str, str], start: float, shots: list[Shot], size: int, in_flight: int) -> dict[str, Any]:
    shots = [_believed(shot) for shot in shots]
    totals = {shot.total for shot in shots if shot.total >= 0}
    total = size if not totals else totals.pop() if len(totals) == 1 else -1
    changed = bool(totals)
    sent_spans: list[tuple[int, int]] = []
    sure_spans: list[tuple[int, int]] = []
    sent_sum = 0
    cut_hi = named_to = sent_to = -1
    counted_only = has_starts = has_ranges = False
    for _, lo, hi, sent, _, from_start in shots:
        if from_start:
            has_starts = True
            lo, hi = 0, total - 1 if total >= 0 else -1
        elif lo < 0:
            counted_only = True
            sent_sum += sent
            continue
        else:
            has_ranges = True
        end = lo + sent - 1 if sent >= 0 else hi
        breaks = from_start if hi < 0 else end < hi
        sent_sum += hi - lo + 1 if sent < 0 else sent
        if breaks and hi >= 0:
            cut_hi = max(cut_hi, hi)
        end = end if breaks else hi
        sent_to = max(sent_to, end)
        if not from_start:
            named_to = max(named_to, end)
        sent_spans.append((lo, end))
        sure_spans.append((lo, end - in_flight if breaks else end))
    arrived, sure = (_runs(spans, total) for spans in (sent_spans, sure_spans))
    told = sent_to if named_to == sent_to else -1
    verdict, reason, evidence = (
        ("unknown", "size_changed", "ranges")
        if changed
        else _judge(sure, arrived, total, cut_hi, has_ranges, counted_only, has_starts, sent_sum, told)
    )
    end = total if total >= 0 else arrived[-1][1] + 1 if arrived else 0
    return {
        "ip_address": key[0],
        "user_agent": key[1],
        "request": key[2],
        "window_start": start,
        "ranges": sure,
        "missing": [] if counted_only else _holes(arrived, end),
        "covered_bytes": sum(hi - lo + 1 for lo, hi in sure),
        "total_bytes": total if total >= 0 else None,
        "size_known": total >= 0,
        "verdict": verdict,
        "evidence": evidence,
        "reason": reason,
        "hits": len(shots),
        "bytes_sent": sent_sum,
        "first": float(shots[0].time),
        "last": float(shots[-1].time),
    }


def _runs(spans: list[tuple[int, int]], total: int) -> list[list[int]]:
    if total >= 0:
        spans = [(lo, min(hi, total - 1)) for lo, hi in spans if lo < total]
    spans = [(lo, hi) for lo, hi in spans if hi >= lo]
    return marked_ranges(spans) if spans else []


def _judge(
    sure: list[list[int]],
    sent: list[list[int]],
    total: int,
    cut_hi: int,
    has_ranges: bool,
    counted_only: bool,
    has_starts: bool,
    sent_sum: int,
    told: int,
) -> tuple[str, str | None, str]:
    """Verdict, reason, evidence for hits that do not contradict each other about the size (-1: not known).

    `told`: the last byte sent of all if a range reaches it, else -1.
    """
    enough = total - 1 if total >= 0 else max(_PROBE_HI + 1, cut_hi, sent[-1][1] if sent else 0)
    if total >= 0 or (has_ranges and told >= enough):
        if _from_start_to(sure) >= enough:
            return "complete", None, "ranges"
        if _from_start_to(sent) >= enough:
            return "complete", None, "resumed"
    if total < 0 and (has_starts or counted_only):
        return "unknown", "size_unknown", "bytes"
    if counted_only:
        return ("partial", "not_enough_bytes", "bytes") if sent_sum < total else ("unknown", "no_offsets", "bytes")
    return "partial", _reason(sent, total, cut_hi, _from_start_to(sent)), "ranges"


def _from_start_to(runs: list[list[int]]) -> int:
    return runs[0][1] if len(runs) == 1 and runs[0][0] == 0 else -1


def _reason(runs: list[list[int]], total: int, cut_hi: int, from_start_to: int) -> str:
    if from_start_to < cut_hi:  # a cut answer's rest never came
        return "cut_off"
    if runs and runs[-1][1] <= _PROBE_HI:
        return "probe_only"
    if total < 0:
        return "start_missing" if len(runs) == 1 else "gap"
    if not runs or runs[0][0] > 0:
        return "start_missing"
    return "gap" if len(runs) > 1 else "end_missing"
