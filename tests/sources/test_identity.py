"""A source keeps its identity through renames, copies, rotation, packing and growth; another file has another one."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from app.errors import InputError, OutputError
from app.sources.files.read_options import ReadOptions
from app.sources.identity.identifier import Identifier, fingerprint
from app.sources.identity.registry import FolderRegistry, MemoryRegistry
from app.sources.replay.source import Input, open_source
from tests.sources.logs import log

OPTIONS = ReadOptions(chunk_bytes=1000)


@pytest.fixture(params=["folder", "memory"])
def identifier(request: pytest.FixtureRequest, tmp_path: Path) -> Identifier:
    return Identifier(FolderRegistry(tmp_path / "sources") if request.param == "folder" else MemoryRegistry())


def read(
    path: Path, identifier: Identifier, chunks: int | None = None, options: ReadOptions = OPTIONS
) -> tuple[str, list[int]]:
    """The source id and the positions of so many chunks, acknowledged; all of them and the end by default."""
    positions: list[int] = []
    with open_source(path, identifier, options) as opened:
        assert opened.source is not None
        for chunk, mark in opened.source.cut(opened.stream):
            if len(positions) == chunks:
                return opened.source.id, positions
            positions.append(chunk.position)
            opened.source.acknowledge(mark)
        opened.source.end()
        return opened.source.id, positions


def is_sent(path: Path, identifier: Identifier) -> bool:
    with open_source(path, identifier, OPTIONS) as opened:
        return opened.already_sent


def test_a_copy_a_rename_and_an_archive_are_the_same_source(tmp_path: Path, identifier: Identifier) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(log(100))
    first, _ = read(path, identifier)
    copy = tmp_path / "copy"
    copy.write_bytes(log(100))
    packed = tmp_path / "access.log.1.gz"
    packed.write_bytes(gzip.compress(log(100)))
    path.rename(tmp_path / "access.log.2")
    for other in (copy, packed, tmp_path / "access.log.2"):
        assert is_sent(other, identifier)
        with open_source(other, identifier, OPTIONS) as opened:
            assert opened.source is not None and opened.source.id == first and opened.source.lines == 100


def test_the_id_is_the_fingerprint_of_the_first_kib_after_the_head_lines(
    tmp_path: Path, identifier: Identifier
) -> None:
    head = b"#Version: 1.0\n#Fields: date time s-ip cs-method cs-uri-stem sc-status\n"
    lines = b"".join(b"2020-07-31 16:46:07 192.0.2.1 GET /%d 200\n" % number for number in range(100))
    ids = set()
    for number, extra in enumerate((b"", b"#Remark: another head\n")):
        path = tmp_path / f"{number}.log"
        path.write_bytes(extra + head + lines)
        ids.add(read(path, Identifier())[0])
    assert ids == {fingerprint(lines[:1024])}


def test_two_files_that_share_their_first_2_kib_are_two_sources(tmp_path: Path, identifier: Identifier) -> None:
    shared = log(60)
    assert len(shared) > 2048
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(shared + log(50, 1000))
    b.write_bytes(shared + log(50, 2000))
    first, second = read(a, identifier)[0], read(b, identifier)[0]
    assert first != second
    assert is_sent(a, identifier) and is_sent(b, identifier)
    assert (read(a, identifier)[0], read(b, identifier)[0]) == (first, second)


def test_two_files_that_share_their_beginning_are_told_apart_before_anything_was_sent(
    tmp_path: Path, identifier: Identifier
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(log(60) + log(5, 1000))
    b.write_bytes(log(60) + log(5, 2000))
    assert read(a, identifier, chunks=0)[0] != read(b, identifier, chunks=0)[0]


def test_two_files_that_share_more_than_was_sent_of_one_are_told_apart(tmp_path: Path, identifier: Identifier) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(log(60) + log(50, 1000))
    b.write_bytes(log(60) + log(50, 2000))
    first, positions = read(a, identifier, chunks=1)
    second, from_start = read(b, identifier)
    assert second != first and from_start[0] == 0
    again, rest = read(a, identifier)
    assert again == first and rest[0] > positions[0]


def test_a_third_file_of_the_same_beginning_is_a_third_source(tmp_path: Path, identifier: Identifier) -> None:
    ids = []
    for number in range(3):
        path = tmp_path / str(number)
        path.write_bytes(log(60) + log(5, 1000 * (number + 1)))
        ids.append(read(path, identifier)[0])
    assert len(set(ids)) == 3
    assert [read(tmp_path / str(number), identifier)[0] for number in range(3)] == ids


def test_a_short_file_keeps_its_id_while_it_grows(tmp_path: Path, identifier: Identifier) -> None:
    path = tmp_path / "access.log"
    ids, size = set(), 0
    for count in (1, 2, 3, 30, 300):
        path.write_bytes(log(count))
        id_, positions = read(path, identifier)
        ids.add(id_)
        assert positions[0] == size
        size = path.stat().st_size
    assert len(ids) == 1
    copy = tmp_path / "copy.gz"
    copy.write_bytes(gzip.compress(log(300)))
    assert is_sent(copy, identifier)


def test_a_file_that_shrank_is_another_source(tmp_path: Path, identifier: Identifier) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(log(100))
    first, _ = read(path, identifier)
    path.write_bytes(log(50))
    second, positions = read(path, identifier)
    assert second != first and positions[0] == 0


def test_a_file_whose_sent_lines_changed_is_another_source(tmp_path: Path, identifier: Identifier) -> None:
    path = tmp_path / "access.log"
    content = log(100)
    path.write_bytes(content)
    first, _ = read(path, identifier, chunks=3)
    path.write_bytes(content[:1500] + content[1500:].replace(b"GET /file-31 ", b"GET /FILE-31 "))
    second, positions = read(path, identifier)
    assert second != first and positions[0] == 0


@pytest.mark.parametrize("chunk_bytes", [100, 5000, 1 << 20])
def test_reading_goes_on_at_the_checkpoint_whatever_the_chunk_size(
    tmp_path: Path, identifier: Identifier, chunk_bytes: int
) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(log(100))
    first, positions = read(path, identifier, chunks=3)
    again, rest = read(path, identifier, options=OPTIONS._replace(chunk_bytes=chunk_bytes))
    assert again == first
    with open_source(path, identifier, OPTIONS) as opened:
        assert opened.already_sent and opened.source is not None and opened.source.lines == 100
    assert rest[0] == [chunk.position for chunk in Input(str(path), Identifier(), OPTIONS).chunks()][3] > positions[-1]


def test_an_unended_last_line_is_read_again_once_it_has_grown(tmp_path: Path, identifier: Identifier) -> None:
    path = tmp_path / "access.log"
    content = log(100)
    path.write_bytes(content[:-5])
    first, positions = read(path, identifier)
    last = len(log(99))
    assert positions[-1] == last
    assert is_sent(path, identifier)
    path.write_bytes(content)
    assert not is_sent(path, identifier)
    assert read(path, identifier) == (first, [last])


def test_a_name_given_on_purpose_makes_a_source_that_is_itself_known_again(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(log(100))
    registry = FolderRegistry(tmp_path / "sources")
    plain, _ = read(path, Identifier(registry))
    named, positions = read(path, Identifier(registry, "second try"))
    assert named != plain and positions[0] == 0
    assert is_sent(path, Identifier(registry, "second try"))
    other = tmp_path / "other.log"
    other.write_bytes(log(100, 500))
    assert read(other, Identifier(registry, "second try"))[0] != named


def test_a_file_with_one_line_without_newline_has_an_identity(tmp_path: Path, identifier: Identifier) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(log(1).strip())
    first, _ = read(path, identifier)
    path.write_bytes(log(3))
    assert read(path, identifier)[0] == first


def test_empty_files_and_files_of_head_lines_only_have_no_source(tmp_path: Path, identifier: Identifier) -> None:
    for content in (b"", b"#Version: 1.0\n#Fields: date time s-ip cs-method cs-uri-stem sc-status\n"):
        path = tmp_path / "empty"
        path.write_bytes(content)
        with open_source(path, identifier, OPTIONS) as opened:
            assert opened.source is None and opened.is_empty


def test_checkpoints_survive_as_files_and_a_damaged_one_is_said(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(log(100))
    read(path, Identifier(FolderRegistry(tmp_path / "sources")))
    (stored,) = [
        Path(folder) / name
        for folder, _, names in os.walk(tmp_path / "sources")
        for name in names
        if name.endswith(".json")
    ]
    assert json.loads(stored.read_bytes())["lines"] == 100
    stored.write_bytes(b"{")
    with pytest.raises(InputError, match=f"the checkpoint {stored} cannot be read"):
        read(path, Identifier(FolderRegistry(tmp_path / "sources")))


def test_a_place_that_can_hold_no_checkpoints_is_said(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(log(100))
    with pytest.raises(OutputError, match="set WEBLOGS_DATA_DIR to a writable folder"):
        read(path, Identifier(FolderRegistry(path / "sources")))
