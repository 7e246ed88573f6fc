"""The object in a line of JSON, and where each field stands in it: by the usual paths, a profile, or the map that a setting gives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable
from difflib import get_close_matches
from functools import partial
from typing import Any, NamedTuple

from app.domain.formats.base import BadLine
from app.domain.formats.json_profiles import FIELDS, PROFILES, Profile, profile_of
from app.domain.formats.unnamed import are_unnamed
from app.domain.formats.values import not_as, plain_number, shown

__all__ = ["JsonPlan", "Lookups", "Said", "lookups", "record_of"]

# numbers stay text: whatever their length, they go the way of numbers in any other format
_DECODER = json.JSONDecoder(parse_int=str, parse_float=plain_number, parse_constant=str)
_DECODE, _DECODE_FIRST = _DECODER.decode, _DECODER.raw_decode
_EDGES_OF_ARRAY = frozenset({"[", "]", "],", '{"records":[', '{"records": [', "]}"})
_CONSOLE = re.compile(
    r"([0-9]{4})/([0-9]{2})/([0-9]{2}) ([0-9:.]{8,18})\t(?:\x1b\[[0-9;]*m)?[A-Za-z]+(?:\x1b\[[0-9;]*m)?\t(?:([a-z0-9_.]+)\t)?[^\t{]*\t(?=\{)"
)
"""What Caddy's console encoder writes before an object: time in UTC, level, logger, message."""
_OPTIONAL = frozenset(
    {
        "referer", "virtual_host", "duration_s", "duration_ms", "duration_us", "duration_ns", "cache_result", "edge",
        "cmcd_object", "cmcd_request", "cmcd_session", "cmcd_status",
    }
)  # fmt: skip
"""Those that optional fields of hits alone need."""
_RANGES = frozenset({"content_range", "range", "lo", "hi"})
_SENT = frozenset({"bytes_sent", "all_bytes_sent"})
_FACTS = frozenset({"ended", "content_encoding", "compression_ratio", "content_type"})
_NAMES_NOBODY = frozenset({"", "-"})
_NAMES_NO_HOST = _NAMES_NOBODY | {"_"}
_SHIPPED = frozenset({"@version", "beat", "ecs", "input", "kubernetes", "log", "source_type"})
"""Keys that shippers add to a line: beside them, `host` is the machine that they ran on."""


def record_of(line: str) -> dict[str, Any] | None:
    """The object in a line; None for an edge of an array that is written one element a line."""
    if line[:2] == "20" and (console := _CONSOLE.match(line)) is not None:
        told = record_of(line[console.end() :]) or {}
        year, month, day, clock, logger = console.groups()
        return {"ts": f"{year}-{month}-{day} {clock}", "logger": logger or "", **told}
    try:
        record, end = _DECODE_FIRST(line) if line[:1] == "{" else (None, 0)
        if end != len(line):  # blanks stand around it, or it is no object
            record = _DECODE(line)
    except (ValueError, RecursionError):
        text = line.strip()
        if text in _EDGES_OF_ARRAY:
            return None
        if text[-2:] == "},":
            return record_of(text[:-1])
        raise not_as("JSON", line) from None
    if not isinstance(record, dict):
        raise BadLine("bad_columns", f"not a JSON object: {shown(line)}")
    return record


Said = dict[str, "str | None"]
"""Field to what a line says of it; None, or no field, where it says nothing."""

_PLANS = 1000
_WIDEST, _MOST_CHARS = 100, 8192


Search = Callable[[dict[str, Any]], "str | None"]


class JsonPlan(NamedTuple):
    """How lines with certain keys are read."""

    keys: tuple[tuple[str, str, Search], ...]
    """Field, the key whose text it is, and what finds it if the key holds something else."""
    searches: tuple[tuple[str, Search], ...]
    """Field and what finds it, for the others that can be there."""
    profile: Profile | None
    has_range: bool
    has_sent: bool
    has_facts: bool
    """Whether there can be a field that says what was answered, how many bytes were sent, or how: one of _FACTS."""
    has_unnamed: bool
    """Whether a key that no path has may say something of the end."""

    def said(self, record: dict[str, Any]) -> Said:
        """What the line says."""
        said: Said = {
            name: value if (value := record[key]).__class__ is str and value.isascii() else search(record)
            for name, key, search in self.keys
        }
        for name, search in self.searches:
            said[name] = search(record)
        return said


