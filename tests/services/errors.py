"""What goes wrong with a server that tests run."""

from __future__ import annotations

__all__ = ["ServiceError"]


class ServiceError(Exception):
    """A server cannot be started, or does not answer; the text is a sentence for the person at the terminal."""
