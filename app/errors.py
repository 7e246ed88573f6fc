"""The tree of errors. Each says what happened, where, and what to do next.

WeblogsError
├── SettingsError        a setting has a bad value
├── InputError           a file or stream cannot be read as asked
│   ├── UnknownFormat    no such log format, or none fits
│   ├── NotLogged        no line has the field that a question is about
│   └── UnreadableFile   what this project wrote, or what rules it, is damaged or gone
├── OutputError          a result cannot be written
│   └── WrongOutput      its name is none that can be written
├── LogError             the embedded log cannot do what was asked
│   ├── LogFull          it holds as much as it may: producers wait
│   ├── LogUnreachable   the broker does not answer: what was sent may or may not have arrived
│   ├── LogLocked        another worker owns it
│   └── Fenced           a newer owner has taken the partition: this one must stop
├── StoreError           a store failed for this call; what it refused stays with the caller
│   ├── StoreUnreachable the store is not there (yet)
│   ├── UnreadableRecord a record in it is damaged, or somebody else's
│   └── StoreRefused     it does not let us in: waiting does not mend it
├── UnknownForm          what was stored or sent has a form that this program does not know
│   └── UnknownStoreForm the same, of a store: a StoreRefused, too
└── WorkerError          the worker that a command started does not run
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "Fenced",
    "InputError",
    "LogError",
    "LogFull",
    "LogLocked",
    "LogUnreachable",
    "NotLogged",
    "OutputError",
    "SettingsError",
    "StoreError",
    "StoreRefused",
    "StoreUnreachable",
    "UnknownForm",
    "UnknownFormat",
    "UnknownStoreForm",
    "UnreadableFile",
    "UnreadableRecord",
    "WeblogsError",
    "WorkerError",
    "WrongOutput",
    "keep_secret",
    "masked",
]

MASK = "(secret)"
_SHORTEST = 4
"""A shorter secret is not searched for: it would be found in ordinary words."""
_LOGIN = re.compile(r"(?<=://)([^/@\s:]*):([^/\s]*)@")
_secrets: set[str] = set()


def keep_secret(texts: Iterable[str]) -> None:
    """From now on `masked` hides these texts in everything that this process prints."""
    _secrets.update(text for text in texts if len(text) >= _SHORTEST)


def masked(text: str) -> str:
    """The text without passwords in addresses and without the secrets of the settings.

    >>> masked("redis://cache:hunter2@10.0.0.5:6379/0 does not answer")
    'redis://cache:(secret)@10.0.0.5:6379/0 does not answer'
    """
    text = _LOGIN.sub(rf"\1:{MASK}@", text)
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


class WeblogsError(Exception):
    """Base of every error of this project; its text is a sentence for the person at the terminal, without secrets."""

    def __str__(self) -> str:
        return masked(super().__str__())


class SettingsError(WeblogsError):
    """A setting has a bad value."""


class InputError(WeblogsError):
    """A file or stream cannot be read as asked."""


class UnknownFormat(InputError):
    """No log format has this name, or none fits the first lines."""


class NotLogged(InputError):
    """No line has the field that a question is about: the log does not tell."""


class UnreadableFile(InputError):
    """A manifest, a spool, a state or a file of rules cannot be read."""


class OutputError(WeblogsError):
    """A result cannot be written."""


class WrongOutput(OutputError):
    """The file that was named for a result can be none: its ending, its kind, or an input."""


class LogError(WeblogsError):
    """The embedded log cannot do what was asked."""


class LogFull(LogError):
    """The embedded log holds as much as it may; try again when consumers have caught up."""


class LogUnreachable(LogError):
    """The broker does not answer; what was under way may have arrived or not, and may be sent again."""


class LogLocked(LogError):
    """Another worker owns the embedded log."""


class Fenced(LogError):
    """A newer owner has taken the partition; this process must write nothing more."""


class StoreError(WeblogsError):
    """A store failed for this call."""


class StoreUnreachable(StoreError):
    """The store does not answer."""


class StoreRefused(StoreError):
    """The store does not let us in, or is no such store. The configuration must be fixed."""


class UnreadableRecord(StoreError):
    """A stored record that cannot be read."""

    def __init__(self, store: str, record: str, name: str, why: str, place: object = None) -> None:
        super().__init__(
            f"the {record} {name!s:.300} in the store {store} cannot be read: {why:.300}; `python -m app check` names all such records,"
            " `repair` removes them and writes them again if it can"
        )
        self.store, self.record, self.name, self.why = store, record, name, why
        self.place = place
        """Where it stands, as the store's Mending takes it."""


class UnknownForm(WeblogsError):
    """What was stored or sent has a form that this program does not know: a person has to choose another program or place."""

    def __init__(self, where: str, found: object, known: int) -> None:
        self.is_newer = isinstance(found, int) and found > known
        """A later version wrote it, and may know what it says; anything else is from somebody else."""
        told = "has no form number" if found is None else f"has form {found!s:.40}"
        super().__init__(
            f"{where} {told}; this program knows form {known}; use the program that wrote it, or another place"
        )


class UnknownStoreForm(UnknownForm, StoreRefused):
    """A store, or a record in it, has a form that this program does not know."""


class OtherShape(UnknownStoreForm):
    """A table or index has our name and not our fields."""

    def __init__(self, told: str) -> None:
        self.is_newer = False
        WeblogsError.__init__(self, told)


class WorkerError(WeblogsError):
    """The worker that a command started does not run, or makes no progress."""