class Lookups:
    """Finds the fields of lines. Lines with the same keys share a plan, which leaves out the paths that cannot be there.

    `chosen` are the paths that the setting names; `profile` is the writer of all lines, where the setting names one. `optional`:
    whether the fields of _OPTIONAL are looked for.
    """

    def __init__(
        self, chosen: dict[str, tuple[str, ...]], profile: Profile | None = None, optional: bool = True
    ) -> None:
        self._chosen, self._profile = chosen, profile
        self._names = FIELDS.keys() if optional else FIELDS.keys() - _OPTIONAL
        self._plans: tuple[dict[tuple[str, ...], JsonPlan], ...] = ({}, {})
        """Of lines whose `request` is a text or missing, and of those where it is an object: many paths lead into it."""

    def of(self, record: dict[str, Any]) -> JsonPlan:
        """The plan for this line's keys. At most 1,000 plans of each kind are kept."""
        keys, plans = tuple(record), self._plans[record.get("request").__class__ is dict]
        plan = plans.get(keys)
        if plan is None:
            plan = self._planned(record)
            if len(keys) <= _WIDEST and sum(map(len, keys)) <= _MOST_CHARS:
                if len(plans) >= _PLANS:
                    plans.clear()
                plans[keys] = plan
        return plan

    def _planned(self, record: dict[str, Any]) -> JsonPlan:
        profile = self._profile or profile_of(record)
        paths = {**FIELDS, **(profile.paths if profile else {}), **self._chosen}
        if "virtual_host" not in self._chosen and not _SHIPPED.isdisjoint(record):
            paths["virtual_host"] = tuple(path for path in paths["virtual_host"] if path != "host")
        passed = {"ip_address": _NAMES_NOBODY, "virtual_host": _NAMES_NO_HOST}
        roots = record.keys() if isinstance(record.get("request"), dict) else record.keys() - {"request"}
        keys, searches = [], []
        for name in self._names:
            steps = _steps(paths[name], record, roots) or _spelled(paths[name], record)
            if not steps:
                continue
            search = partial(_first, steps, passed.get(name, frozenset()))
            if len(steps[0]) == 1 and (len(steps) == 1 or name not in passed):
                keys.append((name, steps[0][0], search))
            else:
                searches.append((name, search))
        names = {name for name, *_ in (*keys, *searches)}
        has_range, has_sent, has_facts = (not names.isdisjoint(group) for group in (_RANGES, _SENT, _FACTS))
        unnamed = are_unnamed(tuple(record))
        return JsonPlan(tuple(keys), tuple(searches), profile, has_range, has_sent, has_facts, unnamed)


def _steps(paths: tuple[str, ...], keys: Container[str], roots: Container[str]) -> list[tuple[str, ...]]:
    """The ways to a field that lines with these keys can have. `roots`: keys that may hold objects."""
    steps: list[tuple[str, ...]] = []
    for path in paths:
        if path in keys:
            steps.append((path,))
        first, *others = path.split(".")
        if others and first in roots:
            steps.append((first, *others))
    return steps


def _spelled(paths: tuple[str, ...], keys: Iterable[str]) -> list[tuple[str, ...]]:
    """The keys that are paths but for their spelling, for lines that have none of the paths."""
    wanted = {_plain(path) for path in paths}
    return [(key,) for key in keys if _plain(key) in wanted]


def _plain(name: str) -> str:
    return re.sub("[_.-]", "", name).lower()


def _first(paths: list[tuple[str, ...]], passed: frozenset[str], record: dict[str, Any]) -> str | None:
    """The first path that holds a text or number, as text; of a list its first element.

    `passed`: a path with one of these in it does not count as long as another one has more.
    """
    found: str | None = None
    for path in paths:
        value: Any = record
        for step in path:
            if not isinstance(value, dict):
                value = None
                break
            value = value.get(step)
        text = _text(value)
        if text is not None:
            found = text
            if text not in passed:
                break
    return found


def _text(value: Any) -> str | None:
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, str):
        return None
    # half a surrogate pair can be escaped in JSON, but no store can take it
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def lookups(setting: str, optional: bool = True) -> Lookups:
    """The lookups of every field, or of all that are not optional, given the setting's text `name=path,name=path`.

    A name may come twice: its paths are tried in order. Names that the setting leaves out keep their usual paths. The name of a
    profile alone says that all lines are of that writer. Raises ValueError that names the piece that is wrong.
    """
    chosen: dict[str, tuple[str, ...]] = {}
    profile: Profile | None = None
    for piece in filter(None, (piece.strip() for piece in setting.split(","))):
        name, equals, path = (part.strip() for part in piece.partition("="))
        if not equals and name in PROFILES:
            profile = PROFILES[name]
            continue
        if not equals or not path:
            raise ValueError(
                f"{piece!r} in the field map of json is not name=path; the known writers are {', '.join(PROFILES)}"
            )
        if name not in FIELDS:
            near = get_close_matches(name, FIELDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}" if near else f"the names are {', '.join(FIELDS)}"
            raise ValueError(f"{name!r} in the field map of json is no field; {hint}")
        chosen[name] = (*chosen.get(name, ()), path)
    return Lookups(chosen, profile, optional)
