"""Columns of numbers as bytes, little-endian."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from typing import Any

__all__ = ["pack_numbers", "unpack_numbers"]


def pack_numbers(code: str, numbers: Iterable[float]) -> bytes:
    """`code`: the type of a number, as the module array has it."""
    packed: array[Any] = array(code, numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack_numbers(code: str, packed: bytes) -> array[Any]:
    """The other way round.

    Raises ValueError if its length is no multiple of a number's.
    """
    numbers: array[Any] = array(code)
    numbers.frombytes(packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
