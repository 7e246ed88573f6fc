"""Inputs are told apart by their first bytes, and what is good in a broken one is read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InputError
from app.sources.files.decompress import Decompressed
from app.sources.files.inputs import open_input
from tests.properties import examples

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
TEXT = b"".join(b"%d %d\n" % (number, random.Random(number).getrandbits(60)) for number in range(8000))


def read_all(path: Path, size: int = 1000) -> bytes:
    with open_input(path) as stream:
        return b"".join(iter(lambda: stream.read(size), b""))


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
def test_every_compression_is_known_by_content_and_not_by_name(tmp_path: Path, kind: str, size: int) -> None:
    content = TEXT if size > 1 else TEXT[:500]
    path = tmp_path / "access.log"
    path.write_bytes(PACKERS[kind](content))
    with open_input(path) as stream:
        assert stream.compression == kind
    assert read_all(path, size) == content


def test_a_plain_file_with_a_name_of_an_archive_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "access.log.gz"
    path.write_bytes(TEXT)
    assert read_all(path) == TEXT


@pytest.mark.parametrize("kind", PACKERS)
def test_members_behind_one_another_are_one_input(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(PACKERS[kind](part) for part in (b"", TEXT[:100], b"", TEXT[100:])))
    assert read_all(path) == TEXT


def test_zero_bytes_behind_a_member_are_padding(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(b"one\n") + b"\0" * 100_000 + gzip.compress(b"two\n") + b"\0" * 10)
    assert read_all(path) == b"one\ntwo\n"


@pytest.mark.parametrize("kind", PACKERS)
def test_of_a_cut_off_archive_all_good_bytes_come_before_the_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    packed = PACKERS[kind](TEXT)
    path.write_bytes(packed[: len(packed) * 3 // 4])
    got = b""
    with (
        open_input(path) as stream,
        pytest.raises(InputError, match=f"log is cut off at byte {len(packed) * 3 // 4} .*{kind}"),
    ):
        while data := stream.read(1 << 20):
            got += data
    assert TEXT.startswith(got)
    assert kind in ("bzip2", "xz", "zstd") or len(got) > len(TEXT) // 2


@given(st.integers(1, 200))
def test_of_a_gzip_file_cut_anywhere_as_much_is_read_as_zlib_can_tell(missing: int) -> None:
    packed = gzip.compress(TEXT[:3000])[:-missing]
    expected = zlib.decompressobj(wbits=31).decompress(packed)

    class Raw:
        left = packed

        def read(self, size: int) -> bytes:
            data, self.left = self.left[:7], self.left[7:]
            return data

    stream = Decompressed(Raw(), "gzip", "x.gz")
    got = b""
    with pytest.raises(InputError, match="cut off"):
        while data := stream.read(100):
            got += data
    assert got == expected


@given(st.sampled_from(sorted(PACKERS)), st.binary(max_size=300), st.integers(0, 80))
@settings(max_examples=examples(200))
def test_any_bytes_behind_an_archives_beginning_end_in_bytes_or_a_sentence(
    kind: str, garbage: bytes, kept: int
) -> None:
    packed = PACKERS[kind](TEXT[:2000])[: 6 + kept] + garbage

    class Raw:
        left = packed

        def read(self, size: int) -> bytes:
            data, self.left = self.left[:size], self.left[size:]
            return data

    stream = Decompressed(Raw(), kind, "x")
    try:
        while stream.read(1000):
            pass
    except InputError as error:
        assert "x is " in str(error)


def test_something_else_behind_an_archive_is_said_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "log"
    packed = gzip.compress(b"one\n")
    path.write_bytes(packed + b"garbage here")
    with open_input(path) as stream:
        assert stream.read(100) == b"one\n"
        with pytest.raises(InputError, match=f"damaged near byte {len(packed)} "):
            stream.read(100)


def test_a_directory_a_missing_file_and_a_strange_name_give_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory: name the files in it"):
        open_input(tmp_path)
    with pytest.raises(InputError, match=r"nothing\.log does not exist"):
        open_input(tmp_path / "nothing.log")
    with pytest.raises(InputError, match="cannot be read"):
        open_input("a\0b")
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        open_input("x" * 1000)


def test_a_file_that_may_not_be_read_gives_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "secret.log"
    path.write_bytes(TEXT)
    path.chmod(0)
    tmp_path.chmod(0o755)
    # root may read everything: ask as nobody
    program = f"""
import os, sys
from app.sources.files.inputs import open_input, InputError
if os.getuid() == 0:
    os.setuid(65534)
try:
    open_input({str(path)!r})
except InputError as error:
    print(error)
"""
    for parent in list(path.parents)[:-1]:
        if not parent.stat().st_mode & 0o001 and os.access(parent, os.W_OK):
            parent.chmod(parent.stat().st_mode | 0o011)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "may not be read by this user: permission denied" in done.stdout, done.stderr


def test_a_named_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb") as pipe:
            pipe.write(gzip.compress(TEXT))

    writer = threading.Thread(target=write)
    writer.start()
    assert read_all(path) == TEXT
    writer.join()


@pytest.mark.long
@pytest.mark.parametrize("kind", PACKERS)
def test_an_archive_that_unpacks_to_much_more_takes_bounded_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bomb"
    pack: dict[str, Callable[..., Any]] = {
        "gzip": lambda: zlib.compressobj(wbits=31),
        "bzip2": bz2.BZ2Compressor,
        "xz": lambda: lzma.LZMACompressor(preset=0),
        "zstd": lambda: zstandard.ZstdCompressor().compressobj(),
    }
    packer = pack[kind]()
    with path.open("wb") as file:
        for _ in range(64):
            file.write(packer.compress(b"\0" * (1 << 20)))
        file.write(packer.flush())
    assert _memory_of(path, 64 << 20) < 44 << 20


def test_a_line_of_100_megabytes_takes_bounded_memory_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b"\nshort\n")
    assert _memory_of(path, (100 << 20) + 7) < 30 << 20


def _memory_of(path: Path, expected_bytes: int) -> int:
    """Growth of the largest resident size, in bytes, while all chunks of `path` are read in a process of its own."""
    program = f"""
from app.sources.files.inputs import open_input
from app.sources.files.chunks import chunks
def peak(): return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
import zstandard
before, total = peak(), 0
with open_input({str(path)!r}) as stream:
    for chunk in chunks(stream):
        total += chunk.too_long + (not chunk.data.endswith(b"\\n")) if chunk.too_long else len(chunk.data)
print(total, peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    total, grown = map(int, done.stdout.split())
    assert total in (expected_bytes, expected_bytes + 1)
    return grown
