"""Calls to a worker's HTTP interface, by the clients that people have."""

from __future__ import annotations

import http.client
import json
import urllib.request
from typing import Any
from urllib.parse import urlsplit

__all__ = ["call", "post"]


def call(
    url: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, method: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, whatever the status is."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def post(url: str, path: str, payload: Any) -> tuple[int, dict[str, Any]]:
    """JSON in, JSON out."""
    status, _, body = call(url, path, json.dumps(payload).encode(), {"Content-Type": "application/json"})
    return status, json.loads(body)


def get(url: str, path: str) -> Any:
    with urllib.request.urlopen(url.rstrip("/") + path, timeout=20) as answer:
        return json.load(answer)
