"""The delivery client: was this file delivered whole to this client?

    python -m app.client -k KEY
    python -m app.client -i IP -u USER_AGENT -r REQUEST [-l LO -h HI]

Exit codes: 0 whole (or the asked part is), 1 not, 2 usage, 3 nothing known, 4 store not reachable, 5 unknown. It starts fast:
neither Faust nor anything heavy is imported.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from app.client.answer import Answer, AskedBytes, Exit, answer
from app.client.text import answer_json, answer_text, error_json, keys_json, keys_text
from app.domain.records import key_hash
from app.domain.requests import QueryRule, as_keys, key_request, query_rule
from app.errors import SettingsError, StoreError, UnreadableRecord
from app.settings import settings
from app.stores import opened_store
from app.stores.contract import Key, Store
from app.stores.readable import passing_over

__all__ = ["SHOWN_HITS", "main"]

SHOWN_HITS = 100
"""Raw hits printed at most; all are counted."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"client: {message}; --help shows how to ask\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m app.client",
        add_help=False,
        allow_abbrev=False,
        description="Was this file delivered whole to this client? Which bytes are missing?",
        epilog="Exit codes: 0 whole (or the asked part is), 1 not, 2 usage, 3 nothing known, 4 store not reachable, 5 unknown.",
    )
    add = parser.add_argument
    add("--help", action="help", help="show this text and exit (-h is the high byte)")
    add("-k", dest="key", metavar="KEY", help="ip address, user agent and request, joined by _")
    add("-i", dest="ip_address", metavar="IP", help="ip address of the client, as logged")
    add("-u", dest="user_agent", metavar="USER_AGENT", help="user agent, as logged")
    add("-r", dest="request", metavar="REQUEST", help="request, as logged, without a trailing HTTP/…")
    add("-l", dest="lo", metavar="LO", type=_byte, help="first byte of the part asked for")
    add("-h", dest="hi", metavar="HI", type=_byte, help="last byte of the part asked for, inclusive")
    add("--all-windows", action="store_true", help="answer over all delivery windows, not the newest alone")
    add("--json", action="store_true", help="print one JSON object")
    add("--store", metavar="NAME", help="the store to ask; by default the first of WEBLOGS_STORES")
    return parser


def _byte(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is no byte position: write an integer of 0 or more")
    return value


_PROTOCOL = re.compile(r" HTTP/[0-9](\.[0-9]+)?\Z")


def _as_logged(text: str | None) -> str | None:
    """The argument as the log's reader has it: bytes that are no UTF-8 become \\xNN, and a request ends before its protocol."""
    return None if text is None else _PROTOCOL.sub("", os.fsencode(text).decode("utf-8", "backslashreplace"))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    asked = parser.parse_args(argv)
    for name in ("key", "ip_address", "user_agent", "request"):
        setattr(asked, name, _as_logged(getattr(asked, name)))
    parts = (asked.ip_address, asked.user_agent, asked.request)
    if asked.key is not None and any(part is not None for part in parts):
        parser.error("give either -k, or -i, -u and -r, not both")
    if asked.key is None and None in parts:
        lacks = [flag for flag, part in zip(("-i", "-u", "-r"), parts, strict=True) if part is None]
        parser.error(
            "give a key: -k KEY, or -i IP -u USER_AGENT -r REQUEST"
            if len(lacks) == 3
            else f"{' and '.join(lacks)} lacks"
        )
    if (asked.lo is None) != (asked.hi is None):
        parser.error("-l and -h belong together: the first and the last byte of the part")
    if asked.lo is not None and asked.hi < asked.lo:
        parser.error(f"-h {asked.hi} lies before -l {asked.lo}")
    return asked


async def _keys(store: Store, asked: argparse.Namespace, query: QueryRule) -> list[Key]:
    """As the key is stored; else as it is without what `query` leaves out of a request, so that a signed address may be pasted."""
    if asked.key is None:
        return [(asked.ip_address, asked.user_agent, key_request(asked.request, query))]
    for text in as_keys(asked.key, query):
        if keys := await store.reads.keys_by_hash(key_hash(text)):
            return keys
    return []


async def _ask(asked: argparse.Namespace) -> list[Key] | Answer:
    """The answer, or the keys that fit where they are several."""
    part = None if asked.lo is None else AskedBytes(asked.lo, asked.hi)
    configured = settings()
    name = asked.store or next(iter(configured.store_names), "sqlite")
    async with opened_store(name, configured, read_only=True) as store:
        keys = await _keys(store, asked, query_rule(configured.query))
        if len(keys) > 1:
            return keys
        if not keys:
            return answer(None, [], [], 0, part, asked.all_windows)
        deliveries = await store.reads.deliveries_of(*keys[0])
        with passing_over() as unreadable:  # hits are shown; the deliveries decide
            hits, hits_total = await store.reads.hits_of(*keys[0], limit=SHOWN_HITS)
        for error in unreadable:
            print(f"client: {error}", file=sys.stderr)
        return answer(keys[0], deliveries, hits, hits_total, part, asked.all_windows)


def _run(asked: argparse.Namespace) -> tuple[int, str]:
    """Exit code and what to print on standard output."""
    try:
        found = asyncio.run(_ask(asked))
    except (StoreError, SettingsError) as error:
        print(f"client: {error}", file=sys.stderr)
        if isinstance(error, UnreadableRecord):
            code = Exit.UNKNOWN
        else:
            code = Exit.UNREACHABLE if isinstance(error, StoreError) else Exit.USAGE
        return code, error_json(str(error)) if asked.json else ""
    if isinstance(found, list):
        return Exit.USAGE, keys_json(found) if asked.json else keys_text(found)
    if found.exit is Exit.NOTHING_KNOWN:
        name = asked.store or next(iter(settings().store_names), "sqlite")
        print(f"client: asked the store {name}; WEBLOGS_STORES, in .env too, or --store names another", file=sys.stderr)
    given = asked.key if asked.key is not None else "_".join((asked.ip_address, asked.user_agent, asked.request))
    return found.exit, answer_json(found, given) if asked.json else answer_text(found, given)


def main(argv: Sequence[str] | None = None) -> int:
    asked = _arguments(argv)
    code, text = _run(asked)
    try:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough: the exit code still answers
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    sys.set_int_max_str_digits(0)  # positions are integers of any size; the length of a line bounds their digits
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nclient: stopped by Ctrl-C before the answer", file=sys.stderr)
        sys.exit(130)
