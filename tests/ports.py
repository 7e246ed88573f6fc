"""Ports of 127.0.0.1 for the servers that tests start."""

from __future__ import annotations

import random
import socket

__all__ = ["free_port"]

_PORTS = range(10_000, 17_000)
"""Below those that the kernel gives to connections, so that none of them takes the port before its server does; below those of
tests.services, too."""
_given: set[int] = set()


def free_port() -> int:
    """One where nobody listens, never the same twice in one process."""
    chooser = random.SystemRandom()  # another one may have been seeded alike in each process of the tests
    for _ in range(1000):
        port = chooser.choice(_PORTS)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError(f"no port of {_PORTS.start} to {_PORTS.stop - 1} is free")
