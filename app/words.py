"""Every text that people read about a delivery or a producer of the usage log, and how numbers, times, ranges and hostile text are written. Pure.

Client, page, table, JSON and reports take their words from here, so that one fact has one text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from app.domain import byteranges
from app.domain.records import Delivery
from app.domain.times import iso

if TYPE_CHECKING:  # few answers are about calls
    from app.domain.usage.sequences import ProducerState

__all__ = [
    "COMPLETE_BY",
    "EVIDENCE",
    "NOT_COUNTED",
    "NOT_KNOWN_YET",
    "REASONS",
    "REJECTS",
    "SAME_LINES",
    "SENTENCE_RANGES",
    "VERDICTS",
    "Reason",
    "age_text",
    "bytes_text",
    "clocks_text",
    "complete_text",
    "condition_text",
    "count_text",
    "counted_text",
    "evidence_text",
    "excerpt",
    "hints",
    "json_text",
    "lost_text",
    "numbers_text",
    "ranges_text",
    "reason_label",
    "reason_text",
    "reject_text",
    "removed_folder_text",
    "removed_text",
    "resumed_text",
    "share_text",
    "size_text",
    "time_text",
    "unread_notes",
    "usage_counts",
    "usage_lines",
    "verdict_sentence",
    "visible",
    "waiting_text",
    "writable",
]

SAME_LINES = "the same lines are in another input"

VERDICTS = {
    "complete": "no byte is known to be missing",
    "partial": "bytes are missing",
    "unknown": "the log does not say",
}


class Reason(NamedTuple):
    """Why a delivery is not complete."""

    label: str
    """For a row of a table."""
    clause: str
    """For a sentence: `Not whole: …`."""


REASONS = {
    "start_missing": Reason("start missing", "the start is missing"),
    "gap": Reason("middle missing (gap)", "bytes in the middle are missing"),
    "end_missing": Reason("end missing", "the end is missing"),
    "probe_only": Reason("probe only", "the client asked for the first bytes only, to test the server"),
    "cut_off": Reason("cut off", "a response broke off, and nothing resumed it"),
    "not_enough_bytes": Reason("not enough bytes", "fewer bytes were sent than the file has"),
    "no_offsets": Reason("no offsets in the log", "the log counts bytes, but does not say which bytes they are"),
    "size_unknown": Reason("size unknown", "the log does not say how large the file is"),
    "announced": Reason("sent bytes not logged", "the log says what was answered, not what was sent"),
    "encoded": Reason(
        "compressed", "a response was compressed, or may have been, so its bytes are not those of the file"
    ),
    "ended_early": Reason(
        "ended early",
        "a response ended as it should, but with fewer bytes than the file has: perhaps it was another file",
    ),
    "in_flight": Reason(
        "broke at the end", "all was sent before the connection broke, but the end may not have arrived"
    ),
    "size_changed": Reason(
        "size changed meanwhile", "the log names different sizes of the file, or more was sent than it has"
    ),
    "fragmented": Reason("too many pieces", "there were more requests than are kept; what is listed did arrive"),
}
"""In the order of reports."""

_RESUMED = "Whole, if the client had received what was sent before the connection broke: bytes {doubtful}"
"""The sentence of a complete delivery with the evidence `resumed`; `{doubtful}`: ranges."""

_LEARNED = "Whole, if the file had {size}, as other lines of the log say"
"""The sentence of a complete delivery with the evidence `learned`; `{size}`: bytes in words."""
_LEARNED_SIZE = "; the file had {size}, as other lines of the log say"
"""What is added to the sentence of a partial one."""
SENTENCE_RANGES = 20
"""Ranges that a sentence names at most."""

EVIDENCE = {
    "ranges": "byte ranges",
    "resumed": "byte ranges, with bytes that were sent before a connection broke",
    "learned": "a size that other lines of the log name",
    "bytes": "byte counts",
}
"""What a verdict rests on, for people."""
COMPLETE_BY = {
    "resumed": "of them resumed after a broken response",
    "learned": "of them by a learned size",
    "bytes": "of them by byte counts",
}
"""Rows of statistics below the number of complete deliveries, if there are such."""
NOT_COUNTED = "not counted"
"""Hits that are in no delivery: only a GET with status 200 or 206 from a known client is."""
NOT_KNOWN_YET = "not known yet"
"""How many these are, while lines are being read."""

REJECTS = {
    "bad_client": "the client is not an address, a host name or -",
    "bad_columns": "the columns do not fit the format",
    "bad_range": "the byte range is not valid",
    "bad_status": "the status is not an integer from 100 to 599",
    "bad_time": "the time is missing, not valid, or more than a day ahead",
    "no_request": "the line has no request",
    "too_long": "the line is longer than the limit",
}

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def visible(text: str) -> str:
    r"""The text on one line: whatever moves a cursor, changes colours, turns the direction or shows nothing is escaped.

    >>> print(visible("a\tb\x1b[2J\u202ec"))
    a\x09b\x1b[2J\u202ec
    """
    if text.isprintable():
        return text
    return "".join([character if character.isprintable() else _escape(character) for character in text])


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def writable(text: str) -> str:
    r"""The text with lone surrogates escaped (JSON logs can hold them), so that UTF-8 can carry it.

    >>> writable("Büro \ud800")
    'Büro \\ud800'
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def json_text(value: Any) -> str:
    """The value as ASCII JSON: halves of surrogate pairs stay encodable; JSON has no infinity and no NaN, null stands for them.

    >>> json_text({"last": float("inf"), "request": "GET /ü"})
    '{"last": null, "request": "GET /\\\\u00fc"}'
    """
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return value


def excerpt(text: str, length: int = 120) -> str:
    """At most `length` characters: the beginning and the end, for a list.

    >>> excerpt("abcdefghij", 7)
    'abcd…ij'
    """
    if len(text) <= length:
        return text
    tail = length // 3
    return f"{text[: length - tail - 1]}…{text[len(text) - tail :]}"


def size_text(size: int | None) -> str:
    """A size with its decimal unit (1 kB = 1000 B), cut and not rounded up; any size of integer.

    >>> size_text(1157), size_text(999), size_text(None), size_text(10**19), size_text(10**40)
    ('1.15 kB', '999 B', '–', '10.0 EB', '1e40 B')
    """
    if size is None:
        return "–"
    digits = str(size)
    power = (len(digits) - 1) // 3
    if power >= len(_UNITS):
        return f"{digits[0]}e{len(digits) - 1} B"
    if power == 0:
        return f"{size} B"
    hundredths = size * 100 // 1000**power
    whole, rest = divmod(hundredths, 100)
    decimals = {1: f".{rest:02d}", 2: f".{rest // 10}"}.get(len(str(whole)), "")
    return f"{whole:,}{decimals} {_UNITS[power]}"


def bytes_text(count: int) -> str:
    """An exact number of bytes in a sentence.

    >>> bytes_text(1), bytes_text(18358)
    ('1 byte', '18,358 bytes')
    """
    return counted_text(count, "byte")


def count_text(number: float | None) -> str:
    """Digits in groups of three.

    >>> count_text(1234567), count_text(None), count_text(1234.5)
    ('1,234,567', '–', '1,234')
    """
    return "–" if number is None else f"{int(number):,}"


def counted_text(number: int, noun: str) -> str:
    """A number and what it counts.

    >>> counted_text(1, "delivery"), counted_text(2000, "message"), counted_text(2, "entry"), counted_text(3, "loss")
    ('1 delivery', '2,000 messages', '2 entries', '3 losses')
    """
    return f"{count_text(number)} {noun if number == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def waiting_text(number: int, noun: str = "message") -> str:
    """What waits.

    >>> waiting_text(1), waiting_text(2000), waiting_text(0, "notice")
    ('1 message waits', '2,000 messages wait', '0 notices wait')
    """
    return f"{counted_text(number, noun)} {'waits' if number == 1 else 'wait'}"


def share_text(part: int, whole: int) -> str:
    """Percent: 100 % and 0 % are said only of all and of none.

    >>> share_text(999_999, 1_000_000), share_text(1, 1), share_text(0, 5), share_text(1, 5000), share_text(3, 0)
    ('99.9 %', '100 %', '0 %', '0.1 %', '–')
    """
    if whole == 0:
        return "–"
    if part in (0, whole):
        return "100 %" if part else "0 %"
    permille = min(max(part * 1000 // whole, 1), 999)
    return f"{permille / 10:.1f} %"


def time_text(seconds: float | None) -> str:
    """UTC, to the second; a time that no calendar holds is given in seconds.

    >>> time_text(1596214967.0), time_text(None), time_text(1e30)
    ('2020-07-31 17:02:47', '–', '1e+30 s')
    """
    if seconds is None:
        return "–"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g} s"


def age_text(seconds: float) -> str:
    """A span of time in one or two units.

    >>> age_text(5.4), age_text(125), age_text(7260), age_text(200_000)
    ('5 s', '2 min 5 s', '2 h 1 min', '2 d 7 h')
    """
    left = max(int(seconds), 0)
    if left < 60:
        return f"{left} s"
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if left >= size:
            return f"{left // size} {unit} {left % size // smaller} {name}"
    raise AssertionError(left)


def ranges_text(ranges: Sequence[Sequence[int]], limit: int | None = None) -> str:
    """Ranges as people write them, at most `limit`.

    >>> ranges_text([[0, 499], [1000, 1200]]), ranges_text([[0, 1], [3, 4], [6, 7]], 1), ranges_text([])
    ('0-499, 1000-1200', '0-1 and 2 more', 'none')
    """
    if not ranges:
        return "none"
    text = byteranges.to_text(ranges[:limit])
    return text if limit is None or len(ranges) <= limit else f"{text} and {len(ranges) - limit:,} more"


def reason_label(reason: str | None) -> str:
    """A reason as a row of a table names it; a reason from elsewhere is its own text.

    >>> reason_label("gap"), reason_label("other"), reason_label(None)
    ('middle missing (gap)', 'other', '')
    """
    return REASONS[reason].label if reason in REASONS else visible(reason or "")


def reason_text(verdict: str, reason: str | None) -> str:
    """Why deliveries have a verdict, as a clause.

    >>> reason_text("complete", None), reason_text("partial", "gap")
    ('no byte is known to be missing', 'bytes in the middle are missing')
    """
    if reason is None:
        return VERDICTS.get(verdict, visible(verdict))
    return REASONS[reason].clause if reason in REASONS else visible(reason)


def evidence_text(evidence: str) -> str:
    """What a verdict rests on; evidence from elsewhere is its own text.

    >>> evidence_text("bytes"), evidence_text("other")
    ('byte counts', 'other')
    """
    return EVIDENCE.get(evidence, visible(evidence))


def complete_text(complete: Mapping[str, int]) -> str:
    """What complete deliveries rest on, from their numbers by evidence; empty if there are none.

    >>> complete_text({"ranges": 1200, "learned": 3})
    'Complete: 1,200 by byte ranges, 3 by a learned size.'
    """
    named = {"ranges": "by byte ranges"} | {name: label.removeprefix("of them ") for name, label in COMPLETE_BY.items()}
    names = [*named, *sorted(set(complete) - set(named))]
    parts = [f"{count_text(complete[name])} {named.get(name, visible(name))}" for name in names if complete.get(name)]
    return f"Complete: {', '.join(parts)}." if parts else ""


def resumed_text(doubtful: Sequence[Sequence[int]], limit: int | None = None) -> str:
    """The sentence of a complete delivery with the evidence `resumed`, without its full stop; at most `limit` ranges.

    >>> resumed_text([[0, 399]])
    'Whole, if the client had received what was sent before the connection broke: bytes 0-399'
    """
    return _RESUMED.format(doubtful=ranges_text(doubtful, limit))


def condition_text(evidence: str) -> str | None:
    """Under which condition complete deliveries with this evidence are whole, for many of them at once; None if there is none.

    >>> condition_text("resumed"), condition_text("ranges")
    ('Whole, if the client had received what was sent before the connection broke', None)
    """
    if evidence == "resumed":
        return _RESUMED.partition(": ")[0]
    return _LEARNED.format(size="this total") if evidence == "learned" else None


def verdict_sentence(delivery: Delivery, window: str = "") -> str:
    """The verdict with its reason: one sentence, the same in client, page, table and JSON. `window`: a clause that says which window."""
    learned = delivery.evidence == "learned"
    if delivery.verdict == "complete":
        if delivery.evidence == "resumed":
            return f"{resumed_text(delivery.doubtful, SENTENCE_RANGES)}{window}."
        size = bytes_text(delivery.covered_bytes if delivery.total_bytes is None else delivery.total_bytes)
        if learned:
            return f"{_LEARNED.format(size=size)}{window}."
        lost = "" if delivery.size_known else "; the log does not name its size, so a missing end would not show"
        return f"Whole: all {size} of the file arrived{window}{lost}."
    head = "Not whole" if delivery.verdict == "partial" else "Unknown"
    why = reason_text(delivery.verdict, delivery.reason) if delivery.reason else "no reason is given"
    missing = byteranges.covered(byteranges.normalise((lo, hi) for lo, hi in delivery.missing))
    names = missing and delivery.evidence in ("ranges", "learned")
    lacks = f"; {bytes_text(missing)} {'is' if missing == 1 else 'are'} missing" if names else ""
    lacks += _LEARNED_SIZE.format(size=bytes_text(delivery.total_bytes or 0)) if learned else ""
    return f"{head}: {why}{window}{lacks}."


_SERVER_PAGE = "docs/how-to/configure-your-server.md"
_HINTS = {
    "size_unknown": "This log names neither ranges nor sizes.",
    "no_offsets": "This log names no ranges.",
    "announced": "This log says what was answered, not what was sent.",
    "encoded": "Responses were compressed, or the log does not say whether they were.",
    "ended_early": "Responses ended as they should, but with fewer bytes than the file has: another file, a broken one, or compressed.",
    "in_flight": "Connections broke after all was sent: the end may not have arrived.",
    "size_changed": "The log names different sizes of the same file, or more was sent than the file has.",
    "fragmented": "There were more requests for a file than are kept.",
}
"""Why most deliveries are unknown, by the commonest reason."""
_CURES = {
    "size_unknown": "Run: python -m app reduce {files} --learn-sizes, or log Content-Range: " + _SERVER_PAGE,
    "no_offsets": "Log Content-Range: " + _SERVER_PAGE,
    "announced": "Log the bytes that were sent, and how a response ended: " + _SERVER_PAGE,
    "encoded": "Log Content-Encoding: " + _SERVER_PAGE,
    "ended_early": "Give the sizes of today's files, and log at the server that has them: " + _SERVER_PAGE,
    "in_flight": "Log how a response ended: " + _SERVER_PAGE,
    "size_changed": "Run: python -m app reduce {files} --window day, so that each day is judged by itself.",
    "fragmented": "Run: python -m app reduce {files} --window day, so that a delivery has fewer requests.",
}
_LEARNED_ALREADY = "Log Content-Range: " + _SERVER_PAGE + ", or give the sizes: docs/how-to/true-sizes.md"


def hints(reasons: Mapping[tuple[str, str | None], int], files: str = "FILE", sizes_learned: bool = False) -> list[str]:
    """Why more than half of the deliveries are unknown, and what to do next: two lines, or none.

    `reasons`: deliveries by verdict and reason. `files`: the log as a shell takes it. `sizes_learned`: it was read for sizes already.

    >>> hints({("unknown", "size_unknown"): 2, ("complete", None): 1}, "a.log")[1]
    'Run: python -m app reduce a.log --learn-sizes, or log Content-Range: docs/how-to/configure-your-server.md'
    >>> hints({("unknown", "size_unknown"): 2, ("complete", None): 2})
    []
    """
    unknown = {reason: count for (verdict, reason), count in reasons.items() if verdict == "unknown" and count}
    if 2 * sum(unknown.values()) <= sum(reasons.values()):
        return []
    reason = max(sorted(unknown, key=str), key=lambda name: unknown[name]) or ""
    if reason not in _HINTS:
        return []
    cure = _LEARNED_ALREADY if sizes_learned and reason == "size_unknown" else _CURES[reason].format(files=files)
    return [_HINTS[reason], cure]


def reject_hints(rejects: Mapping[str, int], hits: int, files: str = "FILE") -> list[str]:
    """Why more than half of the lines are no hits, and what to do next: two lines, or none.

    `rejects`: lines by the reason why they are none. `files`: the log as a shell takes it.

    >>> reject_hints({"bad_columns": 2, "bad_time": 1}, 1, "a.log")[0]
    '3 of 4 lines are no hits, most of them because the columns do not fit the format.'
    >>> reject_hints({"bad_columns": 2}, 2)
    []
    """
    found = sum(rejects.values())
    if found <= hits:
        return []
    most = max(sorted(rejects), key=lambda reason: rejects[reason])
    return [
        f"{found:,} of {found + hits:,} lines are no hits, most of them because {REJECTS.get(most, visible(most))}.",
        f"Run: python -m app parse {files} | head, which says of each line what is wrong; with --format auto it finds the format.",
    ]


_MOST_NOTES = 8


def unread_notes(unread: Mapping[str, int]) -> list[str]:
    """What was passed over, the commonest first: a sentence with the number of lines."""
    shown = [
        f"{sentence} ({count:,} {'line' if count == 1 else 'lines'})"
        for sentence, count in sorted(unread.items(), key=lambda item: -item[1])[:_MOST_NOTES]
    ]
    more = len(unread) - len(shown)
    return [*shown, f"{more:,} other kinds of columns were not read"] if more else shown


def lost_text(group: str, topic: str, partition: int, first: int, last: int) -> str:
    """What is said of messages that cannot be read any more.

    >>> lost_text("weblogs", "votes", 0, 7, 9)
    'Messages 7 to 9 of votes/0 (3) were not read by group weblogs: they were deleted, or its offset was moved beyond them.'
    """
    return (
        f"Messages {first} to {last} of {topic}/{partition} ({last - first + 1:,}) were not read by group {group}:"
        " they were deleted, or its offset was moved beyond them."
    )


def clocks_text(own: float, broker: str, brokers: float) -> str:
    """What is said of two clocks that do not agree; both in UTC seconds.

    >>> clocks_text(1596214967.0, "kafka://a", 1596214367.0)
    "This machine's clock says 2020-07-31 17:02:47 UTC, that of kafka://a 2020-07-31 16:52:47 UTC: it is 10 min 0 s ahead. Set it right."
    """
    apart = f"{age_text(abs(own - brokers))} {'ahead' if own > brokers else 'behind'}"
    return f"This machine's clock says {time_text(own)} UTC, that of {broker} {time_text(brokers)} UTC: it is {apart}. Set it right."


def removed_text(what: object) -> str:
    """What is said when somebody has removed what a worker works on."""
    return (
        f"{what} is gone: somebody removed it while the worker ran, and with it what was not stored yet. Start the same command again, and"
        " send the logs again."
    )


def removed_folder_text(folder: object) -> str:
    """What is said when somebody has removed the data folder of a worker on Kafka."""
    return (
        f"the data folder {folder} is gone: somebody removed it while the worker ran. The next start reads the state from Kafka;"
        " if the store was in the folder, too, run `python -m app repair` then."
    )


def reject_text(reason: str) -> str:
    """Why a line is no hit; a reason of a store is its own text."""
    return REJECTS.get(reason, "refused by a store")


def numbers_text(ranges: byteranges.Ranges) -> str:
    """Numbers of records, inclusive.

    >>> numbers_text(((5, 6), (9, 9), (11, 11)))
    '5-6, 9 and 11'
    """
    texts = [str(lo) if lo == hi else f"{lo}-{hi}" for lo, hi in ranges]
    return " and ".join(part for part in (", ".join(texts[:-1]), *texts[-1:]) if part)


def usage_counts(states: Sequence[ProducerState], length_s: int) -> list[list[str]]:
    """How many records each place holds of what was made in each hour (or day), by producer; the head first. UTC."""
    from app.domain.usage.sequences import in_parts

    sides = [held.side for held in states[0].held] if states else []
    rows = [["from", "producer", "made", *sides]]
    for state in states:
        counts = [in_parts(state.made_by_hour, length_s), *(in_parts(held.by_hour, length_s) for held in state.held)]
        rows += [
            [iso(start), visible(state.producer), *(f"{each.get(start, 0):,}" for each in counts)]
            for start in sorted({start for each in counts for start in each})
        ]
    return rows


def usage_lines(state: ProducerState) -> list[str]:
    """What is known of one producer: what it dropped, what each side lacks or holds wrongly, the counts, the end."""
    name = visible(state.producer)
    lines = [f"{name} dropped {numbers_text(ranges)}: {visible(why)}" for why, ranges in state.dropped.items()]
    if state.after_stop:
        lines.append(f"{name} {numbers_text(state.after_stop)} after its stop record: two processes share a start id")
    for held in state.held:
        named = {"missing": held.missing, "doubled": held.doubled, "checksum wrong": held.altered}
        lines += [f"{held.side}: {name} {what} {numbers_text(ranges)}" for what, ranges in named.items() if ranges]
        lines += [f"{held.side}: {name} order {late.earlier} before {late.seq}" for late in held.late_named]
        if more := byteranges.covered(held.late) - len(held.late_named):
            lines.append(f"{held.side}: {name} order wrong for {more:,} more")
        if held.on_the_way:
            lines.append(f"{held.side}: {name} on the way {numbers_text(held.on_the_way)}")
        if held.undecided:
            lines.append(f"{held.side}: {name} order of {numbers_text(held.undecided)} unknown: too many users")
    for held in state.held:
        is_told = held.side != "topic" or held.missing or held.altered or held.on_the_way or held.records >= held.of
        rest = "" if is_told else "; the others are no longer in the topic"
        lines.append(f"{held.side}: {name} {held.records:,} of {held.of:,}{rest}")
    if state.tail is not None:
        limit = (
            "no bound is known" if state.tail.at_most is None else f"at most {state.tail.at_most:,} beside its spool"
        )
        lines.append(f"tail of {name} unknown after {state.tail.after:,}: no stop record, {limit}")
    return lines
