"""How the benchmark ends when something is missing or wrong."""

from __future__ import annotations

__all__ = ["BenchError"]


class BenchError(Exception):
    """One sentence: what, and what to do next."""
