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
_FEWEST = 0.1
"""A shape counts, or a word in its place, if this share of the lines has it."""
_MOST_OTHERS = 0.2
"""Where more have rarer words in a place than this share, it has any word."""
_TELLING_WORDS = 20
"""Of fewer heads no word tells what may stand in its place: the number of a request is as common as the name of a logger."""
_MOST_WORDS = 100
_WORD = re.compile(r"[^\s\[\](){}|<>:,;=]+")
_BLANKS = re.compile(r"\s+")
_DIGITS = re.compile(r"[0-9]+")
_OF_TIMES = re.compile(
    r"(?<![a-z])(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?|(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?|[ap]m"
    r"|utc|gmt|bst|ist|we?s?t|[cem]es?t|[aceph][sd]t|m[sd]t|z)(?![a-z])",
    re.IGNORECASE,
)
"""Names of months, days, halves of a day and zones: what changes as time goes on."""
_LEVEL = re.compile(
    r"trace|debug|dbg|info(?:rmation)?|inf|notice|warn(?:ing)?|wrn|err(?:or)?|crit(?:ical)?|fatal|[tdiwef]|-",
    re.IGNORECASE,
)
_ANY_WORD = "*"


def shapes_of(heads: Iterable[str], lines: int) -> str:
    """The shapes of the heads that were found in so many lines, as text for `believes`; empty if none is common.

    >>> told = shapes_of([f"10:00:{n:02} INFO access - " for n in range(20)], 20)
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
    """What stands between the words, and the words: digits, names of times and levels as one."""
    words = [
        "INFO" if _LEVEL.fullmatch(word) else _OF_TIMES.sub("T", _DIGITS.sub("0", word)) for word in _WORD.findall(head)
    ]
    return _BLANKS.sub(" ", _WORD.sub(_ANY_WORD, head)), words


def _common(column: Iterable[str]) -> list[str]:
    """The words that are common in a place; ANY_WORD alone where others are common, too, or nothing is sure."""
    counts = Counter(column)
    total = counts.total()
    common = [word for word, count in counts.items() if count >= _FEWEST * total]
    is_sure = total >= _TELLING_WORDS and sum(counts[word] for word in common) >= (1 - _MOST_OTHERS) * total
    return sorted(common) if is_sure else [_ANY_WORD]


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
