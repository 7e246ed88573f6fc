"""Records in a Parquet file: several columns in one group, some of which cannot hold a value."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from app.archiving.parquet import read_archive, write_archive
from app.domain.usage.records import UsageRecord
from tests.domain.usage.test_records import RECORDS


@given(st.lists(RECORDS, max_size=4))
def test_any_records_come_back_together_exactly(records: list[UsageRecord]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        assert write_archive(path, records) == len(records)
        assert list(read_archive(path)) == records
