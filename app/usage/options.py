"""What a service says of itself and of its spool, checked at the start, before anything is touched."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Literal

from app.errors import SettingsError

__all__ = ["Overflow", "UsageOptions"]

Overflow = Literal["drop_newest", "drop_oldest", "block"]
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_MANY = 1 << 53
_BOUNDS: dict[str, tuple[float, float]] = {
    "queue_records": (1, _MANY),
    "batch_records": (1, _MANY),
    "block_ms": (0, 60_000),
    "segment_bytes": (4096, _MANY),
    "spool_bytes": (4096, _MANY),
    "keep_bytes": (0, _MANY),
    "keep_s": (0, inf),
    "body_chars": (0, _MANY),
    "heartbeat_s": (0.01, 86_400),
    "spool_port": (0, 65_535),
}
_MAY_BE_FRACTIONS = {"block_ms", "keep_s", "heartbeat_s"}
_TEXTS = ("service", "broker", "topic", "machine", "instance", "spool_host", "spool_token")
_BROKER = re.compile(r"kafka://[^/\s]+|sqlite:///.+")


@dataclass(frozen=True, kw_only=True)
class UsageOptions:
    """Options of one service. Raises SettingsError that names the option, its value and what is allowed."""

    service: str
    """Name of the service: letters, digits, dot, underscore, dash."""
    spool: Path
    """Folder in which records wait; every process of the service on a machine may have the same."""
    broker: str = ""
    """kafka://HOST:PORT or sqlite:///FILE; empty: records stay in the spool until a process with a broker takes them."""
    broker_options: Mapping[str, Any] = field(default_factory=dict)
    """More options of kafka-python's producer: TLS, SASL."""
    topic: str = "usage"
    """With `WEBLOGS_TOPIC_PREFIX` write the whole name."""
    machine: str = field(default_factory=socket.gethostname)
    """Name of this machine in each record."""
    instance: str = ""
    """Name of the instance in each record."""
    cluster: str | None = None
    """In each record, if it is set; so is `region`."""
    region: str | None = None
    """Where the machine is."""
    monitored: Callable[[str, str], bool] | None = None
    """From method and URI: whether the call goes to the stores at once."""
    queue_records: int = 10_000
    """Records in memory that are not spooled yet. A kill takes these, and one batch, with it."""
    batch_records: int = 1_000
    """Records that are written and synced at a time."""
    overflow: Overflow = "drop_newest"
    """What happens to a record while the queue is full; `block` waits for `block_ms`, in an event loop, too, then drops it."""
    block_ms: int = 50
    """Milliseconds that a call waits at most if `overflow` is `block`."""
    segment_bytes: int = 16 << 20
    """Size of one file of the spool."""
    spool_bytes: int = 1 << 30
    """Size above which the spool takes no more. A record of more than a quarter of it is told as lost."""
    keep_bytes: int = 64 << 20
    """Bytes of sent records that stay in the spool, for repair."""
    keep_s: float = 7 * 86400.0
    """The spool of a process that has ended, and of which all is sent, is deleted this long after its last change."""
    body_chars: int = 0
    """Characters of a request's body that are recorded: JSON and forms, masked. 0: none."""
    heartbeat_s: float = 10.0
    """Seconds after which the producer says how far it is."""
    spool_port: int = 0
    """Port of `GET /usage/spool`, for `usage check` and `usage repair` on another machine; 0: none. Processes may share it."""
    spool_host: str = "127.0.0.1"
    """Where it listens. It speaks HTTP without TLS: beyond loopback put a proxy in front of it."""
    spool_token: str = field(default="", repr=False)
    """What its clients must send; at least 16 characters."""
    secrets: tuple[str, ...] = ()
    """Names of fields and query parameters to mask, beside the usual ones."""

    def __post_init__(self) -> None:
        for name in _TEXTS:
            if not isinstance(value := getattr(self, name), str):
                raise SettingsError(f"{name}={value!r}: write a text")
        for name in ("cluster", "region"):
            if not isinstance(value := getattr(self, name), str | None):
                raise SettingsError(f"{name}={value!r}: write a text, or None")
        if not isinstance(self.spool, str | Path) or not str(self.spool):
            raise SettingsError(f"spool={self.spool!r}: write the path of a folder")
        object.__setattr__(self, "spool", Path(self.spool))
        if isinstance(self.secrets, str) or not all(isinstance(name, str) and name for name in self.secrets):
            raise SettingsError("secrets: write a tuple of names, as in ('customer',)")
        if self.monitored is not None and not callable(self.monitored):
            raise SettingsError(f"monitored={self.monitored!r}: write a function of method and URI")
        if not _NAME.fullmatch(self.service):
            raise SettingsError(
                f"service={self.service!r}: write 1 to 100 letters, digits, dots, underscores or dashes"
            )
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            kinds, what = ((int, float), "a number") if name in _MAY_BE_FRACTIONS else ((int,), "a whole number")
            if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
                above = f", {most:.0f} at most" if most < _MANY else ""
                raise SettingsError(f"{name}={value!r}: write {what}, {least} or more{above}")
        if self.spool_port and len(self.spool_token) < 16:
            raise SettingsError("spool_token: with a spool_port write a token of at least 16 characters")
        if self.overflow not in ("drop_newest", "drop_oldest", "block"):
            raise SettingsError(f"overflow={self.overflow!r}: write drop_newest, drop_oldest or block")
        if not self.topic:
            raise SettingsError("topic: write the name of a topic")
        if self.broker and not _BROKER.fullmatch(self.broker):
            raise SettingsError(f"broker={self.broker!r}: write kafka://HOST:PORT or sqlite:///FILE")

    @property
    def memory_records(self) -> int:
        """How many records a kill can take with it at most: the queue, a batch, and what the producer tells of itself with it."""
        return self.queue_records + 2 * self.batch_records + 2
