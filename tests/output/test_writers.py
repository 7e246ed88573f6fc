"""A result file is whole or not there, and what hinders it is said before the work."""

import errno
import io
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import OutputError
from app.output import ENDINGS, open_writer
from app.output.screen import ScreenTable
from tests.output.deliveries import HOSTILE_TEXTS, delivery


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_exception_leaves_neither_file_nor_rest_and_keeps_the_old_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"o{ending}"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), open_writer(path) as writer:
        writer.write(delivery())
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_file_appears_only_when_it_is_whole(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"o{ending.upper()}"
    with open_writer(path) as writer:
        writer.write(delivery())
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]
    assert writer.rows == 1
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("name", ["o.doc", "o", "o.tsv.bak"])
def test_an_unknown_ending_is_refused_with_the_list_of_endings(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"\.tsv, \.csv, \.jsonl, \.parquet or \.xlsx"):
        open_writer(tmp_path / name)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_missing_folder_is_said_before_any_row(tmp_path: Path, ending: str) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        open_writer(tmp_path / "missing" / f"o{ending}")


def test_a_folder_or_pipe_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "o.tsv").mkdir()
    os.mkfifo(tmp_path / "p.tsv")
    for name in ("o.tsv", "p.tsv"):
        with pytest.raises(OutputError, match="no regular file"):
            open_writer(tmp_path / name)


def test_a_link_stays_a_link_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link.tsv").symlink_to(tmp_path / "real.tsv")
    with open_writer(tmp_path / "link.tsv") as writer:
        writer.write(delivery())
    assert (tmp_path / "link.tsv").is_symlink()
    assert (tmp_path / "real.tsv").read_text().startswith("ip_address")


@pytest.fixture
def small_files() -> Iterator[None]:
    """The system refuses files above 100 kB, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_disk_that_takes_no_more_is_one_sentence_and_no_half_file(
    tmp_path: Path, ending: str, small_files: None
) -> None:
    with pytest.raises(OutputError, match=os.strerror(errno.EFBIG)), open_writer(tmp_path / f"o{ending}") as writer:
        for number in range(3000):
            writer.write(delivery(request=f"GET /{number}/{os.urandom(200).hex()}"))
    assert list(tmp_path.iterdir()) == []


def test_the_screen_shows_bounded_rows_within_its_width_and_counts_the_rest() -> None:
    file = io.StringIO()
    table = ScreenTable(rows=5, file=file, width=100)
    for number in range(1234):
        table.write(delivery(request="GET /" + "x" * 500, hits=number))
    table.finish()
    lines = file.getvalue().splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert sum("10.0.0.1" in line for line in lines) == 5
    assert lines[-1].startswith("… and 1,229 more")


def test_the_screen_shows_hostile_texts_as_text() -> None:
    file = io.StringIO()
    table = ScreenTable(file=file, width=200)
    for text in HOSTILE_TEXTS:
        table.write(delivery(user_agent=text))
    table.finish()
    shown = file.getvalue()
    assert all(character == "\n" or character.isprintable() for character in shown)
    assert "[bold]markup[/bold] :smile:" in shown
