"""`python -m app report downloads FILE…`: podcast downloads by rules that can be read, and their certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import date
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.exit_codes import end_with
from app.cli.numbers import Number
from app.cli.report.options import ROWS, Day, late_progress, log_options, output_options
from app.errors import InputError, SettingsError, WrongOutput
from app.output.columns import iso_time
from app.output.replacing import Replacement, explained, write_whole
from app.output.reports.report import Column, Report
from app.output.reports.writing import write_report
from app.output.text import harmless, tsv_cell
from app.settings import settings
from app.words import counted_text, writable

if TYPE_CHECKING:
    from app.downloads.counting import Count, DownloadPlan, LeftOut

__all__ = ["command"]

_WINDOWS = ("day", "first_touch", "last_touch")


@click.command("downloads")
@partial(log_options, stores=True)
@click.option(
    "--window",
    type=click.Choice(_WINDOWS),
    default="day",
    show_default=True,
    help="Requests of a listener for a file are one download within: a calendar day, 24 hours from the first one, or until 24"
    " hours without one.",
)
@click.option(
    "--seconds",
    type=Number(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds of sound that make a download.",
)
@click.option("--whole", is_flag=True, help="Only the whole file makes a download.")
@click.option(
    "--bit-rate",
    type=Number(min=0, min_open=True),
    default=128.0,
    show_default=True,
    metavar="KBIT",
    help="Kilobits a second of files that --episodes does not describe.",
)
@click.option(
    "--episodes",
    metavar="FILE",
    help="Sizes of files: lines of path, size in bytes, bytes of the head (tags, pictures), seconds, with tabs between them.",
)
@click.option(
    "--ext",
    "extensions",
    metavar="LIST",
    help="Count these extensions only, as in mp3,m4a.  [default: those of sound and film]",
)
@click.option(
    "--data-centres",
    metavar="FILE",
    help="A list of networks, one a line, instead of the program's own of five providers.",
)
@click.option(
    "--by", type=click.Choice(["file", "day"]), default="file", show_default=True, help="What downloads are listed by."
)
@click.option(
    "--top", type=ROWS, metavar="N", help="Show the first N rows only; a certificate has all.  [default: all]"
)
@click.option(
    "--tz",
    "zone",
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="The zone of days, as Europe/Berlin or +05:30.",
)
@click.option(
    "--from", "first_day", type=Day(), metavar="DATE", help="Count downloads that begin on this day or later."
)
@click.option("--to", "last_day", type=Day(), metavar="DATE", help="Count downloads that begin on this day or before.")
@click.option(
    "--left-out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write each request that is left out, with its rule: .tsv.",
)
@click.option(
    "--certify",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the counts, the rules, the lists, fingerprints of the inputs and the command as JSON, so that anybody can count again.",
)
@output_options
def command(
    inputs: Any,
    window: str,
    seconds: float,
    whole: bool,
    bit_rate: float,
    episodes: str | None,
    extensions: str | None,
    data_centres: str | None,
    by: str,
    top: int | None,
    zone: str,
    first_day: date | None,
    last_day: date | None,
    left_out: Path | None,
    certify: Path | None,
    output: Path | None,
    bare: bool,
    quiet: bool,
) -> None:
    """Count podcast downloads and listeners in log FILEs or in a store, by the rules of IAB Tech Lab's Podcast Technical Measurement 2.3.

    docs/explanation/downloads.md tells each rule. Exit code 1 if an input could not be read to its end; then nothing is certified.
    """
    from app.downloads.certificate import certificate, fingerprints, same_as_before
    from app.downloads.counting import DownloadPlan, count
    from app.downloads.episodes import read_episodes
    from app.downloads.lists import open_lists
    from app.downloads.rules import MEDIA, DownloadRules
    from app.reports.zones import zone_named

    if first_day and last_day and last_day < first_day:
        raise click.UsageError(f"--to {last_day} is before --from {first_day}")
    chosen = frozenset(
        name.strip().lower().lstrip(".") for name in (extensions or ",".join(MEDIA)).split(",") if name.strip()
    )
    if not chosen:
        raise click.UsageError(f"--ext {extensions!r} names no extension; write it as in mp3,m4a")
    if left_out and left_out.suffix.lower() != ".tsv":
        raise WrongOutput(f"{left_out}: name a file that ends with .tsv")
    if inputs.kept is not None and (certify or left_out):
        raise SettingsError("a store has no files whose bytes could be named: --certify and --left-out take the logs")
    zone_named(zone)
    asked = DownloadRules(window, None if whole else seconds, bit_rate, chosen)
    known = read_episodes(episodes) if episodes else {}
    plan = DownloadPlan(
        inputs.paths,
        inputs.read,
        asked,
        open_lists(data_centres),
        known,
        by,
        zone,
        first_day,
        last_day,
        inputs.processes,
        kept=inputs.kept,
    )
    files = fingerprints(plan.paths) if certify else []
    lists = fingerprints([episodes]) if certify and episodes else []
    with late_progress(quiet, inputs.kept) as on_progress, _telling(left_out, plan.paths) as on_left_out:
        found = count(plan._replace(on_progress=on_progress, on_left_out=on_left_out))
        if found.facts.errors and not found.facts.lines:
            raise InputError("\nError: ".join(found.facts.errors))
    if certify and not found.facts.errors:
        same_as_before([*files, *lists])
        write_whole(certify, certificate(plan, found, files, lists, _again(plan, episodes, data_centres)))
    write_report(_report(plan, found, top), output, bare=bare, formulas=settings().output_formulas)
    if certify and found.facts.errors:
        found.facts.errors.append(f"{certify} is not written: not every input could be read to its end")
    end_with(found.facts.errors)


def _again(plan: DownloadPlan, episodes: str | None, data_centres: str | None) -> list[str]:
    """The command that counts the same, with every choice said, defaults included."""
    asked = plan.asked
    words = ["python", "-m", "app", "report", "downloads", "--window", asked.window]
    words += ["--whole"] if asked.seconds is None else ["--seconds", repr(asked.seconds)]
    words += [
        "--bit-rate",
        repr(asked.bit_rate_kbit),
        "--ext",
        ",".join(sorted(asked.extensions)),
        "--by",
        plan.by,
        "--tz",
        plan.zone,
    ]
    options = plan.read.format_options
    given = {
        "--episodes": episodes,
        "--data-centres": data_centres,
        "--from": plan.first_day,
        "--to": plan.last_day,
        "--log-format" if ":" in plan.read.format else "--format": plan.read.format,
        "--bytes": options.bytes,
    }
    words += [word for name, value in given.items() if value for word in (name, str(value))]
    return [*words, "--", *plan.paths]


@contextmanager
def _telling(path: Path | None, inputs: Any) -> Iterator[Callable[[LeftOut], None] | None]:
    """A function that writes one request that is left out; the file is whole or not there."""
    if path is None:
        with nullcontext():
            yield None
        return
    formulas = settings().output_formulas
    with (
        Replacement(path) as replacement,
        explained(path),
        replacement.path.open("w", encoding="utf-8", newline="") as file,
    ):
        file.write("input\tbyte\ttime\trule\taddress\tagent\tfile\n")

        def told(each: LeftOut) -> None:
            texts = [writable(text or "") for text in (inputs[each.input], each.address, each.agent, each.file)]
            name, address, agent, asked = [tsv_cell(text if formulas else harmless(text)) for text in texts]
            file.write(f"{name}\t{each.position}\t{iso_time(each.time)}\t{each.rule}\t{address}\t{agent}\t{asked}\n")

        yield told


def _report(plan: DownloadPlan, found: Count, top: int | None) -> Report:
    from app.downloads.counting import sorted_rows
    from app.downloads.rules import RULES
    from app.reports.questions import TIES

    asked = plan.asked
    left_out = [("left out", found.left_out.total())]
    left_out += [(f"  {rule}", found.left_out[rule]) for rule in RULES if found.left_out[rule]]
    head = found.facts.head(
        plan.zone,
        left_out,
        [f"{each.name}, {counted_text(each.entries, 'entry')}" for each in plan.lists.facts],
    )
    threshold = "the whole file" if asked.seconds is None else f"{asked.seconds:g} seconds of sound"
    windows = {
        "day": f"on one calendar day ({plan.zone})",
        "first_touch": "within 24 hours of the first",
        "last_touch": "until 24 hours pass without one",
    }
    definitions = [
        f"A download: the requests of one listener for one file {windows[asked.window]}, if they were sent {threshold}.",
        "A listener: an address (of IPv6 its first 64 bits) together with a user agent.",
        *(f"{rule}: {text}." for rule, text in RULES.items() if found.left_out[rule]),
        "Counted after IAB Tech Lab Podcast Technical Measurement 2.3, 5.5.1 to 5.5.4; audited by nobody.",
        TIES,
    ]
    rows = [(key, row.downloads, row.listeners, row.requests) for key, row in islice(sorted_rows(found, plan.by), top)]
    columns = (Column(plan.by, "text"), Column("downloads"), Column("listeners"), Column("requests"))
    totals: list[tuple[str, str | int | float | None]] = [
        ("downloads", found.downloads),
        ("listeners", found.listeners),
    ]
    title = f"Downloads by {plan.by}: {len(rows):,} of {counted_text(len(found.rows), 'row')}"
    return Report("downloads", title, head, definitions, columns, rows, totals, "downloads", plan.by == "day")
