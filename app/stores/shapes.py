"""Whether what stands in a store under our names has our shape; somebody may have made it by hand."""

from __future__ import annotations

from collections.abc import Mapping

from app.errors import OtherShape

__all__ = ["refuse_shape"]

_SHOWN = 5


def refuse_shape(
    what: str, found: Mapping[str, str], wanted: Mapping[str, str], cure: str, whole: bool = False
) -> None:
    """Raises OtherShape with what differs. Both: field -> type. A field that is missing differs only if it is to be `whole`."""
    differs = [
        f"{name} is {found[name] or 'of no type'}, not {kind or 'of no type'}"
        for name, kind in wanted.items()
        if found.get(name, kind) != kind
    ]
    differs += [f"{name} is missing" for name in wanted if whole and name not in found]
    if differs:
        more = f" and {len(differs) - _SHOWN} more" if len(differs) > _SHOWN else ""
        raise OtherShape(f"{what} was not made by this program: {', '.join(differs[:_SHOWN])}{more}. {cure}")
