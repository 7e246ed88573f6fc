"""The answers a third way: sets of byte numbers, for small files only. Written from the rules, not from either code."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.truth import Shot


def runs_of(numbers: set[int]) -> list[list[int]]:
    """Sorted runs of a set of integers."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs


def bytes_delivered(shots: Iterable[Shot]) -> set[int]:
    """Every single byte that some response sent."""
    delivered: set[int] = set()
    for shot in shots:
        if shot.lo >= 0:
            length = shot.hi - shot.lo + 1
            delivered |= set(range(shot.lo, shot.lo + (length if shot.sent < 0 else min(length, shot.sent))))
    return delivered


def sessions_by_pairs(times: list[int], length_s: float) -> set[frozenset[int]]:
    """Sessions as the components of `less than a length apart`, found by spreading from each time."""
    sessions = set()
    for first in times:
        component, grown = {first}, True
        while grown:
            near = {other for other in times if any(abs(other - one) < length_s for one in component)}
            grown = near != component
            component = near
        sessions.add(frozenset(component))
    return sessions
