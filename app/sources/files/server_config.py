"""Log formats out of the configuration of nginx and Apache."""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from app.domain.formats.format_strings import SERVERS
from app.errors import SettingsError

__all__ = ["ConfiguredFormat", "configured_format"]

_MOST_FILES = 500
_MOST_BYTES = 4 << 20
_APACHE_LINE = re.compile(
    r"^\s*(?:LogFormat|CustomLog|TransferLog|<VirtualHost|ServerRoot|ErrorLog)\b",
    re.IGNORECASE | re.MULTILINE,
)
_NO_FORMATS = frozenset({"off"})


class ConfiguredFormat(NamedTuple):
    """The log format that a configuration names."""

    text: str
    """As a format string, with the server before it."""
    said: str
    """A sentence that says which one it is, and why."""


class _Formats(NamedTuple):
    """What a configuration says of logs."""

    server: str
    texts: dict[str, str]
    """Name to text."""
    logs: list[tuple[str, str]]
    """(where a log is written, name of its format)."""
    unread: list[str]
    """Files that are included but could not be read."""


def configured_format(given: str, files: Sequence[str]) -> ConfiguredFormat:
    """The format from `FILE` or `FILE:NAME`; of several logs the one that writes one of `files`.

    Raises SettingsError that names the formats there are.
    """
    path, name = (given, "") if os.path.exists(given) else (given.rpartition(":")[0] or given, given.rpartition(":")[2])
    if not os.path.isfile(path):
        raise SettingsError(f"--server-config {given}: there is no such file")
    found = _read(Path(path))
    unread = f"; not read: {', '.join(found.unread[:5])}" if found.unread else ""
    if name and path != given:
        return ConfiguredFormat(_text(found, name, given), f"{path}: the log format {name} of {found.server}{unread}")
    name, why = _used(found, path, files)
    return ConfiguredFormat(_text(found, name, path), f"{path}: the log format {name} of {found.server}, {why}{unread}")


def _text(found: _Formats, name: str, place: str) -> str:
    text = found.texts.get(name)
    if text is None and found.server == "apache" and "%" in name:
        text = name  # CustomLog may spell the format itself
    if text is None:
        raise SettingsError(
            f"--server-config {place}: it has no log format {name!r}; there are {', '.join(found.texts)}"
        )
    return f"{found.server}:{text}"


def _used(found: _Formats, path: str, files: Sequence[str]) -> tuple[str, str]:
    """The name of the format in use, and what says so."""
    directive = "access_log" if found.server == "nginx" else "CustomLog"
    wanted = {_stem(os.path.realpath(name)) for name in files if name != "-"}
    same = [(log, name) for log, name in found.logs if _stem(log) in wanted]
    if same and len({name for _, name in same}) == 1:
        return same[0][1], f"as {directive} {same[0][0]} says"
    names = Counter(name for _, name in found.logs)
    if len(names) == 1:
        log, name = found.logs[0]
        return name, f"as {directive} {log} says"
    if not names:
        own = [name for name in found.texts if name not in SERVERS[found.server].named]
        if len(own) == 1:
            return own[0], f"the only one; no {directive} says where it is written"
        if not own:
            raise SettingsError(f"--server-config {path}: it has neither a log format nor an {directive} line")
    choices = ", ".join(names or found.texts)
    raise SettingsError(f"--server-config {path}: it has several log formats ({choices}): choose one with {path}:NAME")


def _stem(path: str) -> str:
    """The name of a log without what rotation puts behind it.

    >>> _stem("/var/log/nginx/access.log.2.gz"), _stem("logs/access_log")
    ('access.log', 'access_log')
    """
    return re.sub(r"(?:\.(?:gz|bz2|xz|zst|[0-9]+)|-[0-9]{8,})+\Z", "", Path(path).name)


def _read(path: Path) -> _Formats:
    text = _content(path)
    return _apache(path) if _APACHE_LINE.search(text) else _nginx(path)


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise SettingsError(f"--server-config {path}: {error.strerror}") from None


# -- nginx


def _nginx(path: Path) -> _Formats:
    import crossplane

    # snippets are read, too: no check of where a directive may stand
    payload = crossplane.parse(
        str(path), catch_errors=True, comments=False, check_ctx=False, check_args=False, strict=False
    )
    texts = dict(SERVERS["nginx"].named)
    logs: list[tuple[str, str]] = []
    for config in payload["config"]:
        for args in _directives(config["parsed"], "log_format"):
            if len(args) > 1:
                texts[args[0]] = _joined(args[1:])
        for args in _directives(config["parsed"], "access_log"):
            if args and args[0] not in _NO_FORMATS:
                logs.append((args[0], args[1] if len(args) > 1 and "=" not in args[1] else "combined"))
    unread = [str(error["error"]) for error in payload["errors"]]
    if not logs and len(texts) == 1 and unread:
        raise SettingsError(f"--server-config {path}: it cannot be read: {unread[0]}")
    return _Formats("nginx", texts, logs, unread)


def _joined(parts: Sequence[str]) -> str:
    """The parts of a log_format directive; `escape=json` stays before the text."""
    if parts[0].startswith("escape="):
        return "".join(parts[1:])
    return "".join(parts)


def _directives(block: list[dict[str, Any]], name: str) -> Iterator[list[str]]:
    for directive in block:
        if directive["directive"] == name:
            yield directive["args"]
        yield from _directives(directive.get("block") or [], name)


# -- Apache


def _apache(path: Path) -> _Formats:
    found = _Formats("apache", dict(SERVERS["apache"].named), [], [])
    _take_apache(path, path.parent, found, [])
    return found


def _take_apache(path: Path, root: Path, found: _Formats, seen: list[Path]) -> None:
    """Takes in one file and those that it includes."""
    if len(seen) >= _MOST_FILES or path.resolve() in seen:
        return
    seen.append(path.resolve())
    text = re.sub(r"\\\r?\n", " ", _content(path))
    for line in text.splitlines():
        words = _words(line)
        if not words:
            continue
        directive, args = words[0].lower(), words[1:]
        if directive == "logformat" and args:
            found.texts[args[1] if len(args) > 1 else "TransferLog"] = args[0]
        elif directive in ("customlog", "globallog") and len(args) > 1:
            found.logs.append((args[0], args[1]))
        elif directive == "transferlog" and args:
            found.logs.append((args[0], "TransferLog"))
        elif directive == "serverroot" and args and Path(args[0]).is_dir():
            root = Path(args[0])
        elif directive in ("include", "includeoptional") and args:
            _include(args[0], root, found, seen, optional=directive == "includeoptional")


def _include(pattern: str, root: Path, found: _Formats, seen: list[Path], *, optional: bool) -> None:
    """Reads what a plain path or pattern names; one with variables is left out and named."""
    if "${" in pattern:
        found.unread.append(pattern)
        return
    base, rest = (Path("/"), pattern.lstrip("/")) if pattern.startswith("/") else (root, pattern)
    matches = sorted(each for each in base.glob(rest) if each.is_file()) if rest else []
    if not matches and not optional:
        found.unread.append(pattern)
    for each in matches:
        _take_apache(each, root, found, seen)


def _words(line: str) -> list[str]:
    r"""The words of a line of Apache's configuration: quotes hold blanks together, `\"` is a quote within them.

    >>> _words('LogFormat "%h \\"%r\\"" mine')
    ['LogFormat', '%h "%r"', 'mine']
    """
    if line.lstrip().startswith("#"):
        return []
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:  # a quote is not closed: not a line about logs
        return []
