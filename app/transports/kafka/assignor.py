"""Deals out the partitions of topics that the group's leader has not heard of yet.

A leader that asked for its topics while the broker was away knows none, and would give every member nothing. A member with a fixed id
that is started again then takes over its nothing without a rebalance, and nobody asks again. How many partitions there are is a setting, which
the worker compares with the broker when it starts, so nobody needs to be asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["KnownTopics"]


class KnownTopics:
    """An assignor of aiokafka or Faust for which every topic has partitions."""

    def __init__(self, assignor: Any, partitions: int) -> None:
        """`partitions`: of each topic that the broker has not told of."""
        self._assignor, self._partitions = assignor, partitions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._assignor, name)

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> Mapping[str, Any]:
        """Member -> what it gets."""
        told: Mapping[str, Any] = self._assignor.assign(_Cluster(cluster, self._partitions), members)
        return told


class _Cluster:
    """The cluster as the client knows it, and what it does not know of topics."""

    def __init__(self, cluster: Any, partitions: int) -> None:
        self._cluster, self._partitions = cluster, partitions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def partitions_for_topic(self, topic: str) -> set[int]:
        return self._cluster.partitions_for_topic(topic) or set(range(self._partitions))
