"""The files that the servers serve."""

from __future__ import annotations

import random
import struct
from pathlib import Path

__all__ = ["BIG", "EMPTY", "MID", "ONE", "PAGE", "SOUND", "TEXT", "make_files"]

BIG, MID, TEXT, EMPTY, ONE, SOUND, PAGE = (
    "big.bin",
    "mid.bin",
    "text.html",
    "empty.bin",
    "one.bin",
    "sound.wav",
    "page.html",
)
SIZES = {BIG: 40_000_000, MID: 5_000_000, TEXT: 760_000, EMPTY: 0, ONE: 1, SOUND: 15_876_044}
"""Bytes of each file."""


def make_files(folder: Path, seed: int = 1) -> Path:
    """Random bytes, so that a piece in a wrong place is seen; the text compresses, the sound can be played."""
    folder.mkdir(parents=True)
    draw = random.Random(seed)
    for name in (BIG, MID, EMPTY, ONE):
        (folder / name).write_bytes(draw.randbytes(SIZES[name]))
    (folder / TEXT).write_bytes((b"<p>A line of text, %06d</p>\n" * 30_000 % tuple(range(30_000)))[: SIZES[TEXT]])
    size = SIZES[SOUND] - 44  # 44 bytes of heads; 16-bit stereo at 44.1 kHz: 90 s
    heads = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, 2, 44_100, 176_400, 4, 16, b"data", size
    )
    (folder / SOUND).write_bytes(heads + draw.randbytes(size))
    (folder / PAGE).write_text("<!doctype html><title>page</title>")
    return folder
