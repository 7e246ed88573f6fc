"""Common Media Client Data (CTA-5004): what a player says of its playback, in the query of a request or in headers of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["CMCD", "CMCD_PREFIX", "Key", "cmcd_of_query", "read_cmcd"]

CMCD_PREFIX = "cmcd_"
_LONGEST, _LONGEST_TEXT, _MOST_PAIRS = 8192, 128, 64
_NUMBER = re.compile(r"[0-9]{1,12}")
_DECIMAL = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")
_TOKEN = re.compile(r"[A-Za-z0-9.-]{1,32}")
_PAIR = re.compile(r'([A-Za-z0-9.-]{1,64})(?:=("(?:[^"\\]|\\.)*"|[^,"]*))?(?:,|\Z)', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_QUERY = re.compile(r"[?&]CMCD=([^&#\s]*)")


class Key(NamedTuple):
    """One key of the standard."""

    what: str
    read: Callable[[str], str | None]
    """From its text to its value; None for what is none."""
    column: str
    """What CloudFront's real-time log calls it."""


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: text if pattern.fullmatch(text) else None


def _text(text: str) -> str | None:
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return None
    inside = _ESCAPED.sub(r"\1", text[1:-1])
    return inside if 0 < len(inside) <= _LONGEST_TEXT else None


def _flag(text: str) -> str | None:
    return "true" if text in ("", "true") else "false" if text == "false" else None


_whole, _token = _matching(_NUMBER), _matching(_TOKEN)
CMCD = {
    "bl": Key("what the player had in its buffer, in milliseconds", _whole, "buffer-length"),
    "br": Key("bit rate of the object, in kilobits a second", _whole, "encoded-bitrate"),
    "bs": Key("`true`: the buffer ran empty since the last request", _flag, "buffer-starvation"),
    "cid": Key("the content", _text, "content-id"),
    "d": Key("length of the object, in milliseconds", _whole, "object-duration"),
    "mtp": Key("throughput that the player measured, in kilobits a second", _whole, "measured-throughput"),
    "ot": Key("kind of the object: `v` video, `a` audio, `av` both, `m` manifest, `i` beginning, `c` subtitles, `k` key, `o` other", _token, "object-type"),
    "pr": Key("speed of playback, 1 if it is not said", _matching(_DECIMAL), "playback-rate"),
    "sf": Key("`h` HLS, `d` DASH, `s` Smooth, `o` other", _token, "streaming-format"),
    "sid": Key("the playback", _text, "session-id"),
    "st": Key("`v` on demand, `l` live", _token, "stream-type"),
    "su": Key("`true`: the object is needed at once, to begin or to go on", _flag, "startup"),
    "tb": Key("highest bit rate of the content, in kilobits a second", _whole, "top-bitrate"),
}  # fmt: skip
"""The keys that are kept. As optional fields they are named `cmcd_br` and so on."""


def read_cmcd(text: str) -> dict[str, str]:
    """The keys of CMCD in a text, by the names of the optional fields; what is none of them, or no value, is passed over.

    >>> read_cmcd('br=3200,bs,mtp=x,sid="6e2f",nrr="1-2",d=4004')
    {'cmcd_br': '3200', 'cmcd_bs': 'true', 'cmcd_sid': '6e2f', 'cmcd_d': '4004'}
    """
    found: dict[str, str] = {}
    at = 0
    for _ in range(_MOST_PAIRS):
        pair = _PAIR.match(text, at) if len(text) <= _LONGEST else None
        if pair is None:
            break
        at = pair.end()
        key = CMCD.get(pair[1])
        value = None if key is None else key.read(pair[2] or "")
        if value is not None:
            found.setdefault(f"{CMCD_PREFIX}{pair[1]}", value)
    return found


def cmcd_of_query(request: str) -> dict[str, str]:
    """The same of the parameter CMCD of a request.

    >>> cmcd_of_query("GET /a.m4s?x=1&CMCD=br%3D3200%2Csid%3D%226e2f%22")
    {'cmcd_br': '3200', 'cmcd_sid': '6e2f'}
    """
    found = _QUERY.search(request)
    return read_cmcd(unquote(found[1], errors="backslashreplace")) if found else {}
