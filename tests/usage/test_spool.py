"""The spool: what is on disk is read again, whatever is cut or altered beside it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import UnknownForm
from app.usage.spool import HEAD, Damage, Frame, Spool, frames, mark_of, owner_of, records_of, spools_of
from tests.properties import examples

MANY = 1 << 30


def made(root: Path, segment_bytes: int = MANY, limit_bytes: int = MANY) -> Spool:
    return Spool.created(root, "shop", "m1", "ab" * 16, segment_bytes, limit_bytes)


def texts(found: list[Frame | Damage]) -> list[bytes]:
    return [each.record for each in found if isinstance(each, Frame)]


RECORDS = st.lists(st.binary(max_size=30).map(lambda data: data.hex().encode()), min_size=1, max_size=8)


@settings(max_examples=examples(60), deadline=None)
@given(RECORDS, st.data())
def test_an_altered_byte_costs_its_record_only_and_is_told(records: list[bytes], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        spool = made(Path(folder))
        spool.append([(b"k", record) for record in records])
        spool.close()
        (path,) = spool.folder.glob("*.seg")
        whole = path.read_bytes()
        at = data.draw(st.integers(len(HEAD), len(whole) - 1))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
        found = list(frames(path))
        left = list(records)
        ends = [len(HEAD)]
        for record in records:
            ends.append(ends[-1] + 12 + len(b"k\0") + len(record))
        hit = next(number for number in range(len(records)) if ends[number] <= at < ends[number + 1])
        del left[hit]
        assert texts(found) == left
        (damage,) = [each for each in found if isinstance(each, Damage)]
        assert (damage.first, damage.last) == (ends[hit], ends[hit + 1] - 1)
        assert damage.why == ("cut" if hit == len(records) - 1 else "damaged")


@settings(max_examples=examples(60), deadline=None)
@given(RECORDS, st.data())
def test_of_a_cut_segment_every_record_before_the_cut_is_read_and_the_rest_is_told(
    records: list[bytes], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        spool = made(Path(folder))
        spool.append([(b"k", record) for record in records])
        spool.close()
        (path,) = spool.folder.glob("*.seg")
        whole = path.read_bytes()
        length = data.draw(st.integers(1, len(whole)))
        path.write_bytes(whole[:length])
        found = list(frames(path))
        assert texts(found) == records[: len(texts(found))]
        read = max([each.end for each in found if isinstance(each, Frame)], default=len(HEAD))
        assert any(isinstance(each, Damage) for each in found) == (read != length)


def test_a_segment_of_another_form_is_refused(tmp_path: Path) -> None:
    spool = made(tmp_path)
    spool.append([(b"k", b"{}")])
    spool.close()
    (path,) = spool.folder.glob("*.seg")
    path.write_bytes(path.read_bytes().replace(HEAD, b"usage spool 2\n"))
    with pytest.raises(UnknownForm, match="has form 2; this program knows form 1"):
        list(frames(path))


def test_a_whole_frame_that_is_no_record_is_told(tmp_path: Path) -> None:
    spool = made(tmp_path)
    spool.append([(b"k", b"[1]")])
    spool.close()
    ((_, found),) = records_of(spool.folder)
    assert isinstance(found, Damage)


def test_what_is_not_sent_is_read_again_by_another_process_from_where_the_broker_has_it(tmp_path: Path) -> None:
    spool = made(tmp_path, segment_bytes=1)
    for number in range(5):
        spool.append([(b"k", b"%d" % number)])
    assert len(list(spool.folder.glob("*.seg"))) == 5
    places = [place for place, _ in spool.unsent()]
    spool.set_sent(places[2])
    spool.close()
    again = Spool(spool.folder, MANY, MANY)
    assert texts([found for _, found in again.unsent()]) == [b"3", b"4"] and not again.is_sent
    again.set_sent(places[4])
    assert list(again.unsent()) == [] and again.is_sent
    again.close()


def test_a_damaged_place_makes_all_be_sent_again_and_nothing_be_lost(tmp_path: Path) -> None:
    spool = made(tmp_path)
    spool.append([(b"k", b"1"), (b"k", b"2")])
    spool.set_sent(spool.end)
    (spool.folder / "sent").write_bytes(b"\0")
    assert texts([found for _, found in spool.unsent()]) == [b"1", b"2"]
    spool.close()


def test_a_place_with_another_number_or_of_another_start_makes_all_be_sent_again(tmp_path: Path) -> None:
    spool, other = made(tmp_path), Spool.created(tmp_path, "shop", "m1", "cd" * 16, MANY, MANY)
    spool.append([(b"k", b"1"), (b"k", b"2")])
    other.append([(b"k", b"3")])
    spool.set_sent(spool.end)
    whole = (spool.folder / "sent").read_bytes()
    assert spool.is_sent
    (other.folder / "sent").write_bytes(whole)
    assert texts([found for _, found in other.unsent()]) == [b"3"]
    for at, byte in enumerate(whole):
        if chr(byte).isdigit():
            (spool.folder / "sent").write_bytes(whole[:at] + bytes([byte ^ 1]) + whole[at + 1 :])
            assert texts([found for _, found in spool.unsent()]) == [b"1", b"2"]
    spool.close()
    other.close()


def test_a_place_of_an_older_version_is_read(tmp_path: Path) -> None:
    spool = made(tmp_path)
    spool.append([(b"k", b"1")])
    (spool.folder / "sent").write_text(f"[1, 1, {spool.end.offset}]")
    assert spool.is_sent
    spool.close()


def test_a_spool_of_a_living_owner_is_not_taken(tmp_path: Path) -> None:
    spool = made(tmp_path)
    with pytest.raises(BlockingIOError):
        Spool(spool.folder, MANY, MANY)
    spool.close()
    Spool(spool.folder, MANY, MANY).close()


def test_owner_and_mark_tell_who_it_was_and_how_far_it_came(tmp_path: Path) -> None:
    spool = made(tmp_path)
    spool.mark[1] = 41
    spool.mark[1] = 42
    assert spools_of(tmp_path) == [spool.folder]
    assert (owner_of(spool.folder), mark_of(spool.folder)) == (f"shop@m1/{'ab' * 16}", 42)
    spool.close()
    Spool(spool.folder, MANY, MANY).close()
    assert mark_of(spool.folder) == 42
    (spool.folder / "mark").write_bytes(b"")
    (spool.folder / "owner").write_bytes(b"x")
    assert (owner_of(spool.folder), mark_of(spool.folder)) == (None, None)


def test_a_full_spool_refuses_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    spool = made(tmp_path, segment_bytes=1, limit_bytes=100)
    spool.append([(b"k", b"1" * 40)])
    with pytest.raises(OSError, match="its limit is 100"):
        spool.append([(b"k", b"2" * 40)])
    assert texts([found for _, found in spool.unsent()]) == [b"1" * 40]
    spool.set_sent(spool.end)
    spool.close()


def test_only_sent_segments_are_trimmed_the_oldest_first(tmp_path: Path) -> None:
    spool = made(tmp_path, segment_bytes=1)
    for number in range(4):
        spool.append([(b"k", b"%d" % number)])
    spool.trim(0)
    assert len(list(spool.folder.glob("*.seg"))) == 4
    spool.set_sent([place for place, _ in spool.unsent()][2])
    spool.trim(0)
    assert sorted(path.stem for path in spool.folder.glob("*.seg")) == ["00000003", "00000004"]
    assert texts([found for _, found in spool.unsent()]) == [b"3"]
    spool.close()
