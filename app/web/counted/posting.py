"""From a POST of counted events to their topic: all of a request are taken, or none; answered once they are durable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from app.domain.counted import CountedKind
from app.errors import LogError, LogFull
from app.web.counted.event_fields import BadEvent
from app.web.service.answers import ApiError
from app.web.service.parts import WebParts

__all__ = ["append", "checked"]

_SHOWN_ERRORS = 20
Event = TypeVar("Event", bound=tuple[Any, ...])
Posted = TypeVar("Posted")


def checked(
    kind: CountedKind[Event], posted: Sequence[Posted], make: Callable[[Posted], Event], *, as_list: bool = True
) -> list[Event]:
    """All as events. Raises ApiError 400 that tells how many are bad, and why; of a list, which ones."""
    events: list[Event] = []
    errors: list[dict[str, Any]] = []
    for index, one in enumerate(posted):
        try:
            events.append(make(one))
        except BadEvent as error:
            errors.append({"index": index, "error_message": error.message})
    if errors:
        first = errors[0]
        many = f"{len(errors)} of {len(posted)} {kind.many} are bad and none was taken. Number {first['index']}: "
        message = f"{many if as_list else ''}{first['error_message']}"
        raise ApiError(400, message, errors=errors[:_SHOWN_ERRORS])
    return events


async def append(parts: WebParts, kind: CountedKind[Event], events: Sequence[Event], **fields: object) -> None:
    """Returns once the events are durable; `fields` go with the refusal if they are not."""
    keyed = [(kind.spread_by(event, parts.settings), event) for event in events]
    try:
        await parts.events.append(kind.name, keyed)
    except LogFull as error:
        raise ApiError(503, str(error), {"Retry-After": "2"}, **fields) from None
    except LogError as error:
        raise ApiError(503, str(error), {"Retry-After": "10"}, **fields) from None
