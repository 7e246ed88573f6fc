"""What names records in stores: one rule, whatever the engine."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from app.domain.records import Delivery

__all__ = ["AnyKey", "given_id", "ids_of", "key_name", "packed_ids", "with_start"]

AnyKey = tuple[str | None, str | None, str | None]
"""ip_address, user_agent, request; None where the log has no such column."""
_lengths = struct.Struct(">iii").pack


def key_name(ip_address: str | None, user_agent: str | None, request: str | None) -> bytes:
    """28 bytes that name a key: the hash of the joined text (-k asks for it), and where its parts end (-1: there is none).

    >>> key_name("a_b", "c", "d") == key_name("a", "b_c", "d"), key_name("a_b", "c", "d")[:16] == key_name("a", "b_c", "d")[:16]
    (False, True)
    """
    if ip_address is None or user_agent is None or request is None:
        parts = (ip_address, user_agent, request)
        joined = "_".join(part or "" for part in parts)
        lengths = _lengths(*(-1 if part is None else len(part) for part in parts))
    else:  # the hot path; the hash is that of records.key_hash, taken as bytes
        joined = f"{ip_address}_{user_agent}_{request}"
        lengths = _lengths(len(ip_address), len(user_agent), len(request))
    return blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).digest() + lengths


def given_id(raw_id: str) -> bytes:
    """The 16 bytes of a raw id. Raises ValueError for anything but 32 lower-case hex digits."""
    if len(raw_id) != 32 or (digits := bytes.fromhex(raw_id)).hex() != raw_id:
        raise ValueError(f"raw_id {raw_id[:80]!r} is not 32 hex digits")
    return digits


def packed_ids(hit_ids: Sequence[str]) -> bytes:
    """8 bytes for each short id. Raises ValueError for anything but 16 lower-case hex digits each."""
    joined = "".join(hit_ids)
    packed = bytes.fromhex(joined)
    if packed.hex() != joined or not set(map(len, hit_ids)) <= {16}:
        raise ValueError("hit_ids are not 16 hex digits each")
    return packed


def ids_of(packed: bytes) -> list[str]:
    """What `packed_ids` packed."""
    return [packed[at : at + 8].hex() for at in range(0, len(packed), 8)]


def with_start(deliveries: Sequence[Delivery], refused: list[tuple[Any, str]]) -> Sequence[Delivery]:
    """Those whose window has a start, which names them; the others join `refused`."""
    kept = [each for each in deliveries if each.window_start == each.window_start]
    if len(kept) < len(deliveries):
        refused += [
            (each, "window_start is no number") for each in deliveries if each.window_start != each.window_start
        ]
    return kept
