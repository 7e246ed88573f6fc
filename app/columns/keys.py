"""The delivery keys of hits in columns, as numbers: equal for what the domain reads as the same key."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.columns.blocks import Columns
from app.columns.groups import Groups, added
from app.domain.formats.values import REQUESTS
from app.domain.lines import decode
from app.domain.merging import Key
from app.domain.windows import Rules

__all__ = ["Keys", "groups_of_blocks"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Keys:
    """The keys of the hits in some blocks; unless `every_method`, those that are no GET have none."""

    def __init__(self, blocks: Sequence[Columns], every_method: bool = False) -> None:
        counts = np.concatenate([block.counts for block in blocks])
        address, self._addresses = _coded([block.ip_address for block in blocks], counts)
        agent, self._agents = _coded([block.user_agent for block in blocks], counts)
        request, logged = _coded([block.request for block in blocks], counts)
        read = [REQUESTS[text] for text in logged]
        request, self._requests = _one_number_a_text(request, [text for text, _ in read])
        # one request text has one method, however its protocol was logged
        self.methods = dict(read)
        """By request."""
        self.codes = (address * len(self._agents) + agent) * len(self._requests) + request
        """A number for each hit; -1 where its request does not count."""
        if not every_method and any(method != "GET" for _, method in read):
            counts = np.array([self.methods[text] == "GET" for text in self._requests])
            self.codes[~counts[request]] = -1

    def named(self, codes: Ints) -> list[Key]:
        """The keys that stand for some codes."""
        addresses, agents, requests = self._addresses, self._agents, self._requests
        rest, request = np.divmod(codes, max(1, len(requests)))
        address, agent = np.divmod(rest, max(1, len(agents)))
        triples = zip(address.tolist(), agent.tolist(), request.tolist(), strict=True)
        return [(addresses[i], agents[j], requests[k]) for i, j, k in triples]


def groups_of_blocks(blocks: Sequence[Columns], factors: tuple[int, int], rules: Rules) -> Groups:
    """The hits of some blocks of one format, with status 200 and 206 alone, by key."""
    times, positions, lo, hi = (np.concatenate(some) for some in zip(*[block[:4] for block in blocks], strict=True))
    details = None
    told = [(block.sent, block.total) for block in blocks if block.sent is not None and block.total is not None]
    if told:
        hi, details = added(lo, hi, *(np.concatenate(some) for some in zip(*told, strict=True)))
    return Groups(Keys(blocks), times, positions, lo, hi, factors, rules, details)


def _coded(columns: Sequence[pa.ChunkedArray], counts: Bools) -> tuple[Ints, list[str]]:
    """For each value that counts the number of its text; the texts. Bytes that are no UTF-8 may make two values one text."""
    encoded = pa.chunked_array([chunk for column in columns for chunk in column.chunks]).dictionary_encode().chunks
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in encoded])[counts].astype(np.int64)
    return _one_number_a_text(codes, [decode(value) for value in encoded[-1].dictionary.to_pylist()])


def _one_number_a_text(codes: Ints, texts: list[str]) -> tuple[Ints, list[str]]:
    numbers: dict[str, int] = {}
    number_of = [numbers.setdefault(text, len(numbers)) for text in texts]
    if len(numbers) == len(texts):
        return codes, texts
    return np.array(number_of)[codes], list(numbers)
