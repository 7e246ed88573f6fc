"""The family of user agents, such as Firefox or Googlebot, by the rules of ua-parser."""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["OTHER", "family_of", "list_version"]

OTHER = "Other"
"""An agent of no family that the rules know."""


def list_version() -> str:
    """Name and version, for the head of a report."""
    from importlib.metadata import version  # slow to load, and few questions need it

    return f"ua-parser-builtins {version('ua-parser-builtins')}"


@cache
def _resolver() -> Any:
    from ua_parser.loaders import load_lazy_builtins
    from ua_parser.regex import Resolver

    return Resolver(load_lazy_builtins())


def family_of(agent: str) -> str:
    """The first rule that fits names it."""
    from ua_parser import Domain

    found = _resolver()(agent, Domain.USER_AGENT).user_agent
    return found.family if found is not None else OTHER
