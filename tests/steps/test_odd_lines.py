"""One odd line among good ones costs itself and nothing else, by every way in and wherever it is."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

from app.domain.fields import HIT
from app.messages.origins import Lines
from app.messages.tokens import hits_of
from app.settings import Settings
from app.sources.files.read_options import ReadOptions
from app.sources.identity.identifier import Identifier
from app.sources.identity.registry import FolderRegistry
from app.sources.replay.run import ReplayOptions, replay_files
from app.steps.tokenizer import Tokenizer
from app.transports.messages import Message
from app.web.deliveries.posted import posted_values
from tests.cli.test_reported_parsing import GOOD, ODD_KINDS
from tests.properties import FULL, part
from tests.sources.logs import MemoryLog
from tests.sources.test_follow import append, follow

NOW = 1_725_000_000.0
PLACES = (0, 1, 50, 99)
ODD = [*ODD_KINDS, b"", b"\x00" * 5000, b"x" * 70_000, b"\xff\xfe", b"{}", b"#Fields: date time"]
WELL = [line.encode() for line in GOOD]
SMALL = Settings(chunk_bytes=4096)
_of_line = HIT.picker(HIT.without("extras", "raw_id", "source", "position"))


def hits_in(messages: Iterable[tuple[bytes, dict[str, bytes]]]) -> Counter[Any]:
    """What was read, wherever it was."""
    tokenizer = Tokenizer(4)
    lines = (Lines("weblogs@3f", 0, at, NOW, value, headers) for at, (value, headers) in enumerate(messages) if value)
    found: Counter[Any] = Counter()
    for message in lines:
        for tokens in tokenizer.tokenize([message]).tokens.values():
            found.update(_of_line(hit) for hit in hits_of(tokens))
    return found


def sent(messages: Iterable[Message]) -> list[tuple[bytes, dict[str, bytes]]]:
    return [(message.value or b"", dict(message.headers)) for message in messages]


WANTED = hits_in([(b"\n".join(WELL) + b"\n", {})])


def assert_good_ones_are_read(found: Counter[Any], where: object, wanted: Counter[Any] = WANTED) -> None:
    assert not wanted - found, (where, wanted - found)
    assert (found - wanted).total() <= 1, where


def with_odd(odd: bytes, place: int, good: Sequence[bytes] = WELL) -> list[bytes]:
    return [*good[:place], odd, *good[place:]]


def options(folder: Path) -> ReplayOptions:
    return ReplayOptions(Identifier(FolderRegistry(folder / "sources")), ReadOptions(chunk_bytes=4096))


def test_the_good_lines_are_read_alone() -> None:
    assert WANTED.total() == len(WELL) == 99
    lo, total = HIT.at["lo"], HIT.at["total_bytes"]
    assert all(hit[lo] in (0, 500) and hit[total] == 1000 for hit in WANTED)


@pytest.mark.parametrize("odd", ODD)
def test_by_replay(odd: bytes, tmp_path: Path) -> None:
    for place in PLACES:
        path, to = tmp_path / f"{place}.log", MemoryLog()
        path.write_bytes(b"\n".join(with_odd(odd, place)) + b"\n")
        replay_files([str(path)], to, options(tmp_path))
        assert_good_ones_are_read(hits_in(sent(to.messages)), place)


@pytest.mark.sampled
@pytest.mark.parametrize("odd", ODD)
def test_by_posts_however_they_are_cut(odd: bytes) -> None:
    chance = random.Random(odd)
    for at, place in enumerate(PLACES, ODD.index(odd)):
        lines = with_odd(odd, place)
        counts = (1, 2, 3, 9, 30) if FULL else (3,)
        ways = [[], range(1, 100), *(sorted(chance.sample(range(1, 100), count)) for count in counts)]
        for cuts in part(at, ways):
            ends = [0, *cuts, len(lines)]
            bodies = [b"\n".join(lines[lo:hi]) + b"\n" for lo, hi in pairwise(ends)]
            for settings in (Settings(), SMALL) if FULL else (SMALL,):
                posted = [one for body in bodies for one in posted_values(body, None, settings)]
                assert_good_ones_are_read(hits_in(posted), (place, cuts))


@pytest.mark.sampled
def test_by_following(tmp_path: Path) -> None:
    to = MemoryLog()
    logs: dict[Path, list[bytes]] = {}
    wanted: dict[str, Counter[Any]] = {}
    for at, (odd, place) in enumerate(part(0, list(product(ODD, PLACES)))):
        path = tmp_path / f"{at}.log"
        good = [line.replace(b"198.51.100.", b"10.%d.0." % at) for line in WELL]  # files that begin alike are one
        logs[path], wanted[path.name] = with_odd(odd, place, good), hits_in([(b"\n".join(good) + b"\n", {})])
        path.write_bytes(b"".join(line + b"\n" for line in logs[path][: at % 100]))
    with follow(list(logs), to) as each:
        each.until(lambda: len({name_of(message) for message in to.messages}) >= len(logs) * 0.9)
        for at, (path, lines) in enumerate(logs.items()):
            append(path, b"".join(line + b"\n" for line in lines[at % 100 :]))
        each.until(lambda: sum(text.count(b"GET /cut ") for text in to.texts()) >= len(logs))
    by_name: dict[str, list[Message]] = {}
    for message in to.messages:
        by_name.setdefault(name_of(message), []).append(message)
    assert by_name.keys() == wanted.keys()
    for name, messages in by_name.items():
        assert_good_ones_are_read(hits_in(sent(messages)), name, wanted[name])


def name_of(message: Message) -> str:
    return message.headers["name"].decode()
