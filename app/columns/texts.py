"""The texts of a chunk of lines, each once, and the number of each line's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.domain.formats.values import REQUESTS
from app.domain.lines import decode

__all__ = ["Texts", "coded", "combined", "numbered"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Texts:
    """A text a line; they are numbered when somebody asks for the numbers."""

    def __init__(self, column: pa.BinaryArray | pa.DictionaryArray) -> None:
        self._column = column

    @cached_property
    def coded(self) -> pa.DictionaryArray:
        return self._column.dictionary_encode()

    @property
    def codes(self) -> NDArray[np.int32]:
        """The number of each line's text."""
        codes: NDArray[np.int32] = self.coded.indices.to_numpy()
        return codes

    @property
    def values(self) -> pa.BinaryArray:
        """The bytes of the texts, each once."""
        return self.coded.dictionary

    @cached_property
    def _read(self) -> tuple[list[str], bool]:
        """The texts as lines are decoded, and whether some have bytes that are no UTF-8, which are escaped."""
        values = self.values
        try:
            return values.cast(pa.string()).to_pylist(), False
        except pa.ArrowInvalid:
            return [decode(value) for value in values.to_pylist()], True

    @property
    def texts(self) -> list[str]:
        """Two of them are equal only if bytes that are no UTF-8 are escaped."""
        return self._read[0]

    @property
    def are_distinct(self) -> bool:
        """Whether no two texts are equal."""
        texts, are_escaped = self._read
        return not are_escaped or len(set(texts)) == len(texts)

    @cached_property
    def requests(self) -> list[tuple[str, str | None, int]]:
        """What each of the texts is as a request: see REQUESTS."""
        return [REQUESTS[text] for text in self.texts]

    @property
    def protocol_flags(self) -> Ints:
        """What the protocol of each of the requests sets."""
        return np.array([flags for _, _, flags in self.requests], np.int64)

    def of(self, lines: Bools) -> Texts:
        """Those of some lines."""
        if lines.all():
            return self
        known: pa.BinaryArray | pa.DictionaryArray = self.__dict__.get("coded", self._column)
        return Texts(known.filter(pa.array(lines)))


def combined(some: Sequence[Texts], lines: int) -> tuple[Ints, list[tuple[str, ...]]]:
    """For each line the number of its texts, and these, each combination once."""
    if len(some) == 1:
        return some[0].codes.astype(np.int64), [(text,) for text in some[0].texts]
    numbers = np.zeros(lines, np.int64)
    for texts in some:
        numbers = numbers * len(texts.values) + texts.codes
    used, numbers = np.unique(numbers, return_inverse=True)
    columns = []
    for texts in reversed(some):
        used, codes = np.divmod(used, len(texts.values))
        columns.append(list(map(texts.texts.__getitem__, codes.tolist())))
    return numbers, list(zip(*reversed(columns), strict=True)) if columns else [()]


def numbered(numbers: NDArray[np.integer[Any]], texts: Sequence[str | None]) -> tuple[Texts, Bools]:
    """A text a line, each text once; and which lines have one."""
    codes: dict[str, int] = {}
    code_of = [codes.setdefault("" if text is None else text, len(codes)) for text in texts]
    has_one = np.array([text is not None for text in texts])[numbers]
    return coded(np.array(code_of, np.int32)[numbers], [text.encode() for text in codes]), has_one


def coded(codes: Any, values: list[bytes]) -> Texts:
    return Texts(pa.DictionaryArray.from_arrays(codes, pa.array(values, pa.binary())))
