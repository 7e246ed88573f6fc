"""How the client prints its answer: for people and as JSON. Texts from logs come out with control characters escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from app.client.answer import Answer, AskedBytes, Exit, doubtful_of, ranges_of
from app.domain import byteranges
from app.domain.coverage import coverage_signs
from app.domain.records import Delivery, Hit, key_text
from app.stores.contract import Key
from app.words import (
    SENTENCE_RANGES,
    bytes_text,
    counted_text,
    json_text,
    ranges_text,
    reason_text,
    resumed_text,
    time_text,
    verdict_sentence,
    visible,
)

__all__ = ["answer_json", "answer_text", "error_json", "keys_json", "keys_text"]

BAR_CELLS = 50
SHOWN_RANGES = 20
SHOWN_KEYS = 20


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def sentence(answer: Answer) -> str:
    """The answer in one sentence."""
    delivery = answer.decider
    if delivery is None:
        if answer.exit is Exit.NOTHING_KNOWN:
            return "Nothing known: no log line and no delivery has this key."
        return f"Unknown: {answer.hits_total:,} log lines have this key, but no delivery was made of them (yet)."
    window = (
        f" in the window that starts {time_text(delivery.window_start)} UTC"
        if answer.older or len(answer.deliveries) > 1
        else ""
    )
    if answer.part is not None:
        return _sentence_of_part(answer, answer.part, delivery, window)
    return verdict_sentence(delivery, window)


def _sentence_of_part(answer: Answer, part: AskedBytes, delivery: Delivery, window: str) -> str:
    name = f"bytes {part.lo}-{part.hi}"
    if answer.exit is Exit.WHOLE:
        unsure = byteranges.intersect(doubtful_of(delivery), ((part.lo, part.hi),))
        if unsure:
            return f"{resumed_text(unsure, SENTENCE_RANGES)}{window}."
        return f"Whole: {name} arrived{window}."
    if answer.exit is Exit.UNKNOWN:
        return f"Unknown: whether {name} arrived cannot be told{window}: {_why(delivery)}."
    if delivery.total_bytes is not None and part.hi >= delivery.total_bytes:
        return f"Not whole: {name} did not arrive{window}: the file ends with byte {delivery.total_bytes - 1}."
    return f"Not whole: {bytes_text(byteranges.covered(answer.missing))} of {name} did not arrive{window}."


def _why(delivery: Delivery) -> str:
    return reason_text(delivery.verdict, delivery.reason) if delivery.reason else "no reason is given"


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines)])


def _hit_line(hit: Hit) -> str:
    asked = "no range" if hit.lo is None else f"{hit.lo}-{hit.hi}"
    sent = "" if hit.bytes_sent is None else f", {bytes_text(hit.bytes_sent)} sent"
    as_logged = "" if hit.logged_request is None else f", logged as {visible(hit.logged_request)}"
    return f"{time_text(hit.time)}  {hit.status}  {asked}{sent}{as_logged}"


def _delivery_lines(delivery: Delivery) -> list[str]:
    arrived = (
        f"{bytes_text(delivery.covered_bytes)}, size unknown"
        if delivery.total_bytes is None
        else f"{delivery.covered_bytes:,} of {bytes_text(delivery.total_bytes)}"
    )
    reason = f", {visible(delivery.reason)}" if delivery.reason else ""
    flags = f", {visible(', '.join(delivery.flags))}" if delivery.flags else ""
    return [
        f"{time_text(delivery.first)} to {time_text(delivery.last)}: {visible(delivery.verdict)}{reason} (by {visible(delivery.evidence)}{flags})",
        f"  arrived {ranges_text(delivery.ranges, SHOWN_RANGES)}: {arrived}, {counted_text(delivery.hits, 'hit')}",
    ]


def answer_text(answer: Answer, given: str) -> str:
    """For people."""
    key = answer.key
    if key is None:
        return f"Key        {visible(given)}\n\n{sentence(answer)}\n"
    blocks = [f"IP address {visible(key[0])}\nUser agent {visible(key[1])}\nRequest    {visible(key[2])}"]
    more = answer.hits_total - len(answer.hits)
    hits = [*map(_hit_line, answer.hits), *([f"… and {more:,} more"] if more > 0 else [])]
    blocks.append(_section(f"Raw hits: {answer.hits_total:,}", hits))
    older = f" (newest window; {answer.older:,} older: --all-windows)" if answer.older else ""
    shown = [line for delivery in answer.deliveries for line in _delivery_lines(delivery)]
    blocks.append(_section(f"Reduced deliveries: {len(answer.deliveries):,}{older}", shown))
    what = "that are whole" if answer.part is None else f"that contain bytes {answer.part.lo}-{answer.part.hi}"
    lines = [line for delivery in answer.containing for line in _delivery_lines(delivery)]
    blocks.append(_section(f"Deliveries {what}: {len(answer.containing):,}", lines))
    if answer.decider is not None:
        blocks.append(_coverage(answer, answer.decider))
    blocks.append(sentence(answer))
    return "\n\n".join(blocks) + "\n"


def _coverage(answer: Answer, delivery: Delivery) -> str:
    ranges = ranges_of(delivery)
    if delivery.is_counted and not ranges:
        size = "" if delivery.total_bytes is None else f" of {delivery.total_bytes:,}"
        return f"Missing    not known; {_number(delivery.bytes_sent)}{size} bytes sent"
    lo, hi = answer.part or (
        0,
        (delivery.total_bytes or 0) - 1 if delivery.total_bytes else ranges[-1][1] if ranges else -1,
    )
    bar = f"Coverage   [{coverage_signs(ranges, lo, hi, BAR_CELLS)}] {lo}-{hi}\n" if hi >= lo else ""
    doubtful = doubtful_of(delivery)
    if answer.part is not None:
        doubtful = byteranges.intersect(doubtful, ((answer.part.lo, answer.part.hi),))
    told = f"\nIn doubt   {ranges_text(doubtful, SHOWN_RANGES)}" if doubtful else ""
    return f"{bar}Missing    {ranges_text(answer.missing, SHOWN_RANGES)}{told}"


def keys_text(keys: Sequence[Key]) -> str:
    """The list where a joined key fits several."""
    lines = [
        f"-i {visible(ip)!r} -u {visible(agent)!r} -r {visible(request)!r}" for ip, agent, request in keys[:SHOWN_KEYS]
    ]
    if len(keys) > SHOWN_KEYS:
        lines.append(f"… and {len(keys) - SHOWN_KEYS:,} more")
    return _section(f"{len(keys):,} keys are written like this when joined; ask for one of them:", lines) + "\n"


def _dump(value: Any) -> str:
    return json_text(value) + "\n"


def answer_json(answer: Answer, given: str) -> str:
    """One object. `whole` is true, false or null: not known."""
    whole = {Exit.WHOLE: True, Exit.NOT_WHOLE: False}.get(answer.exit)
    delivery = answer.decider
    names = dict(zip(("ip_address", "user_agent", "request"), answer.key or (None, None, None), strict=True))
    return _dump(
        {
            "key": key_text(*answer.key) if answer.key else given,
            **names,
            "asked": answer.part._asdict() if answer.part else None,
            "verdict": delivery.verdict if delivery else None,
            "whole": whole,
            "reason": delivery.reason if delivery else None,
            "evidence": delivery.evidence if delivery else None,
            "missing": answer.missing,
            "sentence": sentence(answer),
            "deliveries": [one._asdict() for one in answer.deliveries],
            "older_deliveries": answer.older,
            "containing": [one._asdict() for one in answer.containing],
            "hits": [hit._asdict() for hit in answer.hits],
            "hits_total": answer.hits_total,
        }
    )


def keys_json(keys: Sequence[Key]) -> str:
    """Where a joined key fits several: each in its parts."""
    return _dump({"keys": [dict(zip(("ip_address", "user_agent", "request"), key, strict=True)) for key in keys]})


def error_json(message: str) -> str:
    """Where the store did not answer."""
    return _dump({"error": message})
