"""Where notices go. Each channel takes them in order; what it has not taken stays in the outbox of the state and is offered again, with the same id."""

from __future__ import annotations

import hmac
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from app.alerts.rules import Notify
from app.domain.alerts.judging import Finding
from app.domain.alerts.lifecycle import FIRING, Alert, Notice, text_of
from app.domain.alerts.rules import Rule
from app.domain.times import iso
from app.errors import UnreadableFile, WeblogsError, keep_secret
from app.flows.usage import NOTICES_TOPIC
from app.messages.forms import UNREADABLE
from app.messages.notices import decode_notices, encode_notices

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["Channel", "NoticeRefused", "channels_of", "signature"]

_TIMEOUT_S = 10.0
_PAUSE_S = 0.5
_AGAIN = (429, 500, 502, 503, 504)
_KEPT_FIRING_S = 300.0
"""An Alertmanager that hears nothing more of an alert ends it after this."""
_TAIL_BYTES = 4 << 20


class NoticeRefused(WeblogsError):
    """The receiver does not want this notice; offering it again does not help."""


class Channel(Protocol):
    """One way to people."""

    name: str

    def deliver(self, notice: Notice) -> None:
        """Returns when the receiver has it. Raises Refused; OSError and WeblogsError if it may be offered again."""


class _Remembering(ABC):
    """A way that knows what it has delivered, and looks once what an earlier run has: after a kill that may not know it."""

    _known: set[str] | None = None

    def deliver(self, notice: Notice) -> None:
        if self._known is None:
            self._known = self._there()
        if notice.id not in self._known:
            self._append(notice)
            self._known.add(notice.id)

    @abstractmethod
    def _there(self) -> set[str]:
        """The ids of notices that were delivered."""

    @abstractmethod
    def _append(self, notice: Notice) -> None: ...


class FileChannel(_Remembering):
    """A line of JSON for each notice, in a file that is only appended to. A notice whose id stands there is not written again."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    def _append(self, notice: Notice) -> None:
        with self._path.open("ab") as file:
            file.write(json.dumps(notice._asdict()).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _there(self) -> set[str]:
        """The ids at the end of the file; a line that a kill cut is taken away."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab+") as file:
            size = file.tell()
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
            end = tail.rfind(b"\n") + 1
            file.truncate(size - len(tail) + end)
        return set(filter(None, map(_id_in, tail[:end].splitlines())))


def _id_in(line: bytes) -> str | None:
    """Of a notice in the file; None for a line that somebody else wrote, or altered."""
    if not line.startswith(b'{"id"'):
        return None
    try:
        return str(json.loads(line)["id"])
    except UNREADABLE:
        return None


class TopicChannel(_Remembering):
    """The topic `usage_notices`."""

    name = "topic"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def _append(self, notice: Notice) -> None:
        from app.transports.messages import Message
        from app.transports.producers import open_producer

        with closing(open_producer(self._settings)) as producer:
            partition = int(notice.id[:8], 16) % producer.partitions(NOTICES_TOPIC)
            value = encode_notices([notice])
            producer.append([Message(NOTICES_TOPIC, partition, notice.id.encode(), value, {}, time.time())])

    def _there(self) -> set[str]:
        from app.transports.broker_view import opened_view

        with opened_view(self._settings) as view:
            found = () if view is None else view.read(NOTICES_TOPIC)
            return {each.id for _, _, value in found for each in decode_notices(value)}


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """HMAC-SHA-256 of `TIMESTAMP.BODY`: who knows the secret can tell that the notice is ours, and when it was sent.

    >>> signature(b"key", "1700000000", b"{}")[:24]
    'sha256=9d713ed406bb7076d'
    """
    return "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, "sha256").hexdigest()


