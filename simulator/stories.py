"""What one visit of a client asks of one file: a list of requests, by a story drawn at random.

A request is a plain tuple (pause_s, status, lo, hi, sent, total, head): seconds since the request before it, HTTP
status, the range announced (inclusive; -1, -1 without one), body bytes sent, whole size (-1 where the line does not say),
and whether the method was HEAD.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

__all__ = ["STORIES", "Request", "Span", "cut", "pause_before_session", "tell"]

Request = tuple[int, int, int, int, int, int, bool]
Span = tuple[int, int]
"""(lo, hi), inclusive."""

_MOST_PIECES = 48
_DAY_S = 86_400


def cut(rng: Random, size: int) -> list[Span]:
    """The file cut into 1 to 48 pieces that lie side by side, mostly of one length as players ask for them."""
    count = min(size, _MOST_PIECES, 1 + int(rng.expovariate(1 / 6.5)))
    if rng.random() < 0.7:
        step = -(-size // count)
        return [(lo, min(lo + step, size) - 1) for lo in range(0, size, step)]
    starts = sorted({0, *(int(rng.random() * size) for _ in range(count - 1))})
    return [(lo, hi - 1) for lo, hi in zip(starts, [*starts[1:], size], strict=True)]


def _at_least(pieces: list[Span], count: int) -> list[Span]:
    """The same bytes in at least `count` pieces where their number of bytes allows it."""
    while len(pieces) < count:
        lo, hi = pieces.pop()
        middle = (lo + hi) // 2
        pieces += [(lo, middle), (middle + 1, hi)]
    return pieces


def _in_order(rng: Random, size: int) -> list[Span]:
    return cut(rng, size)


def _in_one(_: Random, size: int) -> list[Span]:
    return [(0, size - 1)]


def _reversed(rng: Random, size: int) -> list[Span]:
    return cut(rng, size)[::-1]


def _shuffled(rng: Random, size: int) -> list[Span]:
    pieces = cut(rng, size)
    rng.shuffle(pieces)
    return pieces


def _repeated(rng: Random, size: int) -> list[Span]:
    return [piece for piece in cut(rng, size) for _ in range(1 + (rng.random() < 0.35))]


def _overlapping(rng: Random, size: int) -> list[Span]:
    return [
        (max(0, lo - int(rng.random() * (hi - lo + 1))), min(size - 1, hi + int(rng.random() * 900)))
        for lo, hi in cut(rng, size)
    ]


def _shared_border(rng: Random, size: int) -> list[Span]:
    """Each piece begins with the last byte of the one before it: 0-289, 289-578 and so on."""
    return [(max(0, lo - 1), hi) for lo, hi in cut(rng, size)]


def _no_start(rng: Random, size: int) -> list[Span]:
    return _at_least(cut(rng, size), 2)[1:]


def _no_end(rng: Random, size: int) -> list[Span]:
    return _at_least(cut(rng, size), 2)[:-1]


def _no_middle(rng: Random, size: int) -> list[Span]:
    pieces = _at_least(cut(rng, size), 3)
    del pieces[1 + int(rng.random() * (len(pieces) - 2))]
    return pieces


def _holes(rng: Random, size: int) -> list[Span]:
    pieces = _at_least(cut(rng, size), 3)
    return [piece for piece in pieces if rng.random() < 0.7] or pieces[1:2]


def _probe(_: Random, __: int) -> list[Span]:
    return [(0, 1)]


def _probe_then_rest(rng: Random, size: int) -> list[Span]:
    return [(0, 1), *cut(rng, size)]


def _answered(spans: list[Span], rng: Random, size: int) -> list[Request]:
    """Each span asked for a few seconds after the one before it, and sent whole."""
    return [(int(rng.random() * 20), 206, lo, hi, hi - lo + 1, size, False) for lo, hi in spans]


def _whole(spans: list[Span], rng: Random, size: int, has_bytes: bool) -> list[Request]:
    """Answers 200; a log with a Content-Range column has none for them, and no size."""
    if has_bytes:
        return [(int(rng.random() * 20), 200, -1, -1, size, -1, False)]
    return [(int(rng.random() * 20), 200, lo, hi, hi - lo + 1, size, False) for lo, hi in spans]


def _cut_off(rng: Random, requests: list[Request], resumed: bool) -> list[Request]:
    """One answer breaks off before its end, sometimes before its first byte; `resumed`: its rest is asked for at once."""
    broken = int(rng.random() * len(requests))
    pause, status, lo, hi, sent, size, head = requests[broken]
    sent = 0 if rng.random() < 0.15 else int(rng.random() * sent)
    told = [*requests[:broken], (pause, status, lo, hi, sent, size, head)]
    if resumed:
        told.append((int(rng.random() * 60), status, lo + sent, hi, hi - lo + 1 - sent, size, head))
        told += requests[broken + 1 :]
    return told


def _refusal(rng: Random, size: int, lo: int, hi: int) -> Request:
    """An answer that must not be merged, though a lenient log may name a range for it."""
    status = (404, 416, 500, 206, 304, 403)[int(rng.random() * 6)]
    if status == 416:
        return (int(rng.random() * 9), 416, size, size + hi - lo, 0, size, False)
    if status == 206:
        return (int(rng.random() * 9), 206, lo, hi, 0, size, True)
    return (int(rng.random() * 9), status, lo, hi, 162, -1, False)


def _with_refusals(rng: Random, requests: list[Request], size: int) -> list[Request]:
    """Some pieces are refused first and then asked for again; sometimes the refused piece never comes."""
    told: list[Request] = []
    for request in requests:
        refused = rng.random() < 0.3
        if refused:
            told.append(_refusal(rng, size, request[2], request[3]))
        if not refused or rng.random() < 0.8:
            told.append(request)
    return told


def _size_changed(rng: Random, requests: list[Request], size: int) -> list[Request]:
    """The file is replaced by a longer one while it is fetched."""
    at = len(requests) // 2
    return requests[:at] + [(*request[:5], size + 1000, request[6]) for request in requests[at:]]


_SPANS: tuple[tuple[str, float, Callable[[Random, int], list[Span]]], ...] = (
    ("in_order", 22, _in_order),
    ("in_one", 3, _in_one),
    ("reversed", 5, _reversed),
    ("shuffled", 8, _shuffled),
    ("repeated", 7, _repeated),
    ("overlapping", 8, _overlapping),
    ("shared_border", 8, _shared_border),
    ("no_start", 6, _no_start),
    ("no_middle", 7, _no_middle),
    ("no_end", 6, _no_end),
    ("holes", 4, _holes),
    ("probe", 2, _probe),
    ("probe_then_rest", 3, _probe_then_rest),
    ("cut_off", 3, _in_order),
    ("cut_off_resumed", 2, _in_order),
    ("refusals", 5, _in_order),
    ("refused", 1, _in_order),
    ("whole", 1, _in_one),
    ("size_changed", 0.5, _in_order),
)
STORIES = tuple(name for name, _, _ in _SPANS)
_WEIGHTS = [weight for _, weight, _ in _SPANS]
_TABLE: list[int] = [number for number, weight in enumerate(_WEIGHTS) for _ in range(int(weight * 2))]


def tell(rng: Random, size: int, has_bytes: bool, story: str | None = None) -> list[Request]:
    """The requests of one visit for a file of `size` bytes (at least 16), by a story drawn at random or the one named.

    `has_bytes`: the log names body bytes, so that a transfer can be cut off and a size can change visibly.
    """
    name, _, spans_of = _SPANS[STORIES.index(story) if story else _TABLE[int(rng.random() * len(_TABLE))]]
    spans = spans_of(rng, size)
    if name == "whole":
        return _whole(spans, rng, size, has_bytes)
    if name == "refused":
        return [_refusal(rng, size, lo, hi) for lo, hi in spans]
    requests = _answered(spans, rng, size)
    if name == "refusals":
        return _with_refusals(rng, requests, size)
    if has_bytes and name in ("cut_off", "cut_off_resumed"):
        return _cut_off(rng, requests, name == "cut_off_resumed")
    if has_bytes and name == "size_changed":
        return _size_changed(rng, requests, size)
    return requests


def pause_before_session(rng: Random) -> int:
    """Seconds from the last request of a session to the first of the next: mostly over a day, at times on the very limit."""
    draw = rng.random()
    if draw < 0.15:
        return _DAY_S
    if draw < 0.3:
        return _DAY_S - 1
    return _DAY_S + int(rng.random() * _DAY_S)
