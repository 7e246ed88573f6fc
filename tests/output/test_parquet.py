"""The .parquet file gives back what was written, with numbers of any size."""

import datetime
import json
from pathlib import Path

import pyarrow.parquet as pq

from app.output import open_writer
from app.output.columns import COLUMNS
from app.output.parquet import ParquetTable
from app.words import writable
from tests.output.deliveries import HOSTILE_TEXTS, delivery


def test_rows_have_the_columns_in_order_with_their_types(tmp_path: Path) -> None:
    path = tmp_path / "o.parquet"
    with open_writer(path) as writer:
        writer.write(delivery())
        writer.write(delivery(total_bytes=None, size_known=False, reason=None))
    table = pq.read_table(path)
    assert table.column_names == [*COLUMNS, "big_numbers"]
    first, second = table.to_pylist()
    assert first["byte_ranges"] == "0-499, 1000-1200"
    assert (first["covered_bytes"], first["total_bytes"], first["size_known"], first["hits"]) == (701, 2000, True, 3)
    assert first["last"] == datetime.datetime(2020, 7, 31, 16, 46, 8, 500000, tzinfo=datetime.UTC)
    assert (second["total_bytes"], second["reason"], second["size_known"], second["big_numbers"]) == (
        None,
        None,
        False,
        None,
    )


def test_hostile_texts_come_back(tmp_path: Path) -> None:
    path = tmp_path / "o.parquet"
    with open_writer(path) as writer:
        for text in HOSTILE_TEXTS:
            writer.write(delivery(request=text))
    assert pq.read_table(path)["request"].to_pylist() == [writable(text) for text in HOSTILE_TEXTS]


def test_numbers_beyond_64_bits_are_null_and_stand_with_all_digits_beside(tmp_path: Path) -> None:
    path = tmp_path / "o.parquet"
    with open_writer(path) as writer:
        writer.write(delivery(covered_bytes=2**63, total_bytes=2**63 - 1, bytes_sent=10**40, first=1e300))
    (row,) = pq.read_table(path).to_pylist()
    assert (row["covered_bytes"], row["total_bytes"], row["bytes_sent"], row["first"]) == (None, 2**63 - 1, None, None)
    assert json.loads(row["big_numbers"]) == {"covered_bytes": str(2**63), "bytes_sent": str(10**40)}


def test_rows_are_written_in_groups_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "o.parquet"
    table = ParquetTable(path, group_rows=10)
    for number in range(25):
        table.write(delivery(hits=number))
    table.finish()
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [10, 10, 5]
    assert file.read()["hits"].to_pylist() == list(range(25))


def test_no_deliveries_make_an_empty_table_with_columns(tmp_path: Path) -> None:
    path = tmp_path / "o.parquet"
    with open_writer(path):
        pass
    assert pq.read_table(path).num_rows == 0
