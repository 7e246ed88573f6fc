"""What a line says under names that no format has: keys of JSON, or columns. It makes no download whole: it keeps one from being called whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from app.domain.formats.endings import ending_of_field
from app.domain.records import HitFlag

__all__ = ["Unnamed", "are_unnamed", "said_elsewhere", "status_elsewhere"]

_ABORTED = int(HitFlag.ABORTED)
_DEEPEST = 2
"""Objects within objects that are looked into."""
_MOST_KEYS = 500
"""Of a line and its objects together. No server writes so many: a client made them up."""
_MOST_CHARS = 2048
_STATUS_NAME = re.compile(
    r".*status.*|(?:.*(?:http|resp|response|answer|result|return|ret))?[_-]?code", re.IGNORECASE | re.DOTALL
)
_STATUS = re.compile(r"[1-5][0-9]{2}")
_OUT = "(?:sent|send|out|served|written|transfer+ed|delivered|downstream|download(?:ed)?|egress|tx|resp|response|reply|body)"
_UNIT = "(?:bytes?|octets|size|length)"
_THOUSANDS = re.compile(r".*(?:kb|kib|kbytes|kilobytes)")
_NAMES = {
    "bytes": re.compile(rf"(?!.*(?:req|rec(?:v|eiv)|upload|upstream|read|head|chunk|min|max|limit)).*(?:{_OUT}(?:{_UNIT}|k(?:i?b|bytes|ilobytes))|{_UNIT}.*{_OUT})|tx|sent|out|egress"),
    "broke": re.compile(
        r".*(?<!not)(?<!non)(?:abort(?:ed)?|disconnect(?:ed)?|broken|cancell?ed|incomplete|interrupted|timedout|hungup)"
    ),
    "whole": re.compile(
        r"(?!.*(?:auth|log[io]n|signin|cache|captcha|challenge|verif|handshake|purge)).*(?:completed?|finished|success(?:ful)?)"
    ),
    "words": re.compile(r".*(?:result|state|outcome|reason|termination|ending|errors?|err|exception)(?:message|msg|text|code|details?)?"),
}  # fmt: skip
_OF_A_CLIENT = re.compile("header|quer|param|cookie|(?<![a-z])args?(?![a-z])", re.IGNORECASE)
"""Objects whose keys a client makes up: they say nothing of the response, and many keys would cost much time."""
_COUNT = re.compile(
    r"([0-9]{1,18}|[0-9]{1,3}(?:[,'_ ][0-9]{3}){1,5})(?:\.([0-9]{1,9}))?(?:e\+?([0-9]{1,2}))? ?(?:([kmgt]?)i?b?|bytes?|octets)",
    re.IGNORECASE,
)
"""A number, perhaps as people read it: `1,234`, `4.9 MB`, `400 bytes`."""
_YES, _NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0", ""})


class Unnamed(NamedTuple):
    """What stands in a line."""

    broke: bool
    """The response broke off."""
    bytes_sent: int | None
    """The least number that may count the bytes sent."""


def are_unnamed(keys: tuple[str, ...]) -> bool:
    """Whether one of these keys of a line may say something here."""
    return len(keys) > _MOST_KEYS or bool(_asked("", keys))


def said_elsewhere(record: dict[str, Any]) -> Unnamed:
    """What the line's own keys and those of objects in it say, whose texts and numbers are texts.

    Of more keys than a server writes nothing is read, and nothing is proof: 0 bytes.
    """
    broke, counts, keys = False, [], 0
    objects = [("", record, _DEEPEST)]
    for parent, inside, depth in objects:
        keys += len(inside)
        if keys > _MOST_KEYS:
            return Unnamed(broke, 0)
        for key, kind in _asked(parent, tuple(inside)):
            value = inside[key]
            text = str(value).strip() if isinstance(value, str | bool) else None
            if text is None:
                continue
            if kind != "bytes":
                broke = broke or _SAYS_BROKEN[kind](text)
            elif found := _COUNT.fullmatch(text):
                counts.append(_most(found, bool(_THOUSANDS.fullmatch(key.lower()))))
        if depth and dict in map(type, inside.values()):
            objects += [
                (f"{parent}{key}", value, depth - 1)
                for key, value in inside.items()
                if isinstance(value, dict) and not _OF_A_CLIENT.search(key)
            ]
    return Unnamed(broke, min(counts, default=None))


def _most(found: re.Match[str], in_thousands: bool) -> int:
    """The most bytes that a number may stand for which was rounded to a unit."""
    whole, fraction, exponent, unit = found.groups(default="")
    scale = 1024 ** ("kmgt".index(unit.lower()) + 1) if unit else 1000 if in_thousands else 1
    number = int(re.sub("[^0-9]", "", whole) + fraction)
    if unit:
        number += 1
    return number * scale * 10 ** int(exponent or 0) // 10 ** len(fraction)


_SAYS_BROKEN: dict[str, Callable[[str], bool]] = {
    "broke": lambda text: text.lower() in _YES,
    "whole": lambda text: text.lower() in _NO,
    # two letters may be a country
    "words": lambda text: len(text) > 2 and bool(ending_of_field(text) & _ABORTED),
}


def _asked(parent: str, keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The keys that may say something, and what. `parent`: the keys that lead to them."""
    # what is remembered is bounded, whatever keys a client makes up
    return (_remembered if len(parent) + sum(map(len, keys)) <= _MOST_CHARS else _looked_up)(parent, keys)


def _looked_up(parent: str, keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    named = ((key, re.sub(r"[_.\s-]", "", f"{parent}{key}").lower()[-64:]) for key in keys)
    return tuple(
        (key, kind)
        for key, name in named
        if (kind := next((kind for kind, pattern in _NAMES.items() if pattern.fullmatch(name)), None)) is not None
    )


_remembered = lru_cache(maxsize=4096)(_looked_up)


def status_elsewhere(record: dict[str, Any], depth: int = _DEEPEST) -> str | None:
    """A status under a name that is not known: a line that has one is no 200 because of that."""
    for name, value in record.items():
        if isinstance(value, str) and _STATUS.fullmatch(value) and _STATUS_NAME.fullmatch(name):
            return value
        if isinstance(value, dict) and depth and (found := status_elsewhere(value, depth - 1)) is not None:
            return found
    return None
