"""Clients and files of a simulated log, drawn from a seeded generator."""

from __future__ import annotations

from ipaddress import IPv6Address
from random import Random
from typing import NamedTuple

__all__ = ["AGENTS", "Client", "File", "make_clients", "make_files"]

AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_{0}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.2 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{0}.0.4147.105 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 13_{0} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "AppleCoreMedia/1.0.0.17G{0} (iPhone; U; CPU OS 13_6 like Mac OS X; de_de)",
    "VLC/3.0.{0} LibVLC/3.0.{0}",
    "stagefright/1.2 (Linux;Android {0})",
    "my_player_{0}/2.1_beta (set_top_box; fw_{0}_7)",
    'Odd "quoted" player/{0}',
    "Jukebox/{0} (für Büro & Küche; 音楽)",
    "curl/7.{0}.0",
    "Podcasts/{0}.2 CFNetwork/1128.0.1 Darwin/19.6.0",
)
"""Shapes of user agents, `{0}` is a version: underscores, quotes and letters beyond ASCII are among them on purpose."""

_FOLDERS = ("video", "podcasts", "music", "downloads", "audio_books", "live/2020/08")
_WORDS = (
    "morning",
    "episode",
    "lecture",
    "trailer",
    "interview",
    "symphony",
    "update",
    "archive",
    "keynote",
    "field_notes",
)
_ENDINGS = (".mp4", ".mp3", ".m4a", ".zip", ".pdf", ".webm", ".mp3?part=a_b&x=1", "%20final%20cut.mp4")
_FIRST_OCTETS = (5, 23, 31, 46, 62, 63, 77, 80, 84, 91, 93, 101, 109, 120, 134, 145, 151, 176, 185, 193, 203, 212)
_SMALLEST_BYTES = 2_000
_LARGEST_BYTES = 60_000_000


class Client(NamedTuple):
    """One program on one address."""

    ip_address: str
    user_agent: str


class File(NamedTuple):
    """One file on the server."""

    path: str
    bare: bool
    """The weblog_tsv log names the path alone, without method and protocol."""
    size_bytes: int


def make_clients(rng: Random, count: int) -> list[Client]:
    """`count` distinct clients; every twentieth shares the address of the one before it, with another agent."""
    clients: list[Client] = []
    for number in range(count):
        shared = number % 20 == 19
        agent = AGENTS[(number * 7 + number // len(AGENTS)) % len(AGENTS)].format(60 + int(rng.random() * 30))
        if shared and agent == clients[-1].user_agent:
            agent += " second"
        clients.append(Client(clients[-1].ip_address if shared else _address(number), agent))
    return clients


def _address(number: int) -> str:
    """A distinct address for each number below 2**24; every ninth is IPv6."""
    mixed = (number * 10_368_889) % (1 << 24)  # an odd factor: a permutation
    high, middle, low = mixed >> 16, (mixed >> 8) & 255, mixed & 255
    if number % 9 == 8:
        return str(IPv6Address(f"2001:db8:{high:x}::{middle:x}:{low:x}"))  # as the domain writes it
    return f"{_FIRST_OCTETS[number % len(_FIRST_OCTETS)]}.{high}.{middle}.{low}"


def make_files(rng: Random, count: int) -> list[File]:
    """`count` distinct files, their sizes spread evenly over the orders of magnitude from 2 kB to 60 MB."""
    return [_file(rng, number) for number in range(count)]


def _file(rng: Random, number: int) -> File:
    size = int(_SMALLEST_BYTES * (_LARGEST_BYTES / _SMALLEST_BYTES) ** rng.random())
    if number % 3 == 0:
        digits = f"{rng.getrandbits(128):032x}"
        return File(f"/{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}", True, size)
    folder = _FOLDERS[int(rng.random() * len(_FOLDERS))]
    word = _WORDS[int(rng.random() * len(_WORDS))]
    ending = _ENDINGS[int(rng.random() * len(_ENDINGS))]
    return File(f"/{folder}/{word}-{number}{ending}", False, size)
