"""Seconds of CPU that the program on sys.path takes to read some files: run by bench.kernels from the tree of each commit.

Arguments: how often each is read; then format=path … Writes JSON: kernel -> [seconds, hits, sum of bytes sent].
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    """The quickest of several readings counts: what disturbs a reading makes it slower, and never quicker."""
    formats: Any = import_module("app.domain.formats")
    read_lines: Any = import_module("app.domain.lines").read_lines
    read_block, of_columns = _columns()
    told: dict[str, list[float]] = {}
    times, now = int(sys.argv[1]), time.time()
    for word in sys.argv[2:]:
        name, _, path = word.partition("=")
        if name not in formats.FORMATS:
            continue
        data = Path(path).read_bytes()
        best = float("inf")
        for _ in range(times + 1):
            parse = formats.FORMATS[name].make_parser((), formats.FormatOptions())
            began = time.process_time()
            read = read_lines(data, parse, now, header_row=name == "weblog_tsv")
            best = min(best, time.process_time() - began)
        told[f"{name}, rows"] = [best, len(read.hits), sum(hit[8] or 0 for hit in read.hits)]
        if name not in of_columns:
            continue
        best = float("inf")
        for _ in range(times + 1):
            began = time.process_time()
            block = read_block(name, data, now, 0, name == "weblog_tsv", True)
            best = min(best, time.process_time() - began)
        told[f"{name}, columns"] = [best, len(block.times) + len(block.other.hits), int(block.statuses.sum())]
    print(json.dumps(told))


def _columns() -> tuple[Any, Any]:
    """The reader of columns, and its formats; the package had another name."""
    try:
        found: Any = import_module("app.columns.formats")
    except ModuleNotFoundError:
        found = import_module("app.kernels.reading")
        return found.read_block, found.FORMATS
    return found.read_block, found.COLUMN_FORMATS


if __name__ == "__main__":
    main()
