"""What the engine knows, as one value that is stored whole: so a run that is killed goes on from it, and no notice is told anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from app.alerts.producers import ProducerTrack
from app.domain.alerts.lifecycle import Alert, Notice
from app.errors import UnknownForm, UnreadableFile
from app.messages.forms import UNREADABLE
from app.output.replacing import write_whole

__all__ = ["FORM", "EngineState", "Series", "read_state", "write_state"]

FORM = 1


@dataclass(slots=True)
class Series:
    """What one rule knows of one series. Counts are by unit: the number of a step, or of a window if the rule looks once a window."""

    counts: dict[int, int] = field(default_factory=dict)
    totals: dict[int, int] = field(default_factory=dict)
    bins: dict[int, dict[int, int]] = field(default_factory=dict)
    first: int | None = None
    """The first unit with an event, of those that are closed."""
    last: int = 0
    alert: Alert = field(default_factory=Alert)


@dataclass(slots=True)
class EngineState:
    """All that follows from the events so far."""

    form: int = FORM
    highest: float = 0.0
    """The latest event time."""
    closed: int | None = None
    """The number of the first step that is open."""
    began: int | None = None
    """The first step that had an event."""
    opened: dict[int, set[int]] = field(default_factory=dict)
    """Open steps with an event -> the events without a producer that came."""
    series: dict[str, dict[str, Series]] = field(default_factory=dict)
    """Rule -> key -> series."""
    producers: dict[str, ProducerTrack] = field(default_factory=dict)
    late: int = 0
    """Events behind the lateness: they change nothing."""
    repeats: int = 0
    left_out: int = 0
    """Events of series beyond the limit."""
    places: dict[str, int] = field(default_factory=dict)
    """Partition -> offset of the next message: where reading goes on."""
    outbox: dict[str, list[Notice]] = field(default_factory=dict)
    """Channel -> notices that it has not taken yet."""
    undelivered: int = 0
    """Notices that no channel took: the outbox was full, or it was refused."""


def read_state(path: Path) -> EngineState | None:
    """None: there is none yet. Raises UnreadableFile that names the file, UnknownForm."""
    if not path.exists():
        return None
    try:
        raw = path.read_bytes()
        form = msgspec.msgpack.decode(raw).get("form")
        if form != FORM:
            raise UnknownForm(f"the state {path}", form, FORM)
        return msgspec.msgpack.decode(raw, type=EngineState)
    except (OSError, AttributeError, *UNREADABLE) as error:
        raise UnreadableFile(f"the state {path} cannot be read: {error}; move it away to begin anew") from error


def write_state(path: Path, state: EngineState) -> None:
    """Whole and durable, or as before. Raises OutputError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.msgpack.encode(state))
