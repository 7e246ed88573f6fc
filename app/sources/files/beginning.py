"""What the beginning of an input tells: its format, its head lines, and the bytes that are fingerprinted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.domain.formats import detection
from app.domain.formats.base import AUTO, Format, FormatOptions
from app.domain.formats.combined import FAMILY
from app.errors import InputError, UnknownFormat
from app.sources.files.chunks import ReadStream
from app.sources.files.read_options import ReadOptions, form_of
from app.sources.identity.digest import FINGERPRINT_BYTES
from app.sources.identity.heads import HeadRule, Heads, head_rule, junk_before, text_of

__all__ = [
    "CHOOSE_FORMAT",
    "MOST_SAMPLE_BYTES",
    "SAMPLE_BYTES",
    "Beginning",
    "begin",
    "bytes_note",
    "read_beginning",
    "told_by",
    "with_sample",
]

CHOOSE_FORMAT = (
    "name one with --format or WEBLOGS_FORMAT (`python -m app formats` lists them), or give the text that the server is configured with,"
    " with --log-format or WEBLOGS_LOG_FORMAT"
)
"""What to do if no format fits; `run` and the worker have the settings alone."""
SAMPLE_BYTES = 64 << 10
"""What is looked at first; less tells less."""
MOST_SAMPLE_BYTES = 1 << 20
"""An input whose first bytes, this many, fit no format is not read."""
_DETECT_LINES = 1000
"""This many lines are looked at for those that tell the format."""


def with_sample(form: Format, lines: Sequence[str], options: FormatOptions) -> FormatOptions:
    """The options with what the first lines tell, and the bytes as announced if lines of the common family write `-` and nothing was set."""
    if not options.bytes and form in FAMILY and detection.dash_for_bytes(lines):
        options = options._replace(bytes="announced")
    return detection.with_sample(form, lines, options)


def told_by(form: Format, sample: bytes, options: FormatOptions) -> tuple[FormatOptions, bool]:
    """The options with what a sample tells, and whether it has a hit; an application may have written much before its first request."""
    lines = [text_of(line) for line in sample.split(b"\n") if line]
    for at in range(0, len(lines), _DETECT_LINES):
        some = lines[at : at + _DETECT_LINES]
        if detection.has_hit(form, some, options):
            return with_sample(form, some, options), True
    return with_sample(form, lines[:_DETECT_LINES], options), False


def bytes_note(path: str) -> str:
    """What people are told where that is so."""
    return (
        f"{path} writes `-` for no bytes: its byte column is read as the size of the answer, whatever was sent;"
        " --bytes says otherwise"
    )


class Beginning(NamedTuple):
    """The beginning of one input, read."""

    format: Format
    rule: HeadRule
    body: bytes
    """What is fingerprinted; empty where there are no lines after the head lines."""
    head: tuple[str, ...] = ()
    """The head lines before it."""
    options: FormatOptions = FormatOptions()
    """How its lines are read: what was asked for, and what the sample tells."""
    note: str = ""
    """One sentence of what the sample told beside the format."""


def begin(sample: bytes, whole: bool, path: str, options: ReadOptions) -> Beginning | None:
    """Reads a beginning; None where it is too short to tell. `whole`: the input ends with it.

    Raises UnknownFormat where the input has lines that fit no format and none was named.
    """
    complete = sample if whole else sample[: sample.rfind(b"\n") + 1] or sample
    form = (
        form_of(options.format)
        if options.format != AUTO
        else detection.detect(_first_lines(complete), options.format_options)
    )
    if form is None:
        # a line of endless length, or a sparse beginning, tells nothing: what comes behind it may
        if not whole and len(sample) < MOST_SAMPLE_BYTES:
            return None
        raise UnknownFormat(f"{path}: no log format fits its first lines; {CHOOSE_FORMAT}")
    told, has_hit = told_by(form, complete, options.format_options)
    if not has_hit and not whole and len(sample) < MOST_SAMPLE_BYTES:
        return None  # more may tell which heads are passed over
    note = bytes_note(path) if told.bytes != options.format_options.bytes else ""
    rule = head_rule(form, told)
    start = _body_start(sample, rule)
    body = sample[start:]
    if len(body) < FINGERPRINT_BYTES:
        if not whole and len(sample) < MOST_SAMPLE_BYTES:
            return None
        body = body[: body.rfind(b"\n") + 1] or body
    heads = Heads()
    for line in sample[junk_before(sample) : start].split(b"\n")[:-1]:
        heads.add(text_of(line))
    return Beginning(form, rule, body[:FINGERPRINT_BYTES], heads.lines, told, note)


def read_beginning(stream: ReadStream, path: str, options: ReadOptions) -> Beginning | None:
    """Reads as much as it takes; None for an empty input. An archive that is cut off ends where it is cut off."""
    sample, whole, wanted = b"", False, SAMPLE_BYTES
    while not whole:
        try:
            data = stream.read(wanted)
        except InputError:
            if not sample:
                raise
            data = b""
        sample += data
        whole = not data
        if not sample:
            return None
        found = begin(sample, whole, path, options)
        if found is not None:
            return found
    return None


def _first_lines(sample: bytes) -> list[str]:
    lines = sample.split(b"\n", _DETECT_LINES)[:_DETECT_LINES]
    return [text_of(line) for line in lines if line]


def _body_start(sample: bytes, rule: HeadRule) -> int:
    at = 0
    junk = junk_before(sample)
    if junk and rule.prefix and sample.startswith(rule.prefix, junk):
        at = junk
    end = sample.find(b"\n") + 1 or len(sample)
    if rule.is_header is not None and rule.is_header(text_of(sample[:end])):
        at = end
    while rule.prefix and at < len(sample) and sample.startswith(rule.prefix, at):
        at = sample.find(b"\n", at) + 1 or len(sample)
    return at
