"""The optional fields of a hit: what people ask of a log beyond deliveries, kept as the log has it."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache

from app.domain.cmcd import CMCD, CMCD_PREFIX

__all__ = [
    "EXTRAS",
    "NO_EXTRAS",
    "SharedExtras",
    "chosen_cmcd",
    "chosen_extras",
    "duration_s",
    "extras_reader",
    "shared_extras",
]

EXTRAS = {
    "cache_result": "how a cache answered, in the server's own word: `HIT`, `TCP_MEM_HIT`",
    "content_type": "Content-Type of the response",
    "duration_s": "how long the response took, decimal, in seconds",
    "edge": "the place of a CDN that answered",
    "encoding": "Content-Encoding of the response",
    "referer": "the page that named the file",
    "virtual_host": "the host name that was asked, perhaps with its port",
    **{f"{CMCD_PREFIX}{key}": f"{about.what} (CMCD)" for key, about in CMCD.items()},
}
"""Name to what it is."""
NO_EXTRAS: dict[str, str] = {}
"""Of a hit that has none. Nobody may change it."""
_ABSENT = frozenset({"", "-", None})
_LONGEST_NUMBER = 20
_MOST_REFERERS, _LONGEST_REFERER = 10_000, 512


@cache
def chosen_extras(setting: str) -> frozenset[str]:
    """The names in a comma-separated text. Raises ValueError with a sentence for a name that is none.

    >>> sorted(chosen_extras("referer, edge")), sorted(chosen_extras(""))
    (['edge', 'referer'], [])
    """
    names = frozenset(filter(None, (name.strip() for name in setting.split(","))))
    for name in sorted(names - EXTRAS.keys()):
        near = get_close_matches(name, EXTRAS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(EXTRAS)}"
        raise ValueError(f"{name[:60]!r} is no optional field; {hint}")
    return names


@cache
def chosen_cmcd(setting: str) -> frozenset[str]:
    """Those of CMCD among the chosen ones."""
    return frozenset(name for name in chosen_extras(setting) if name.startswith(CMCD_PREFIX))


@cache
def extras_reader(setting: str) -> Callable[..., dict[str, str]]:
    """The function from texts by name to those that the setting wants and that say something.

    >>> extras_reader("referer")(referer="https://example.com/", edge="FRA2"), extras_reader("referer")(referer="-")
    ({'referer': 'https://example.com/'}, {})
    """
    wanted = chosen_extras(setting)

    def read(**texts: str | None) -> dict[str, str]:
        return {name: text for name, text in texts.items() if text not in _ABSENT and name in wanted}  # type: ignore[misc]

    return read if wanted else lambda **texts: NO_EXTRAS


class SharedExtras(dict[tuple[str, str | None], dict[str, str]]):
    """Referer and virtual host to the optional fields of a hit; bounded, because most lines share theirs."""

    def __init__(self, fields: str) -> None:
        super().__init__()
        self._of = extras_reader(fields)

    def __missing__(self, key: tuple[str, str | None]) -> dict[str, str]:
        extras = self._of(referer=key[0], virtual_host=key[1])
        if len(key[0]) <= _LONGEST_REFERER:
            if len(self) >= _MOST_REFERERS:
                self.clear()
            self[key] = extras
        return extras


def shared_extras(fields: str) -> SharedExtras | None:
    """None if neither is wanted."""
    return None if chosen_extras(fields).isdisjoint(("referer", "virtual_host")) else SharedExtras(fields)


def duration_s(text: str | None, per_s: int = 1) -> str | None:
    """A duration in seconds, of which the log counts `per_s` units; None for what is no number.

    >>> duration_s("290", 1000), duration_s("0.003"), duration_s("-"), duration_s("-1")
    ('0.29', '0.003', None, None)
    """
    if text is None or len(text) > _LONGEST_NUMBER or not text.isascii() or not text.replace(".", "", 1).isdigit():
        return None
    return text if per_s == 1 else f"{float(text) / per_s:.9f}".rstrip("0").rstrip(".")
