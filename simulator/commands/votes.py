"""`python -m app simulate votes`: votes of many kiosks, sent to a worker or written down, with their truth."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO
from zlib import crc32

import click

from app.cli.numbers import Number
from app.output.replacing import Replacement, explained
from app.words import counted_text
from simulator.commands.posting import PostPlan, post_all, posting_options, worker_url
from simulator.votes import SimulatedVotes, VotePlan

__all__ = ["votes", "written"]

_PATH = click.Path(path_type=Path, dir_okay=False)


@click.command("votes")
@click.option(
    "--votes", "-n", "number", type=click.IntRange(min=0), default=10_000, show_default=True, help="Distinct votes."
)
@click.option(
    "--seed", "-s", type=int, default=1, show_default=True, help="The same seed makes the same votes, but for the time."
)
@click.option(
    "--until", help="When the last vote is cast: ISO 8601 with a zone, seconds since 1970, or -1h; default now."
)
@click.option(
    "--span",
    type=Number(min=1),
    default=3600.0,
    show_default=True,
    help="Seconds between the first and the last.",
)
@click.option("--kiosks", type=click.IntRange(min=1), default=300, show_default=True, help="Number of kiosks.")
@click.option("--candidates", default="1,2,3", show_default=True, help="Candidate ids, comma-separated.")
@click.option(
    "--repeats",
    type=Number(0, 5),
    default=0.2,
    show_default=True,
    help="Repeated sendings, as a share of the votes.",
)
@click.option("--late", type=Number(0, 1), default=0.1, show_default=True, help="Share that comes up to an hour late.")
@click.option(
    "--users",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of users that votes name; 0: none.",
)
@click.option(
    "--one-per-user", is_flag=True, help="The truth counts one vote a user, as WEBLOGS_VOTE_ONE_PER_USER does."
)
@posting_options("Votes")
@click.option(
    "-o",
    "--output",
    type=_PATH,
    help="Write the votes here, one JSON object a line in the order of sending, and post none.",
)
@click.option("--truth", type=_PATH, help="Write what must come out here, as JSON.")
@click.option(
    "--journal", type=_PATH, help="Append the id of each vote that was answered with success here, a line each."
)
@click.option(
    "--rate",
    type=Number(min=0),
    default=0.0,
    show_default=True,
    help="Votes a second at most; 0: full speed.",
)
def votes(
    number: int,
    seed: int,
    until: str | None,
    span: float,
    kiosks: int,
    candidates: str,
    repeats: float,
    late: float,
    users: int,
    one_per_user: bool,
    url: str | None,
    output: Path | None,
    truth: Path | None,
    journal: Path | None,
    batch: int,
    connections: int,
    rate: float,
    patience: float,
    quiet: bool,
) -> None:
    """Hundreds of kiosks vote: in spikes, with wrong clocks, sending again, cut off and sending what they kept later.

    Each vote is posted until it is taken, so that a worker may be restarted meanwhile.
    """
    from app.domain.times import parse_time
    from app.settings import settings

    own = settings()
    if one_per_user and not users:
        raise click.UsageError("--one-per-user needs --users")
    now = time.time()
    try:
        end = now if until is None else parse_time(until, now)
        chosen = [int(part) for part in candidates.split(",")]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    plan = VotePlan(number, seed, end, span, kiosks, chosen, repeats, late, users, one_per_user, own.vote_window)
    simulated = SimulatedVotes(plan)
    if output is not None:
        with written(output) as file:
            for vote in simulated.sends():
                file.write(json.dumps(vote) + "\n")
        said = f"{counted_text(simulated.sent, 'vote')} in {output}"
    else:
        with contextlib.ExitStack() as stack:
            noted = stack.enter_context(journal.open("a")) if journal else None

            def accepted(some: list[dict[str, Any]]) -> None:
                if noted is not None:
                    noted.write("".join(f"{vote['vote_id']}\n" for vote in some))
                    noted.flush()

            post = PostPlan(
                url or worker_url(own.web_host, own.web_port), batch, connections, rate, patience, own.token_to_write
            )
            by = "user_id" if one_per_user else "vote_id"
            done = post_all(
                simulated.sends(), ("/vote/", "/votes/"), lambda vote: crc32(vote[by].encode()), post, accepted
            )
        said = f"{counted_text(done.events, 'vote')} taken in {done.seconds:.1f} s, {counted_text(done.tries_again, 'request')} sent again"
    if truth is not None:
        with written(truth) as file:
            json.dump(simulated.truth(), file, indent=1)
    if not quiet:
        found = simulated.truth()
        click.echo(f"{said}: {found['votes']:,} count, {found['repeats']:,} are repeats", file=sys.stderr)


@contextlib.contextmanager
def written(path: Path) -> Any:
    """A text file that appears whole or not at all."""
    with Replacement(path) as replacement, explained(path), replacement.path.open("w", encoding="utf-8") as file:
        text: TextIO = file
        yield text