class WebhookChannel:
    """POST of a notice as JSON, signed. The head `Idempotency-Key` is the id of the notice: a receiver takes each id once."""

    name = "webhook"

    def __init__(self, notify: Notify) -> None:
        self._url, self._post = notify.webhook, _poster(notify.tries)
        try:
            self._secret = Path(notify.webhook_secret_file).read_bytes().strip()
        except OSError as error:
            raise UnreadableFile(
                f"webhook_secret_file {notify.webhook_secret_file} cannot be read: {error.strerror}"
            ) from None
        if not self._secret:
            raise UnreadableFile(f"webhook_secret_file {notify.webhook_secret_file} is empty")
        keep_secret([self._secret.decode("utf-8", "replace")])

    def deliver(self, notice: Notice) -> None:
        body = json.dumps(notice._asdict()).encode()
        now = f"{time.time():.0f}"
        heads = {"Idempotency-Key": notice.id, "X-Timestamp": now, "X-Signature": signature(self._secret, now, body)}
        self._post(self._url, body, heads)


class AlertmanagerChannel:
    """The API of an Alertmanager, version 2: it groups, silences and routes on its own."""

    name = "alertmanager"

    def __init__(self, notify: Notify) -> None:
        self._url, self._post = notify.alertmanager.rstrip("/") + "/api/v2/alerts", _poster(notify.tries)

    def deliver(self, notice: Notice) -> None:
        named = {"alertname": notice.rule, "severity": notice.severity, "kind": notice.kind, **notice.series}
        self._send([_alert(named, notice.text, notice.since, None if notice.status == FIRING else notice.at)])

    def keep(self, firing: Iterable[tuple[Rule, dict[str, str], Alert]]) -> None:
        """Say again what fires. Raises as deliver."""
        end = time.time() + _KEPT_FIRING_S
        alerts = []
        for rule, series, alert in firing:
            named = {"alertname": rule.name, "severity": rule.severity, "kind": rule.kind, **series}
            text = text_of(rule, series, FIRING, Finding(True, alert.value, alert.limit, alert.detail))
            alerts.append(_alert(named, text, alert.since, end))
        if alerts:
            self._send(alerts)

    def _send(self, alerts: list[dict[str, Any]]) -> None:
        self._post(self._url, json.dumps(alerts).encode(), {})


def _alert(labels: dict[str, str], text: str, since: float, end: float | None) -> dict[str, Any]:
    made = {"labels": labels, "annotations": {"summary": text}, "startsAt": iso(since)}
    return made if end is None else {**made, "endsAt": iso(end)}


def _poster(tries: int) -> Callable[[str, bytes, dict[str, str]], None]:
    """What posts JSON, again with growing pauses if the receiver does not answer or asks for it."""
    import urllib3

    retry = urllib3.Retry(
        total=max(0, tries - 1),
        backoff_factor=_PAUSE_S,
        status_forcelist=_AGAIN,
        allowed_methods=None,
        raise_on_status=False,
        redirect=0,
    )
    pool = urllib3.PoolManager(retries=retry, timeout=_TIMEOUT_S)

    def post(url: str, body: bytes, heads: dict[str, str]) -> None:
        try:
            answer = pool.request("POST", url, body=body, headers={"Content-Type": "application/json", **heads})
        except urllib3.exceptions.HTTPError as error:
            raise OSError(f"{url} does not take notices: {error}") from error
        if answer.status in _AGAIN:
            raise OSError(f"{url} does not take notices now: status {answer.status}")
        if not 200 <= answer.status < 300:
            raise NoticeRefused(
                f"{url} refused a notice with status {answer.status}: {answer.data[:200].decode('utf-8', 'replace')}"
            )

    return post


def channels_of(notify: Notify, settings: Settings, file: Path) -> Sequence[Channel]:
    """The file, and what the rules ask for. Raises UnreadableFile."""
    found: list[Channel] = [FileChannel(file)]
    if notify.topic:
        found.append(TopicChannel(settings))
    if notify.webhook:
        found.append(WebhookChannel(notify))
    if notify.alertmanager:
        found.append(AlertmanagerChannel(notify))
    return found
