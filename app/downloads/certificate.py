"""A certificate of a count: with it and the same inputs anybody computes the same count, bit for bit."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from app.downloads.counting import Count, DownloadPlan, sorted_rows
from app.downloads.rules import RULES, RULES_VERSION
from app.errors import InputError

__all__ = ["Fingerprint", "certificate", "fingerprints", "same_as_before"]

_FORM = 1
_BLOCK_BYTES = 1 << 20


class Fingerprint(NamedTuple):
    """A file as it was read."""

    name: str
    """As the command names it."""
    size_bytes: int
    sha256: str
    changed_ns: int
    """Tells whether it changed since; stands in no certificate."""

    @property
    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "bytes": self.size_bytes, "sha256": self.sha256}


def fingerprints(paths: Sequence[str]) -> list[Fingerprint]:
    """Of files as they are, compressed or not. Raises InputError for what is no regular file, which nobody can read again."""
    return [_fingerprint(path) for path in paths]


def _fingerprint(path: str) -> Fingerprint:
    if not Path(path).is_file():
        raise InputError(f"{path} is no file: a certificate names files that anybody can read again; save it to a file")
    try:
        with Path(path).open("rb") as file:
            digest, status = sha256(), Path(path).stat()
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    return Fingerprint(path, status.st_size, digest.hexdigest(), status.st_mtime_ns)


def same_as_before(known: Sequence[Fingerprint]) -> None:
    """Raises InputError if a file changed since its fingerprint was taken."""
    for each in known:
        status = Path(each.name).stat() if Path(each.name).exists() else None
        if status is None or (status.st_size, status.st_mtime_ns) != (each.size_bytes, each.changed_ns):
            raise InputError(f"{each.name} changed while it was read: certify a file that nobody writes to any more")


def certificate(
    plan: DownloadPlan,
    found: Count,
    inputs: Sequence[Fingerprint],
    episodes: Sequence[Fingerprint],
    command: Sequence[str],
) -> bytes:
    """JSON, UTF-8, the same bytes for the same inputs, lists and command; nothing in it depends on clock or machine."""
    asked = plan.asked
    value = {
        "form": _FORM,
        "standard": "IAB Tech Lab Podcast Technical Measurement 2.3, 5.5.1 to 5.5.4; counted by this program, audited by nobody",
        "command": shlex.join(command),
        "rules": {
            "version": RULES_VERSION,
            "window": asked.window,
            "threshold_seconds": asked.seconds if asked.seconds is not None else "whole file",
            "bit_rate_kbit": asked.bit_rate_kbit,
            "extensions": sorted(asked.extensions),
            "zone": plan.zone,
            "from": str(plan.first_day) if plan.first_day else None,
            "to": str(plan.last_day) if plan.last_day else None,
            "left_out": RULES,
        },
        "reading": {"format": plan.read.format, **plan.read.format_options._asdict()},
        "lists": [each._asdict() for each in plan.lists.facts],
        "inputs": [each.as_json for each in inputs],
        "episodes": [each.as_json for each in episodes],
        "counts": {
            "lines": found.facts.lines,
            "head_lines": found.facts.heads,
            "rejects": dict(sorted(found.facts.rejects.items())),
            "requests": found.facts.hits,
            "left_out": {rule: found.left_out[rule] for rule in RULES},
            "downloads": found.downloads,
            "listeners": found.listeners,
            plan.by: {key: vars(row) for key, row in sorted_rows(found, plan.by)},
        },
        "notes": found.facts.notes,
    }
    return json.dumps(value, indent=1, ensure_ascii=True, default=str).encode() + b"\n"
