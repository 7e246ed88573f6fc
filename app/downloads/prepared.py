"""The windows of the default question, prepared in a file of hits: they answer it by file or day, for any days and rows."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pyarrow as pa

from app.columns.blocks import Floats, Ints
from app.domain.windows import DAY_S
from app.downloads.columns import WindowColumns, windows_in
from app.downloads.lists import Lists, open_lists
from app.downloads.rules import RULES_VERSION, DownloadRules
from app.reports.facts import Facts
from app.reports.hits import PLAIN_NAMES
from app.reports.prepared import answer_in
from app.reports.reading import Inputs

__all__ = ["MOST_HELD", "PreparedDownloads", "windows_in_file"]

MOST_HELD = 1 << 20
"""So many requests are counted as columns."""
_ZONE = "UTC"
_ABOUT = b"about"


def _by(asked: DownloadRules, zone: str, lists: Lists) -> str:
    """All that windows depend on beside the hits; empty if they depend on more than can be named."""
    if not lists.facts or zone != _ZONE:
        return ""
    return json.dumps([RULES_VERSION, *asked[:-1], sorted(asked.extensions), lists.facts])


class PreparedDownloads:
    """Prepares them."""

    columns = PLAIN_NAMES

    def __init__(self) -> None:
        from app.downloads.sifting import Sifting  # what reads logs takes as long to import as a small report

        self._asked, lists = DownloadRules(), open_lists()
        self.by = _by(self._asked, _ZONE, lists)
        self._sifting = Sifting(lists, self._asked, tells=False)
        self._left_out: Counter[str] = Counter()
        self._pieces: list[pa.Table] = []
        self._room = MOST_HELD

    def take(self, table: pa.Table) -> None:
        if self._room >= 0:
            sifted = self._sifting.sift_table(table)
            self._left_out.update(sifted.left_out)
            self._pieces += sifted.pieces
            self._room -= sum(piece.num_rows for piece in sifted.pieces)

    def data(self) -> pa.Buffer | None:
        if self._room < 0:
            return None
        columns = {}
        about: dict[str, object] = {"left_out": self._left_out}
        if self._pieces:
            windows = windows_in(self._pieces, self._asked, {}, _days)
            columns = {name: pa.array(column) for name, column in zip(windows._fields[:-2], windows, strict=False)}
            columns["file"] = pa.DictionaryArray.from_arrays(
                pa.array(windows.file), pa.array(windows.files, pa.string())
            )
            about["rules"] = windows.rules
        record = pa.record_batch(columns).replace_schema_metadata({_ABOUT: json.dumps(about)})
        made = pa.BufferOutputStream()
        with pa.ipc.new_stream(made, record.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
            stream.write_batch(record)
        return made.getvalue()


def _days(times: Floats) -> Ints:
    days: Ints = np.floor(times / DAY_S).astype(np.int64)
    return days


def windows_in_file(
    inputs: Inputs, asked: DownloadRules, zone: str, lists: Lists
) -> tuple[Facts, Counter[str], WindowColumns | None] | None:
    """What was read, requests that single rules leave out, and windows if there are some; None if the inputs have none prepared so."""
    answer = answer_in(inputs, "downloads", _by(asked, zone, lists), PLAIN_NAMES)
    if answer is None:
        return None
    (record,) = pa.ipc.open_stream(answer.data)
    about, windows = json.loads(record.schema.metadata[_ABOUT]), None
    if record.num_rows:
        columns = {name: record.column(name) for name in record.schema.names}
        file = columns.pop("file")
        numbers = {name: column.to_numpy() for name, column in columns.items()}
        windows = WindowColumns(
            **numbers, file=file.indices.to_numpy(), files=file.dictionary.to_pylist(), rules=about["rules"]
        )
    return answer.facts, Counter(about["left_out"]), windows
