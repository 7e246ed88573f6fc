"""Delivery keys as numbers: equal for what the domain reads as the same key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.columns.blocks import LineColumns
from app.columns.texts import Texts
from app.domain.key_hits import Key
from app.domain.proof import may_be_compressed

__all__ = ["KeyNames", "ListedKeys", "TextKeys"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class KeyNames(Protocol):
    """Which key each number is."""

    def named(self, codes: Ints, /) -> list[Key]:
        """The keys that some numbers are."""

    def methods(self, keys: Sequence[Key], codes: Ints, /) -> list[str | None]:
        """The methods of some keys and their numbers."""

    def are_get(self, codes: Ints, /) -> Bools | None:
        """Whether the method of each key is GET; None if all are."""

    def are_compressible(self, codes: Ints, /) -> Bools:
        """Whether servers compress what each key asks for."""


class ListedKeys:
    """Keys numbered in a row."""

    def __init__(self, keys: list[Key], methods: list[str | None]) -> None:
        self.keys, self.all_methods = keys, methods

    def named(self, codes: Ints) -> list[Key]:
        keys = self.keys
        return [keys[code] for code in codes.tolist()]

    def methods(self, keys: Sequence[Key], codes: Ints) -> list[str | None]:
        return [self.all_methods[code] for code in codes.tolist()]

    def are_get(self, codes: Ints) -> Bools | None:
        return _chosen([method == "GET" for method in self.all_methods], codes)

    def are_compressible(self, codes: Ints) -> Bools:
        return _flags([request for _, _, request in self.keys], codes)


class TextKeys:
    """The keys of lines: one number of the numbers of three texts."""

    def __init__(self, blocks: Sequence[LineColumns]) -> None:
        address, self._addresses = _numbered([block.ip_address for block in blocks])
        agent, self._agents = _numbered([block.user_agent for block in blocks])
        logged = _joined([block.request for block in blocks])
        read = logged.requests
        request, self._requests = _one_number_a_text(logged.codes.astype(np.int64), [text for text, _, _ in read])
        # one request text has one method, however its protocol was logged
        self._method_of: dict[str, str | None] = {text: method for text, method, _ in read}
        self.codes: Ints = (address * len(self._agents) + agent) * len(self._requests) + request
        """The number of each hit's key."""

    def named(self, codes: Ints) -> list[Key]:
        addresses, agents, requests = self._addresses, self._agents, self._requests
        rest, request = np.divmod(codes, max(1, len(requests)))
        address, agent = np.divmod(rest, max(1, len(agents)))
        triples = zip(address.tolist(), agent.tolist(), request.tolist(), strict=True)
        return [(addresses[i], agents[j], requests[k]) for i, j, k in triples]

    def methods(self, keys: Sequence[Key], codes: Ints) -> list[str | None]:
        return [self._method_of[request] for _, _, request in keys]

    def are_get(self, codes: Ints) -> Bools | None:
        requests = self._requests
        return _chosen([self._method_of[text] == "GET" for text in requests], codes % max(1, len(requests)))

    def are_compressible(self, codes: Ints) -> Bools:
        return _flags(self._requests, codes % max(1, len(self._requests)))


def _chosen(are_get: list[bool], numbers: Ints) -> Bools | None:
    if all(are_get):
        return None
    chosen: Bools = np.array(are_get, np.bool_)[numbers]
    return chosen


def _flags(requests: Sequence[str], numbers: Ints) -> Bools:
    flags: Bools = np.array([may_be_compressed(request) for request in requests], np.bool_)[numbers]
    return flags


def _joined(columns: Sequence[Texts]) -> Texts:
    """Some columns, one behind the other."""
    if len(columns) == 1:
        return columns[0]
    chunks = pa.chunked_array([texts.coded for texts in columns]).unify_dictionaries().chunks
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in chunks])
    return Texts(pa.DictionaryArray.from_arrays(codes, chunks[-1].dictionary))


def _numbered(columns: Sequence[Texts]) -> tuple[Ints, list[str]]:
    """For each line of some columns, one behind the other, the number of its text; the texts, each once."""
    joined = _joined(columns)
    codes = joined.codes.astype(np.int64)
    return (codes, joined.texts) if joined.are_distinct else _one_number_a_text(codes, joined.texts)


def _one_number_a_text(codes: Ints, texts: list[str]) -> tuple[Ints, list[str]]:
    if len(set(texts)) == len(texts):  # nearly always
        return codes, texts
    numbers: dict[str, int] = {}
    number_of = [numbers.setdefault(text, len(numbers)) for text in texts]
    return np.array(number_of)[codes], list(numbers)
