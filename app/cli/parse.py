"""`python -m app parse FILE…`: what a format makes of every line, as JSON; the way to try one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import click

from app.cli.exit_codes import say
from app.cli.log_format import AskedFormat, log_format_options
from app.domain.formats import BadLine, Format, FormatOptions, LineParser, get
from app.domain.formats.base import AUTO, unread_by
from app.domain.formats.detection import detect
from app.domain.lines import parse_bare
from app.domain.records import Parsed
from app.errors import InputError, SettingsError, UnknownFormat, WeblogsError
from app.settings import Settings, settings
from app.sources.files.beginning import CHOOSE_FORMAT, bytes_note, with_sample
from app.sources.files.chunks import Chunker
from app.sources.files.inputs import STDIN, InputStream, open_input
from app.sources.files.read_options import format_options
from app.sources.identity.heads import text_of

__all__ = ["command"]

_DETECT_LINES = 1000


class _Line(NamedTuple):
    position: int
    """Byte offset in the decompressed input."""
    text: str
    too_long: int
    """Above 0: text is the beginning of a line of this many bytes."""


@click.command("parse")
@click.argument("files", nargs=-1, metavar="[FILE]…")
@log_format_options
def command(
    files: tuple[str, ...],
    asked_format: AskedFormat,
) -> None:
    """Print one JSON object for every line of FILEs or, without any or for -, of standard input.

    A summary of what was ignored in lines that count is printed at the end, on standard error.

    {"hit": …} for a line that counts, {"reject": …} with the reason for one that is no hit, {"header": …} for a head line.
    """
    configured = settings()
    name = asked_format.name(files) or configured.format
    chosen = None if name == AUTO else _named(name)
    options = format_options(configured)
    if asked_format.bytes_kind is not None:
        options = options._replace(bytes=asked_format.bytes_kind)
    sys.exit(max([_parse_or_say(path, chosen, configured, options) for path in files or (STDIN,)]))


def _parse_or_say(path: str, chosen: Format | None, configured: Settings, options: FormatOptions) -> int:
    """The exit code for one input; the next one is read whatever became of it."""
    try:
        _parse_input(path, chosen, configured, options, click.get_binary_stream("stdout"))
    except WeblogsError as error:
        return say(error)
    return 0


def _named(name: str) -> Format:
    try:
        return get(name)
    except LookupError as error:
        raise UnknownFormat(f"{error.args[0]}; `python -m app formats` shows an example of each") from None


def _parse_input(path: str, chosen: Format | None, configured: Settings, options: FormatOptions, out: BinaryIO) -> None:
    """Writes one object a line. Raises InputError where the input cannot be read (to its end), after what was good."""
    with open_input(path) as stream:
        blocks = _blocks(stream, configured)
        first, failure = _first_blocks(blocks, options, chosen)
        if not first:
            if failure:
                raise failure
            return
        chosen = chosen or _detected(stream.name, first, options)
        _parser(chosen, options)  # says what is wrong with the settings of the format
        told = with_sample(chosen, _texts(first), options)
        if told.bytes != options.bytes:
            click.echo(bytes_note(stream.shown), err=True)
        blocks = chain(first, blocks) if failure is None else _then_raise(first, failure)
        parser = _parser(chosen, told)
        describe = _describer(parser, stream.name, chosen.header_row)
        for block in blocks:
            out.writelines(describe(line) for line in block)
            out.flush()
        for sentence, count in unread_by(parser).items():
            click.echo(f"{stream.name}: {sentence} ({count:,} {'line' if count == 1 else 'lines'})", err=True)


def _parser(chosen: Format, options: FormatOptions) -> LineParser:
    try:
        return chosen.make_parser((), options)
    except ValueError as error:
        raise SettingsError(
            f"{error}; correct WEBLOGS_{'JSON' if chosen.name == 'json' else 'REALTIME'}_FIELDS"
        ) from None


def _blocks(stream: InputStream, configured: Settings) -> Iterator[list[_Line]]:
    """The lines, in lists of what was read at once: at most a chunk of them is held."""
    for chunk in Chunker(configured.chunk_bytes, configured.max_line_bytes).cut(stream):
        if chunk.too_long:
            yield [_Line(chunk.position, text_of(chunk.data), chunk.too_long)]
            continue
        lines, position = [], chunk.position
        for raw in BytesIO(chunk.data):
            lines.append(_Line(position, text_of(raw), 0))
            position += len(raw)
        yield lines


def _first_blocks(
    blocks: Iterator[list[_Line]], options: FormatOptions, chosen: Format | None
) -> tuple[list[list[_Line]], InputError | None]:
    """Blocks until there are lines enough to tell the format, and the error that ended them, if one did."""
    first: list[list[_Line]] = []
    try:
        for block in blocks:
            first.append(block)
            if chosen or sum(map(len, first)) >= _DETECT_LINES or detect(_texts(first), options):
                break
    except InputError as error:
        return first, error
    return first, None


def _then_raise(blocks: list[list[_Line]], failure: InputError) -> Iterator[list[_Line]]:
    yield from blocks
    raise failure


def _texts(blocks: list[list[_Line]]) -> list[str]:
    return [line.text for block in blocks for line in block if not line.too_long][:_DETECT_LINES]


def _detected(name: str, blocks: list[list[_Line]], options: FormatOptions) -> Format:
    lines = _texts(blocks)
    found = detect(lines, options)
    if found is None:
        seen = (
            f"its first lines fit none, as in {lines[0][:60]!r}" if lines else "no line of it is short enough to tell"
        )
        raise UnknownFormat(f"the log format of {name} is not known: {seen}; {CHOOSE_FORMAT}")
    return found


def _describer(parser: LineParser, name: str, header_row: bool) -> Callable[[_Line], bytes]:
    """From a line to its JSON object with a newline."""

    def described(line: _Line) -> dict[str, Any]:
        if line.too_long:
            return _rejected(line, name, "too_long", f"{line.too_long} bytes")
        try:
            values = parse_bare(parser, line.text)
        except BadLine as error:
            if header_row and line.position == 0:
                return {"header": line.text}
            return _rejected(line, name, error.reason, error.detail)
        if values is None:
            return {"header": line.text}
        return {"hit": {**dict(zip(Parsed._fields, values, strict=True)), "file": name, "position": line.position}}

    return lambda line: json.dumps(described(line), ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def _rejected(line: _Line, name: str, reason: str, detail: str) -> dict[str, Any]:
    return {"reject": {"reason": reason, "detail": detail, "file": name, "position": line.position, "line": line.text}}
