"""Whether a server answers: asked as its clients ask."""

from __future__ import annotations

import base64
import logging
import socket
import urllib.request
import warnings
from collections.abc import Callable

__all__ = ["PROBES"]

TIMEOUT_S = 5.0


def _listens(port: int) -> bool:
    """Connect and close, send nothing: a server that is starting logs an error for anything else."""
    with socket.socket() as probe:
        probe.settimeout(TIMEOUT_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _kafka(port: int, _password: str) -> bool:
    """The listener without login gives the list of topics."""
    if not _listens(port):
        return False
    from kafka import KafkaConsumer
    from kafka.errors import KafkaError

    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=f"127.0.0.1:{port}", request_timeout_ms=5000, bootstrap_timeout_ms=5000
        )
        try:
            consumer.topics()
        finally:
            consumer.close()
    except (KafkaError, OSError, ValueError):
        return False
    return True


def _elasticsearch(port: int, password: str) -> bool:
    """200, and its primary shards are there."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/_cluster/health?wait_for_status=yellow&timeout=1s")
    if password:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"elastic:{password}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status == 200
    except OSError:
        return False


def _cassandra(port: int, password: str) -> bool:
    """The driver gets in and reads a row; it gives its login only where it is asked for one."""
    if not _listens(port):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cassandra.auth import PlainTextAuthProvider
        from cassandra.cluster import Cluster, NoHostAvailable, OperationTimedOut
        from cassandra.protocol import ErrorMessage

        logging.getLogger("cassandra").setLevel(logging.CRITICAL)
        login = PlainTextAuthProvider("cassandra", password)
        cluster = Cluster(["127.0.0.1"], port=port, auth_provider=login, connect_timeout=TIMEOUT_S, protocol_version=5)
        try:
            cluster.connect().execute("SELECT release_version FROM system.local", timeout=TIMEOUT_S)
        except (NoHostAvailable, OperationTimedOut, ErrorMessage, OSError):
            return False
        finally:
            cluster.shutdown()
    return True


PROBES: dict[str, Callable[[int, str], bool]] = {
    "kafka": _kafka,
    "elasticsearch": _elasticsearch,
    "cassandra": _cassandra,
}
"""Kind -> whether the server on this port of 127.0.0.1 answers; with the password where logins are on."""
