"""The logs that are measured, simulated by a seed, and what every result is compared with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.failing import BenchError
from bench.processes import run_to_end
from tests.flow.content import TRUE_FIELDS, Content, differences, reduced, truth

__all__ = ["PEER_FIELDS", "Log", "check", "made", "narrowed", "simulated", "sparse"]

PEER_FIELDS = ("first", "last", "ranges", "hits", "bytes_sent")
"""What every peer can tell of a delivery; the rest follows from these or is known to the product alone."""
_PLACES = [TRUE_FIELDS.index(name) for name in PEER_FIELDS]


class Log(NamedTuple):
    """A log file and its true deliveries."""

    path: Path
    lines: int
    """Data lines: a head line comes on top."""
    wanted: Content
    """(ip address, agent, request, window start) -> the fields TRUE_FIELDS"""

    @property
    def keys(self) -> int:
        return len({key[:3] for key in self.wanted})

    @property
    def told(self) -> str:
        """For a note in the table."""
        return f"{self.lines:,} lines, {self.keys:,} keys"


def simulated(folder: Path, lines: int, form: str = "weblog_tsv", seed: int = 1, shape: str = "mixed") -> Log:
    """From the simulator, with its own truth."""
    path, answers = folder / f"{form}-{shape}-{lines}-{seed}.log", folder / f"{form}-{shape}-{lines}-{seed}.truth"
    options = [
        "-n",
        str(lines),
        "-s",
        str(seed),
        "--format",
        form,
        "--shape",
        shape,
        "-o",
        str(path),
        "--truth",
        str(answers),
        "-q",
    ]
    run_to_end([sys.executable, "-m", "app", "simulate", "weblogs", *options], folder / "simulate.log")
    return Log(path, lines, truth(answers))


def sparse(log: Log, folder: Path, keys: int, lines: int) -> Log:
    """The first lines of `keys` keys and later ones of the same keys, up to `lines`, in the log's order: many keys, few lines.

    For peers that would need an hour for all lines. Its oracle is `reduce`, which is compared with the simulator's truth on the whole log.
    """
    path = folder / f"sparse-{lines}.log"
    seen: set[bytes] = set()
    more, written = lines - keys, 0
    with log.path.open("rb") as source, path.open("wb") as target:
        target.write(next(source))
        for line in source:
            columns = line.split(b"\t")
            if columns[5] not in (b"200", b"206"):
                continue
            key = b"\t".join(columns[2:5]).partition(b" HTTP/")[0]
            if key not in seen and len(seen) < keys:
                seen.add(key)
            elif key in seen and more > 0:
                more -= 1
            else:
                continue
            target.write(line)
            written += 1
    return Log(path, written, reduced(path, fields=TRUE_FIELDS)[0])


def made(path: Path, rows: Iterator[tuple[float, int, int, int, int]]) -> Log:
    """A log from rows of (time, client number, file number, lo, hi), written as weblog_tsv; its oracle is `reduce`."""
    from simulator.lines import HEADS, line_writer

    write, lines = line_writer("weblog_tsv"), 0
    with path.open("w") as file:
        file.write(HEADS["weblog_tsv"])
        for time, client, name, lo, hi in rows:
            address = f"10.{client >> 16 & 255}.{client >> 8 & 255}.{client & 255}"
            agent = (
                f"Mozilla/5.0 (X11; Linux x86_64; rv:{60 + client % 50}.0) Gecko/20100101 Firefox/{60 + client % 50}.0"
            )
            file.write(write(int(time), address, agent, f"GET /media/film-{name}.mp4 HTTP/1.1", 206, lo, hi, -1, -1))
            lines += 1
    return Log(path, lines, reduced(path, fields=TRUE_FIELDS)[0])


def narrowed(wanted: Content) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """The fields PEER_FIELDS alone."""
    return {key: tuple(answer[place] for place in _PLACES) for key, answer in wanted.items()}


def check(
    what: str,
    found: Content | dict[tuple[Any, ...], tuple[Any, ...]],
    wanted: Content | dict[tuple[Any, ...], tuple[Any, ...]],
) -> None:
    """Raises BenchError where a result is not what it should be."""
    if wrong := differences(found, wanted):
        raise BenchError(f"{what}: the result is wrong: {wrong}")
