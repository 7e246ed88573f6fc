"""True sizes come from a file of request, tab, bytes, and follow its changes."""

import os

import pytest

from app.errors import InputError
from app.sources.identity.sizes import Sizes, read_sizes


def test_lines_name_requests_and_bytes_comments_and_blank_lines_nothing(tmp_path):
    path = tmp_path / "sizes"
    path.write_text("# sizes\n\nGET /a b\t12\r\n/c\t9223372036854775808\n/c\t2\n/tab\there\t7\n", newline="")
    assert read_sizes(path) == {"GET /a b": 12, "/c": 2, "/tab\there": 7}


@pytest.mark.parametrize("line", ["/a", "/a 12", "/a\t", "/a\t-1", "/a\t0", "/a\t1e3", "/a\t1 2", "\t5", "/a\t٣"])
def test_a_line_that_is_no_size_is_named_with_its_place(tmp_path, line):
    path = tmp_path / "sizes"
    path.write_text(f"/ok\t1\n{line}\n", "utf-8")
    with pytest.raises(InputError, match="sizes, line 2: "):
        read_sizes(path)


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_can_not_be_read_is_one_sentence(tmp_path, name):
    with pytest.raises(InputError, match="the sizes cannot be read"):
        read_sizes(tmp_path / name)


def test_a_bare_path_stands_for_its_get_request_and_an_exact_request_goes_first(tmp_path):
    path = tmp_path / "sizes"
    path.write_text("/a\t1\nGET /a\t2\n/b\t3\n")
    sizes = Sizes(path)
    assert [sizes(request) for request in ("/a", "GET /a", "GET /b", "HEAD /b", "/nothing")] == [1, 2, 3, None, None]


def test_a_changed_file_is_read_again_and_a_broken_or_missing_one_keeps_the_old_sizes(tmp_path):
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
    os.remove(path)
    assert isinstance(sizes.refresh(), InputError)
    assert sizes("/a") == 22
