"""The file of rules: TOML. Everything in it is checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, fields
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from app.alerts.events import COMPARISONS
from app.domain.alerts.rules import WEEK_S, Rule, Silence, problem_of
from app.errors import SettingsError
from app.settings import read_toml

__all__ = ["AlertRules", "Notify", "read_rules", "rules_from"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Notify:
    """Where notices go, beside the file of notices."""

    webhook: str = ""
    """http:// or https:// address that takes each notice by POST."""
    webhook_secret_file: str = ""
    """File with the key of the signature."""
    alertmanager: str = ""
    """Address of an Alertmanager, as in http://localhost:9093."""
    topic: bool = False
    """Send each notice to the topic `usage_notices`, too."""
    tries: int = 5
    """A receiver that does not answer is asked so often, with growing pauses; then again in the next round."""


@dataclass(frozen=True, kw_only=True)
class AlertRules:
    """A file of rules. Times are seconds."""

    rules: tuple[Rule, ...]
    silences: tuple[Silence, ...] = ()
    notify: Notify = Notify()
    step_s: float = 60.0
    """Rules look once a step."""
    lateness_s: float = 120.0
    """An event may come so much later than a later one."""
    forget_s: float = 86400.0
    """A series, a producer or a missing number that nothing was heard of for so long is no alert any more."""


def read_rules(path: Path, names: Mapping[str, Set[Any]]) -> AlertRules:
    """`names`: the fields that events have, with the types of their values. Raises InputError and SettingsError that name the file, the rule and the option."""
    found = read_toml(path)
    try:
        return rules_from(found, names)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def rules_from(found: Mapping[str, Any], names: Mapping[str, Set[Any]]) -> AlertRules:
    """From the tables `rule`, `silence` and `notify` of a file. Raises SettingsError."""
    tables = dict(found)
    rules = [_made(Rule, each, f"rule {at}") for at, each in enumerate(_list(tables.pop("rule", [])), 1)]
    silences = [
        _made(Silence, _times(each, at), f"silence {at}") for at, each in enumerate(_list(tables.pop("silence", [])), 1)
    ]
    notify = _made(Notify, tables.pop("notify", {}), "notify")
    made = _made(AlertRules, {**tables, "rules": rules, "silences": silences, "notify": notify}, "the file")
    _check(made, names)
    return made


def _check(made: AlertRules, names: Mapping[str, Set[Any]]) -> None:
    if not made.rules:
        raise SettingsError("there is no rule: write a table [[rule]]")
    if made.step_s <= 0 or made.lateness_s < 0 or made.forget_s <= 0:
        raise SettingsError("step_s and forget_s are above 0, lateness_s is 0 or more")
    if made.lateness_s > WEEK_S * 52:
        raise SettingsError(f"lateness_s is {made.lateness_s:g}: write at most a year")
    if WEEK_S % made.step_s:
        raise SettingsError(f"step_s is {made.step_s:g}: a week must be a multiple of it")
    for rule in made.rules:
        _check_rule(rule, made.step_s, names)
    every = [rule.name for rule in made.rules]
    if twice := [name for name in every if every.count(name) > 1]:
        raise SettingsError(f"two rules are called {twice[0]!r}")
    if never := [each for each in made.silences if each.begin >= each.end]:
        raise SettingsError(f"a silence begins at {never[0].begin:g} and ends at {never[0].end:g}: write a later end")
    if unknown := [each.rule for each in made.silences if each.rule and each.rule not in every]:
        raise SettingsError(f"a silence names the rule {unknown[0]!r}, which is not there")
    if made.notify.tries < 1:
        raise SettingsError(f"notify: tries is {made.notify.tries}: write 1 or more")
    for address in (made.notify.webhook, made.notify.alertmanager):
        if address and not address.startswith(("http://", "https://")):
            raise SettingsError(f"notify: {address!r} is no address; write http://… or https://…")
    if made.notify.webhook and not made.notify.webhook_secret_file:
        raise SettingsError("notify: webhook needs webhook_secret_file, whose content signs each notice")


def _check_rule(rule: Rule, step_s: float, names: Mapping[str, Set[Any]]) -> None:
    if wrong := problem_of(rule, step_s):
        raise SettingsError(f"rule {rule.name!r}: {wrong}")
    named = (*rule.where, *rule.of, *rule.by, *((rule.field,) if rule.field else ()))
    if unknown := [name for name in named if name not in names]:
        raise SettingsError(f"rule {rule.name!r}: {unknown[0]!r} is no field; there are {', '.join(sorted(names))}")
    for name, test in (*rule.where.items(), *rule.of.items()):
        if isinstance(test, Mapping) and (not test or set(test) - set(COMPARISONS)):
            raise SettingsError(
                f"rule {rule.name!r}: {dict(test)} is no comparison; there are {', '.join(COMPARISONS)}"
            )
        for value in _values_of(test):
            if not _may_be(value, names[name]):
                raise SettingsError(f"rule {rule.name!r}: {name} is never {value!r}: write {_kinds_text(names[name])}")
    if rule.kind == "latency" and not names[rule.field] & {int, float}:
        raise SettingsError(f"rule {rule.name!r}: field {rule.field!r} holds no numbers")


_TYPES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _values_of(test: Any) -> list[Any]:
    if isinstance(test, Mapping):
        return list(test.values())
    return list(test) if isinstance(test, list | tuple) else [test]


def _may_be(value: Any, types: Set[Any]) -> bool:
    """Whether a field with values of these types may be beside the value in a comparison. Of lists nothing is known."""
    if isinstance(value, float) and not isfinite(value):
        return False
    if not types & _TYPES.keys():
        return True
    return type(value) in types or (type(value) in (int, float) and bool(types & {int, float}))


def _kinds_text(types: Set[Any]) -> str:
    return " or ".join(text for kind, text in _TYPES.items() if kind in types)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise SettingsError("write [[rule]] and [[silence]], in double brackets")
    return value


def _times(silence: Any, at: int) -> Any:
    """TOML has times with a zone."""
    if not isinstance(silence, dict):
        return silence
    for name in ("begin", "end"):
        value = silence.get(name)
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise SettingsError(f"silence {at}: {name} has no zone; write 2026-07-31T16:00:00Z")
            silence = {**silence, name: value.timestamp()}
    return silence


def _made(kind: type[T], found: Any, what: str) -> T:
    """A value of a dataclass; nothing in the table may be unknown."""
    if isinstance(found, Mapping):
        allowed = [each.name for each in fields(kind)]  # type: ignore[arg-type]  # a dataclass
        if unknown := sorted(set(found) - set(allowed)):
            raise SettingsError(f"{what}: {unknown[0]!r} is no name here; there are {', '.join(allowed)}")
    try:
        made = msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{what}: {error}") from None
    for each in fields(kind):  # type: ignore[arg-type]  # a dataclass
        value = getattr(made, each.name)
        # every comparison with it would be false, and the rule silent
        if isinstance(value, float) and not isfinite(value):
            raise SettingsError(f"{what}: {each.name} is {value}: write a number")
    return made
