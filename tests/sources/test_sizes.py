"""True sizes come from a file of request, tab, bytes, and follow its changes."""

import math
from pathlib import Path
from typing import Any

import pytest

from app.domain.sizes import NO_LEARNED_SIZE, DatedSize, LearnedSize
from app.errors import InputError
from app.sources.identity.sizes import Sizes, read_sizes, size_lines, with_learned


def given(size: int) -> DatedSize:
    return DatedSize(-math.inf, size)


def test_lines_name_requests_and_bytes_comments_and_blank_lines_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sizes"
    path.write_text("# sizes\n\nGET /a b\t12\r\n/c\t9223372036854775808\n/c\t2\n/tab\there\t7\n/empty\t0\n", newline="")
    assert read_sizes(path) == {
        "GET /a b": [given(12)],
        "/c": [given(2)],
        "/tab\there": [given(7)],
        "/empty": [given(0)],
    }


@pytest.mark.parametrize("line", ["/a", "/a 12", "/a\t", "/a\t-1", "/a\t1e3", "/a\t1 2", "\t5", "/a\t٣"])
def test_a_line_that_is_no_size_is_named_with_its_place(tmp_path: Path, line: str) -> None:
    path = tmp_path / "sizes"
    path.write_text(f"/ok\t1\n{line}\n", "utf-8")
    with pytest.raises(InputError, match="sizes, line 2: "):
        read_sizes(path)


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_can_not_be_read_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="the sizes cannot be read"):
        read_sizes(tmp_path / name)


def test_a_bare_path_stands_for_its_get_request_and_an_exact_request_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "sizes"
    path.write_text("/a\t1\nGET /a\t2\n/b\t3\n")
    sizes = Sizes(path)
    assert [sizes(request) for request in ("/a", "GET /a", "GET /b", "HEAD /b", "/nothing")] == [1, 2, 3, None, None]


def test_a_changed_file_is_read_again_and_a_broken_or_missing_one_keeps_the_old_sizes(tmp_path: Path) -> None:
    path = tmp_path / "sizes"
    path.write_text("/a\t1\n")
    sizes = Sizes(path)
    assert sizes.refresh() is None
    path.write_text("/a\t22\n")
    assert sizes.refresh() is None
    assert sizes("/a") == 22
    path.write_text("/a\tmany\n")
    assert isinstance(sizes.refresh(), InputError)
    assert sizes("/a") == 22
    assert sizes.refresh() is None  # said once
    path.unlink()
    assert isinstance(sizes.refresh(), InputError)
    assert sizes("/a") == 22


def test_a_size_of_0_is_a_size(tmp_path: Path) -> None:
    path = tmp_path / "sizes"
    path.write_text("/empty\t0\n")
    assert Sizes(path)("/empty") == 0


def test_a_size_holds_from_its_time_on_and_says_whether_it_was_learned(tmp_path: Path) -> None:
    path = tmp_path / "sizes"
    path.write_text(
        "/a\t7\t2026-11-28T00:00:00Z\tlearned: x\n/a\t5\t2026-11-27\n/a\t-\t2026-11-29T00:00:00+00:00\tlearned: y\n"
    )
    sizes = Sizes(path)
    day = 1795737600.0  # 2026-11-27
    at = [sizes("/a", day + hours * 3600) for hours in (-1, 0, 23, 24, 47, 48)]
    assert at == [None, 5, 5, 7, 7, NO_LEARNED_SIZE]
    assert [isinstance(size, LearnedSize) for size in at[1:5]] == [False, False, True, True]
    assert sizes("/a") == NO_LEARNED_SIZE


@pytest.mark.parametrize(
    "line", ["/a\t5\t2026-13-01", "/a\t5\tsoon", "/a\t5\t2026-11-28T00:00:00Z\tlearned\tmore", "/a\t5\t2026-\t"]
)
def test_a_time_that_is_none_is_named_with_its_place(tmp_path: Path, line: str) -> None:
    path = tmp_path / "sizes"
    path.write_text(f"{line}\n", "utf-8")
    with pytest.raises(InputError, match="sizes, line 1: "):
        read_sizes(path)


@pytest.mark.parametrize(
    "request_text", ["GET /a", "/tab\there", "GET /a\t5", " ", "/a\t2026-11-28T00:00:00Z", "/ä\\xff"]
)
@pytest.mark.parametrize(
    "sizes",
    [
        [DatedSize(-math.inf, 0)],
        [DatedSize(-math.inf, 12, "learned: 2 of 2 clients")],
        [DatedSize(0.0, 10**30), DatedSize(86400.0, None, "learned: differs"), DatedSize(172800.0, 3, "learned: x")],
    ],
)
def test_sizes_that_are_written_are_read_back(tmp_path: Path, request_text: str, sizes: list[Any]) -> None:
    path = tmp_path / "sizes"
    path.write_text("\n".join(size_lines(request_text, sizes)) + "\n", "utf-8")
    assert read_sizes(path) == {request_text: sizes}


def test_a_request_that_no_line_can_hold_is_left_out() -> None:
    assert [size_lines(request, [DatedSize(0.0, 1)]) for request in ("", "#a", "a\nb", "a\rb")] == [[]] * 4


def test_a_file_that_may_lack_is_read_by_the_first_refresh_and_known_no_more_when_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "sizes"
    sizes = Sizes(path, may_lack=True)
    assert (sizes.refresh(), sizes.is_changed, sizes("/a")) == (None, False, None)
    path.write_text("/a\tmany\n")
    assert sizes.is_changed
    assert isinstance(sizes.refresh(), InputError)
    path.write_text("/a\t5\n")
    assert (sizes.is_changed, sizes.refresh(), sizes("/a")) == (True, None, 5)
    path.unlink()
    assert (sizes.is_changed, sizes.refresh(), sizes("/a")) == (True, None, None)


def test_given_sizes_go_before_learned_ones() -> None:
    size_of = with_learned(
        lambda request, at: {"/a": 1, "/b": 2}.get(request), lambda request, at: {"/a": 0}.get(request)
    )
    assert [size_of(request, 0.0) for request in ("/a", "/b", "/c")] == [0, 2, None]
