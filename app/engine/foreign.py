"""What no agent can read is put aside: a reject with its place, durable before the flow goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from app.domain.records import DAMAGED_STATE, FOREIGN, Reject, raw_ids
from app.engine.reading import TakenMessage
from app.engine.sending import send_all
from app.errors import UnknownForm
from app.flows.deliveries import REJECTS
from app.messages.forms import DamagedMessage, Decode, read_at
from app.messages.records import encode_rejects
from app.steps.damage import StateDamage
from app.transports.messages import Message

__all__ = ["put_damage_aside", "readable"]

SHOWN_BYTES = 4096
Read = TypeVar("Read")

log = logging.getLogger(__name__)


async def readable(app: Any, topic: str, batch: Iterable[TakenMessage], decode: Decode[Read]) -> list[Read]:
    """What the messages of a batch say. One that cannot be read becomes a reject.

    Raises UnknownForm for a message of a newer form: this program must not pass over what a later version wrote.
    """
    found: list[Read] = []
    bad: list[tuple[TakenMessage, str]] = []
    for taken in batch:
        try:
            found.append(read_at(topic, taken, decode))
        except UnknownForm as error:
            if error.is_newer:
                raise
            bad.append((taken, str(error)))
        except DamagedMessage as error:
            bad.append((taken, str(error)))
    if bad:
        named = f"{topic}@{await app.topics_log.incarnation(topic)}"
        rejects = [
            _reject(FOREIGN, why, taken.value, f"{named}/{taken.partition}", taken.offset, taken.timestamp)
            for taken, why in bad
        ]
        await _put_aside(app, rejects, bad[0][0].partition)
    return found


async def put_damage_aside(app: Any, table: str, partition: int, damages: Sequence[StateDamage]) -> None:
    """Values of a table's state that cannot be read: what they were is kept as rejects, and the state goes on without them."""
    now = app.outside.clock()
    source = f"{table}/{partition}"
    rejects = [
        _reject(
            DAMAGED_STATE,
            f"the state {source} cannot be read at {damage.name!r:.300}: {damage.loss}",
            damage.name + b"\0" + damage.value,
            f"{source} {damage.name!r}",
            0,
            now,
        )
        for damage in damages
    ]
    await _put_aside(app, rejects, partition)


def _reject(reason: str, detail: str, value: bytes, source: str, position: int, time: float) -> Reject:
    shown = value[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
    return Reject(reason, detail, shown, raw_ids(source)(position), source, position, time)


async def _put_aside(app: Any, rejects: Sequence[Reject], partition: int) -> None:
    counters, now = app.outside.counters, app.outside.clock()
    await send_all(app, [Message(REJECTS, partition, None, value, {}, now) for value in encode_rejects(rejects)])
    for reject in rejects:
        counters.put_aside(reject.reason, reject.detail)
    log.error("%d put aside as rejects (%s), the first: %s", len(rejects), rejects[0].reason, rejects[0].detail)
