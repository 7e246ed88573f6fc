"""Chooses the writer by the ending of the file and keeps its promise: the file is whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from app.domain.records import Delivery
from app.errors import WrongOutput
from app.output.replacing import STDOUT, Replacement, explained

__all__ = ["ENDINGS", "Writer", "check_ending", "open_writer"]

ENDINGS = (".tsv", ".csv", ".jsonl", ".parquet", ".xlsx")


class Sheet(Protocol):
    """One kind of table being written to an open file."""

    def write(self, delivery: Delivery) -> None: ...
    def finish(self) -> None:
        """Write what is held back and close."""

    def abandon(self) -> None:
        """Close without caring for the content."""


class Writer:
    """Takes deliveries one by one. A context manager: leaving it in peace completes the output, an exception removes it."""

    def __init__(self, sheet: Sheet, replacement: Replacement | None = None, name: Path | None = None) -> None:
        self.rows = 0
        self._sheet = sheet
        self._replacement = replacement
        self._name = name

    def __enter__(self) -> Self:
        return self

    def write(self, delivery: Delivery) -> None:
        """OutputError when the system refuses, for instance because the disk is full."""
        if self._name is None:
            self._sheet.write(delivery)
        else:
            try:
                self._sheet.write(delivery)
            except OSError:
                with explained(self._name):
                    raise
        self.rows += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._give_up()
            return
        try:
            with explained(self._name or STDOUT):
                self._sheet.finish()
            if self._replacement:
                self._replacement.commit()
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        try:
            self._sheet.abandon()
        finally:
            if self._replacement:
                self._replacement.discard()


def check_ending(path: Path) -> str:
    """The ending of a file that can be written; WrongOutput that lists them for another."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        said = f"ends with {path.suffix!r}" if path.suffix else "has no ending"
        raise WrongOutput(
            f"{path}: the name {said}; name a file that ends with {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        )
    return ending


def open_writer(path: Path | None) -> Writer:
    """A writer to the file, by its ending, or to the screen. OutputError before any work where it cannot be written."""
    if path is None:
        from app.output.screen import ScreenTable

        return Writer(ScreenTable())
    make = _maker(check_ending(path))
    replacement = Replacement(path)
    try:
        with explained(path):
            sheet = make(replacement.path)
    except BaseException:
        replacement.discard()
        raise
    return Writer(sheet, replacement, path)


def _maker(ending: str) -> Callable[[Path], Sheet]:
    if ending == ".xlsx":
        from app.output.xlsx import XlsxTable

        return XlsxTable
    if ending == ".parquet":
        from app.output.parquet import ParquetTable

        return ParquetTable
    from app.output.text import CsvTable, JsonLines, TsvTable

    if ending == ".jsonl":
        return JsonLines
    return TsvTable if ending == ".tsv" else CsvTable
