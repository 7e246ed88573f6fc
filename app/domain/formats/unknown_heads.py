"""Heads of unknown loggers: of which shape those of one file are, by its first lines. A text that a client had logged has another.

What stands behind a head of another shape is no line: else a client could write one, where an application logs its agent
bare at the end of a line of its own.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["ANY", "believes", "shapes_of"]

ANY = "any"
"""In place of shapes: every head is passed over."""
_FEWEST = 0.2
"""A shape counts, or a word in its place, if this share of the lines has it."""
_MOST_WORDS = 100
_WORD = re.compile(r"[^\s\[\](){}|<>:,;=]+")
_BLANKS = re.compile(r"\s+")
_DIGITS = re.compile(r"[0-9]+")
_LEVEL = re.compile(
    r"trace|debug|dbg|info(?:rmation)?|inf|notice|warn(?:ing)?|wrn|err(?:or)?|crit(?:ical)?|fatal|[tdiwef]|-",
    re.IGNORECASE,
)
_ANY_WORD = "*"


def shapes_of(heads: Iterable[str], lines: int) -> str:
    """The shapes of the heads that were found in so many lines, as text for `believes`; empty if none is common.

    >>> told = shapes_of([f"10:00:0{n} INFO access - " for n in range(9)], 9)
    >>> believes(told, "11:12:13 WARN access - "), believes(told, "11:12:13 INFO agent - ")
    (True, False)
    """
    alike: defaultdict[str, list[list[str]]] = defaultdict(list)
    for head in heads:
        form, words = _cut(head)
        if len(words) <= _MOST_WORDS:
            alike[form].append(words)
    shapes = {
        form: [_common(column) for column in zip(*found, strict=True)]
        for form, found in sorted(alike.items())
        if len(found) >= _FEWEST * lines
    }
    return json.dumps(shapes) if shapes else ""


def believes(told: str, head: str) -> bool:
    """Whether a head is passed over. `told`: what shapes_of gave, or ANY; empty: none is."""
    if told in ("", ANY):
        return told == ANY
    form, words = _cut(head)
    places = _decoded(told).get(form)
    return places is not None and all(
        place == [_ANY_WORD] or word in place for word, place in zip(words, places, strict=True)
    )


def _cut(head: str) -> tuple[str, list[str]]:
    """What stands between the words, and the words: digits and levels as one."""
    words = ["INFO" if _LEVEL.fullmatch(word) else _DIGITS.sub("0", word) for word in _WORD.findall(head)]
    return _BLANKS.sub(" ", _WORD.sub(_ANY_WORD, head)), words


def _common(column: Iterable[str]) -> list[str]:
    """The words that are common in a place; ANY_WORD alone where most are none of these."""
    counts = Counter(column)
    common = [word for word, count in counts.items() if count >= _FEWEST * counts.total()]
    return sorted(common) if sum(counts[word] for word in common) >= (1 - _FEWEST) * counts.total() else [_ANY_WORD]


@lru_cache(maxsize=64)
def _decoded(told: str) -> dict[str, list[list[str]]]:
    """Empty for what is none: a header of a message may say anything."""
    try:
        found = json.loads(told)
    except (ValueError, RecursionError):
        return {}
    return {
        form: places
        for form, places in (found.items() if isinstance(found, dict) else ())
        if isinstance(places, list)
        and len(places) == form.count(_ANY_WORD)
        and all(isinstance(one, list) for one in places)
    }
