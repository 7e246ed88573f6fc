"""Writes the pages of PAGES from the code: `python docs/make_reference.py`, or --check to compare only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from app.__main__ import main as commands  # noqa: E402
from app.domain.fields import DELIVERY, HIT, REJECT, Table  # noqa: E402
from app.domain.usage.records import USAGE  # noqa: E402
from app.settings import PREFIX, child_environment, rows  # noqa: E402
from app.usage.options import UsageOptions  # noqa: E402

__all__ = ["PAGES", "commands_page", "contexts", "pages", "records_page", "settings_page", "usage_options_page"]

WIDTH = 110
_MADE = "<!-- Made by docs/make_reference.py from the code: change the code, then run it. -->"
_COMMANDS = """\
# Commands

Everything runs in place, from the folder of the clone, with the Python of `.venv`: `.venv/bin/python -m app COMMAND`.
Commands that read log files take `-` for standard input and unpack gzip, bzip2, xz and zstd.

Exit codes: 0 done; 1 it could not do its job, or not all of it, and a sentence on standard error says why; 2 a wrong option or
setting; 4 a store or the broker is missing or refuses; 5 a record, or a file that this project wrote, cannot be read, or no line tells
what was asked; 78 something has a form that this program does not know. If a command has others, its text says so. Standard output
carries results, standard error everything else.

The worker is Faust's: `.venv/bin/faust -A app worker`. It ends with 70 if it must be started again (nothing is lost by that)
and with 78 if the configuration must be fixed first; the last line of its log says how. `kill -USR1` makes it log what each of its
tasks waits for.
"""
_SETTINGS = """\
# Settings

A setting is read from the environment first, then from the file `.env` in the working directory; an empty value counts as not
set. An unknown `WEBLOGS_` name is an error, so that a misspelt one is not ignored. `python -m app settings` prints this table
with the values that are in force. Sizes are in bytes, times in seconds.
"""
_RECORDS = """\
# Records

The fields are those of `app/domain/fields.py`: the stores, the files of `reduce -o`, the HTTP interface and this page are made
from them. Text is any text, an integer has any size, ranges are pairs of first and last byte, both inclusive. A field that is not
always there may be null.
"""
_HITS = """\
## Hit

One parsed line. In SQLite: the view `raw_weblogs`.
"""
_AFTER_HITS = """\
Hits that do not count for a delivery are stored, too: those of another status than 200 and 206, of another method than GET, or
without a part of the key.
"""
_REJECTS = """\
## Reject

One line that is no hit. In SQLite: the view `weblogs_rejects`.
"""
_DELIVERIES = """\
## Delivery

One key in one window. In SQLite: the view `reduced_weblogs`. Files of `reduce -o` have the columns marked with *; .jsonl has all
fields.
"""
_AFTER_DELIVERIES = """\
For people, a key is written `IP_AGENT_REQUEST`; `key_hash`, 32 hex digits, is the hash of that text.
"""
_USAGE = """\
## Usage record

One record of the usage log: see [the usage log](../explanation/usage-log.md). Its fields are those of `app/domain/usage/records.py`. A
message of the topics `usage` and `usage_monitored` is `[form, [record, …]]`, each record a list of all fields in this order.
"""
_AFTER_USAGE = """\
The canonical bytes of a record are the JSON array of all fields but `sha256`, in this order, in ASCII, without blanks. Anybody can
compute the checksum again from a file.
"""
_USAGE_OPTIONS = """\
# Options of the usage log

`UsageOptions` of `app/usage/options.py`, by name: what a service says of itself when it [records its calls](../how-to/record-calls.md).
A wrong value is refused at the start, in one sentence. Sizes are in bytes, times in seconds unless the name says `_ms`.
"""
_EVENTS = """\
## Vote

A vote that counts: `vote_id`, `candidate_id`, `time`, `kiosk_id`, `user_id`, `opinion`. Repeats are not kept, they are counted.

## Transaction

`transaction_id`, `user_id`, `time`, `cents`. User and transaction id name it.

## Sum

What one partition of a topic knows of one bucket of event time. Readers add up all sums of a bucket; why, says
[exact counters](../explanation/counting.md).

| field | what |
|---|---|
| `resolution` | votes: `kiosk`, `window`, `total`, `second`; spending: `minute`, `hour`, `day`, `total`; requests: `hour`, and by day `status`, `method`, `host`, `path` |
| `group` | `CANDIDATE/KIOSK`, the candidate, the candidate, empty; spending: the user; requests: empty, then the status, method, host or path, empty if the line names none |
| `start` | first second of the bucket, 0 for a total |
| `partition`, `share` | whose knowledge it is |
| `events` | distinct votes, transactions or requests |
| `amount` | cents, 0 for votes; of requests the bytes sent |
| `repeats` | events of this bucket that were there already |

| store | where |
|---|---|
| SQLite | tables `votes`, `vote_sums`, `transactions`, `spend_sums`, `request_sums`, `candidates`, `users`; views `vote_windows`, `spending` |
| Elasticsearch | aliases of these names, and `names` |
| Cassandra | `votes`, `vote_counts` ((candidate_id, day), window_start, kiosk_id, partition, share), `vote_sums` ((resolution, day), start, …), `transactions` ((user_id), time, …), `spend_sums` ((user_id, resolution), start, …), `spend_users`, `request_sums` ((resolution, day), start, value, …), `names` |

Votes are kept for the raw days of `WEBLOGS_RETENTION`, transactions and sums for the reduced days, counts by second for two days,
totals for ever.
"""


def contexts(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[click.Context]:
    """A context for each command, with its group's as parent: what a command inherits, it takes from there."""
    sizes = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    with click.Context(command, info_name=name, parent=parent, **{**command.context_settings, **sizes}) as context:
        yield context
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                found = command.get_command(context, inner)
                assert found is not None
                yield from contexts(found, inner, context)


def _client_help() -> str:
    environment = {**child_environment(), "COLUMNS": str(WIDTH)}
    asked = [sys.executable, "-m", "app.client", "--help"]
    return subprocess.run(asked, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def commands_page() -> str:
    """The help of every command, and of the client."""
    parts = [_COMMANDS]
    parts += [
        f"## `{each.command_path}`\n\n```text\n{each.get_help()}\n```\n" for each in contexts(commands, "python -m app")
    ]
    parts.append(
        f"## `python -m app.client`\n\nIts exit codes and answers: [client.md](client.md).\n\n```text\n{_client_help()}\n```\n"
    )
    return _page("\n".join(parts))


def _fields(table: Table) -> str:
    rows_ = ["| field | kind | always there | unit | meaning |", "|---|---|---|---|---|"]
    for field in table.fields:
        listed = "*" if table is DELIVERY and field.listed else ""
        name = f"`{field.name}`{listed}" + (f" (in files `{field.column}`)" if field.label else "")
        there = "" if field.optional else "yes"
        rows_.append(f"| {name} | {field.kind.value} | {there} | {field.unit} | {field.what} |")
    return "\n".join(rows_) + "\n"


def records_page() -> str:
    """The fields of each record."""
    parts = [
        _RECORDS,
        _HITS,
        _fields(HIT),
        _AFTER_HITS,
        _REJECTS,
        _fields(REJECT),
        _DELIVERIES,
        _fields(DELIVERY),
        _AFTER_DELIVERIES,
        _EVENTS,
        _USAGE,
        _fields(USAGE),
        _AFTER_USAGE,
    ]
    return _page("\n".join(parts))


def settings_page() -> str:
    """The table of settings."""
    table = ["| setting | default | unit | meaning |", "|---|---|---|---|"]
    for row in rows():
        table.append(f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {row.unit} | {row.meaning} |")
    assert all(row.name.startswith(PREFIX) for row in rows())
    return _page(_SETTINGS + "\n" + "\n".join(table) + "\n")


def usage_options_page() -> str:
    """The options of the library for services, from the texts below them in the source."""
    (options,) = [
        each
        for each in ast.parse((ROOT / "app/usage/options.py").read_text()).body
        if isinstance(each, ast.ClassDef) and each.name == UsageOptions.__name__
    ]
    whats = {
        name.target.id: str(text.value.value)
        for name, text in pairwise(options.body)
        if isinstance(name, ast.AnnAssign) and isinstance(name.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }
    table = ["| option | default | meaning |", "|---|---|---|"]
    for each in fields(UsageOptions):
        table.append(f"| `{each.name}` | {_default(each)} | {whats[each.name]} |")
    return _page(_USAGE_OPTIONS + "\n" + "\n".join(table) + "\n")


def _default(option: Field[Any]) -> str:
    if option.name == "machine":
        return "its host name"
    if option.default is MISSING:
        return "none" if option.default_factory is not MISSING else "required"
    if option.default in (None, "", ()):
        return "none"
    return f"`{option.default:,}`" if isinstance(option.default, int) else f"`{option.default}`"


def _page(text: str) -> str:
    return _MADE + "\n" + "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


PAGES = {
    "docs/reference/commands.md": commands_page,
    "docs/reference/records.md": records_page,
    "docs/reference/settings.md": settings_page,
    "docs/reference/usage-options.md": usage_options_page,
}


def pages() -> dict[str, str]:
    """What each generated page should be."""
    return {path: make() for path, make in PAGES.items()}


def main(arguments: list[str]) -> int:
    """Writes the pages; with --check compares and returns 1 where one differs."""
    outdated = 0
    for path, text in pages().items():
        place = ROOT / path
        if place.exists() and place.read_text() == text:
            continue
        outdated += 1
        if "--check" not in arguments:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        print(f"{path} {'is out of date' if '--check' in arguments else 'written'}")
    return 1 if outdated and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
